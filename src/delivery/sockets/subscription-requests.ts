import { SubscribeRequest, UnsubscribeRequest } from '../../../schemas/realtime.ts'
import { isPattern, subscribePattern } from '../patterns/subscribe-pattern.ts'
import { subscribe, type SubscribeOptions } from '../subscribe.ts'
import { socketRequest, type SocketRequest } from './protocol.ts'

/** `subscribe` and `unsubscribe`. */
export function subscriptionRequests (options: SubscribeOptions): Record<'subscribe' | 'unsubscribe', SocketRequest> {
  return {
    subscribe: socketRequest('subscribed', SubscribeRequest, async (connection, request, respond) => {
      options.requireRoom(connection, undefined)
      await (isPattern(request.topic) ? subscribePattern : subscribe)(options, connection, request, respond)
    }),
    unsubscribe: socketRequest('unsubscribed', UnsubscribeRequest, (connection, { subscriptionId }, respond) => {
      connection.subscription(subscriptionId).end()
      // Messages and events queued earlier are sent before the answer.
      connection.flush()
      respond({ subscriptionId })
    })
  }
}
