import {
  RealtimeClient, type ConnectionChange, type RealtimeClientOptions, type RealtimeError
} from '@realtime-platform/client'
import { socketIo } from '@realtime-platform/client/socket.io'
import type { Teardown } from './teardown.ts'

/** The ways in which a client of the library connects. Each makes the options of a client. */
export const libraryTransports: readonly { name: string, options: () => Partial<RealtimeClientOptions> }[] = [
  { name: '/ws', options: () => ({}) },
  { name: 'Socket.IO', options: () => ({ transport: socketIo({ transports: ['websocket'] }) }) },
  { name: 'long polling', options: () => ({ transport: socketIo({ transports: ['polling'] }) }) }
]

/** Creates a client that retries quickly, and records its changes and errors. It disconnects after the test. */
export function libraryClient (t: Teardown, options: RealtimeClientOptions) {
  const client = new RealtimeClient({
    reconnectionDelay: 20, reconnectionDelayMax: 200, ...options, autoConnect: false
  })
  const changes: ConnectionChange[] = []
  const errors: RealtimeError[] = []
  client.on('connection', change => changes.push(change))
  client.on('error', error => errors.push(error))
  t.teardown(() => client.disconnect())
  return { client, changes, errors, states: () => changes.map(({ state }) => state) }
}
