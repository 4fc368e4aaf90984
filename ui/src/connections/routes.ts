import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { listSearch, oneOf, text, type ListSearch } from '../app/search.ts'
import { scopeRoute } from '../shell/routes.ts'

export const socketSorts = ['connectedAt', 'userId', 'subscriptionCount', 'channelCount', 'bufferedBytes'] as const

export interface ConnectionsSearch extends Omit<ListSearch, 'sort'> {
  sort?: (typeof socketSorts)[number] | undefined
  userId?: string | undefined
  transport?: 'socket.io' | 'ws' | undefined
}

export const connectionsRoute = createRoute({
  getParentRoute: () => scopeRoute,
  path: 'connections',
  validateSearch: (search: Record<string, unknown>): ConnectionsSearch => ({
    ...listSearch(search),
    sort: oneOf(socketSorts)(search['sort']),
    userId: text(search['userId']),
    transport: oneOf(['socket.io', 'ws'])(search['transport'])
  }),
  component: lazyRouteComponent(() => import('./connections-page.tsx'), 'ConnectionsPage')
})

export const connectionRoutes = [connectionsRoute] as const
