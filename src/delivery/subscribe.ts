import { authorizeTopic } from '../identity/access/permissions.ts'
import type { DeliveryLimits } from '../config.ts'
import type { EventLog } from '../events/log.ts'
import { invalid } from '../foundation/json.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import { SubscribeRequest, UnsubscribeRequest, type SubscribeAnswer } from '../../schemas/realtime.ts'
import type { Scope } from '../../schemas/scope.ts'
import { type CatchUp, join, startOf } from './catch-up.ts'
import type { Connection } from './sockets/connection.ts'
import { acceptFilter, type Filter } from './matching/filter.ts'
import type { Hub } from './hub.ts'
import { socketRequest, type Respond, type SocketRequest } from './sockets/protocol.ts'
import { isPattern, subscribePattern } from './patterns/subscribe-pattern.ts'
import { Subscription } from './subscription.ts'

export interface SubscribeOptions {
  hub: Hub
  log: EventLog
  catchUp: CatchUp
  limits: DeliveryLimits
  metrics: Metrics
  logger: { error (fields: object, message: string): void }
  /** Throws NotFoundError `TOPIC_NOT_FOUND` unless the topic is registered or exists by itself. */
  requireTopic (scope: Scope, topic: string): Promise<void>
  /** Throws RateLimitError `SUBSCRIPTION_LIMIT` or `MEMORY_LIMIT` when the connection may have no subscription more with that filter. */
  requireRoom (connection: Connection, filter: Filter | undefined): void
}

/** `subscribe` and `unsubscribe`. */
export function subscriptionRequests (options: SubscribeOptions): Record<'subscribe' | 'unsubscribe', SocketRequest> {
  return {
    subscribe: socketRequest('subscribed', SubscribeRequest, async (connection, request, respond) => {
      options.requireRoom(connection, undefined)
      await (isPattern(request.topic) ? subscribePattern : subscribe)(options, connection, request, respond)
    }),
    unsubscribe: socketRequest('unsubscribed', UnsubscribeRequest, (connection, { subscriptionId }, respond) => {
      connection.subscription(subscriptionId).end()
      // What had matched before leaves before the answer.
      connection.flush()
      respond({ subscriptionId })
    })
  }
}

async function subscribe (options: SubscribeOptions, connection: Connection, request: SubscribeRequest, respond: Respond): Promise<void> {
  const { hub, log, metrics } = options
  const { scope } = connection
  const filter = acceptFilter(request.filter)
  const past = { ...request, after: offsetOf(request) }
  authorizeTopic(connection.principal, scope, 'subscribe', request.topic)
  await options.requireTopic(scope, request.topic)
  const feed = await hub.enter(scope, request.topic)
  try {
    const wantsHistory = request.after !== undefined || request.rewind !== undefined
    const known = past.after === undefined ? undefined : feed.standing(past.after)
    const start = wantsHistory ? startOf(past, known ?? await log.position(scope, request.topic), feed) : undefined
    if (!connection.isOpen) return
    // Meanwhile a fresh token may have come, or other subscriptions.
    authorizeTopic(connection.principal, scope, 'subscribe', request.topic)
    options.requireRoom(connection, filter)
    const position = start?.position ?? feed.position
    const subscription = new Subscription(connection, feed, { filter, returnMode: request.returnMode ?? 'full', position })
    connection.add(subscription)
    const recovered = start?.recovered ?? false
    const answer: SubscribeAnswer = { subscriptionId: subscription.id, topic: request.topic, offset: position, epoch: feed.epoch, recovered }
    respond(answer)
    if (request.after !== undefined) metrics.catchUps.inc({ outcome: recovered ? 'recovered' : 'lost' })
    await join(options, subscription, feed)
  } finally {
    feed.leave()
  }
}

/** Throws ValidationError for what only a pattern may have. */
function offsetOf ({ after, epochs }: SubscribeRequest): number | undefined {
  if (typeof after === 'object') throw invalid('/after', 'must be an offset, because /topic is no pattern')
  if (epochs !== undefined) throw invalid('/epochs', 'is for patterns; use /epoch')
  return after
}
