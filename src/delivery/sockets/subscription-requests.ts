import { isPattern, subscribePattern } from '../patterns/subscribe-pattern.ts'
import { subscribe, type SubscribeOptions } from '../subscribe.ts'
import { socketRequest, type SocketRequests } from './protocol.ts'

/** `subscribe` and `unsubscribe`. */
export function subscriptionRequests (options: SubscribeOptions): SocketRequests<'subscribe' | 'unsubscribe'> {
  return {
    subscribe: socketRequest('subscribe', async (connection, request, respond) => {
      options.requireRoom(connection, undefined)
      await (isPattern(request.topic) ? subscribePattern : subscribe)(options, connection, request, respond)
    }),
    unsubscribe: socketRequest('unsubscribe', (connection, { subscriptionId }, respond) => {
      connection.subscription(subscriptionId).end()
      // Messages and events queued earlier are sent before the answer.
      connection.flush()
      respond({ subscriptionId })
    })
  }
}
