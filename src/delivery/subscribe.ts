import { authorizeTopic } from '../identity/access/permissions.ts'
import type { DeliveryLimits } from '../config/delivery-limits.ts'
import type { EventLog } from '../events/log.ts'
import { invalid } from '../foundation/json.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import type { SubscribeAnswer, SubscribeRequest } from '../../schemas/realtime.ts'
import type { Scope } from '../../schemas/scope.ts'
import { join, startOf, type JoinOptions } from './catch-up.ts'
import { acceptFilter, type Filter } from './matching/filter.ts'
import type { Hub } from './hub.ts'
import type { Subscriber } from './subscriber.ts'
import { Subscription } from './subscription.ts'

export interface SubscribeOptions extends JoinOptions {
  hub: Hub
  log: EventLog
  limits: DeliveryLimits
  metrics: Metrics
  /** Throws NotFoundError `TOPIC_NOT_FOUND` unless the topic is registered or built in. */
  requireTopic (scope: Scope, topic: string): Promise<void>
  /**
   * Throws RateLimitError `SUBSCRIPTION_LIMIT` or `MEMORY_LIMIT` if the subscriber may not add a subscription with that
   * filter.
   */
  requireRoom (subscriber: Subscriber, filter: Filter | undefined): void
}

/**
 * Handles `subscribe` to one topic. Calls `respond` in the turn in which the subscription begins, before any of its
 * events. Resolves when the subscription is live; with `after`, when it has caught up.
 */
export async function subscribe (
  options: SubscribeOptions,
  subscriber: Subscriber,
  request: SubscribeRequest,
  respond: (answer: SubscribeAnswer) => void
): Promise<void> {
  const { hub, log, metrics } = options
  const { scope } = subscriber
  const filter = acceptFilter(request.filter)
  const past = { ...request, after: offsetOf(request) }
  authorizeTopic(subscriber.principal, scope, 'subscribe', request.topic)
  await options.requireTopic(scope, request.topic)
  const feed = await hub.enter(scope, request.topic)
  try {
    const wantsHistory = request.after !== undefined || request.rewind !== undefined
    const known = past.after === undefined ? undefined : feed.standing(past.after)
    const start = wantsHistory ? startOf(past, known ?? await log.position(scope, request.topic), feed) : undefined
    if (!subscriber.isOpen) return
    // Repeated, because a fresh token or other subscriptions may have arrived in the meantime.
    authorizeTopic(subscriber.principal, scope, 'subscribe', request.topic)
    options.requireRoom(subscriber, filter)
    const position = start?.position ?? feed.position
    const subscription = new Subscription(subscriber, feed, {
      host: hub, filter, returnMode: request.returnMode ?? 'full', position
    })
    subscriber.add(subscription)
    const recovered = start?.recovered ?? false
    respond({ subscriptionId: subscription.id, topic: request.topic, offset: position, epoch: feed.epoch, recovered })
    if (request.after !== undefined) metrics.catchUps.inc({ outcome: recovered ? 'recovered' : 'lost' })
    await join(options, subscription, feed)
  } finally {
    hub.leave(feed)
  }
}

/** Throws ValidationError for fields that only a pattern may have. */
function offsetOf ({ after, epochs }: SubscribeRequest): number | undefined {
  if (typeof after === 'object') throw invalid('/after', 'must be an offset, because /topic is not a pattern')
  if (epochs !== undefined) throw invalid('/epochs', 'is only for patterns. Use /epoch')
  return after
}
