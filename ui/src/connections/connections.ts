import type { LinkProps } from '@tanstack/react-router'
import type { DataOf, Scope } from '../app/api.ts'
import type { ItemOf } from '../app/queries.ts'
import { scopePath } from '../app/scope.ts'

export type Connection = ItemOf<DataOf<'/api/socket/sockets'>>
export type ConnectionDetail = DataOf<'/api/socket/sockets/{id}'>
export type ConnectionSubscription = ConnectionDetail['subscriptions'][number]

export const transportNames: Record<Connection['transport'], string> = { 'socket.io': 'Socket.IO', ws: 'WebSocket' }
export const principalKinds: Record<Connection['principal']['kind'], string> = {
  session: 'User',
  token: 'Token',
  'api-key': 'API key'
}

/** Returns the link to the details of a connection. */
export const connectionLink = (scope: Scope, id: string): LinkProps => ({
  to: `${scopePath}/connections`,
  params: { ...scope },
  search: { open: id }
})

const explainPath: string = `${scopePath}/debugger/explain`

/** Returns the link to the explanation of why a subscription did not get an event. */
export const explainLink = (scope: Scope, subscriptionId: string): LinkProps =>
  ({ to: explainPath, params: { ...scope }, search: { subscriptionId } }) as LinkProps
