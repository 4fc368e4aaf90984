import { authorizeTopic } from '../identity/access/permissions.ts'
import type { DeliveryLimits } from '../config/delivery-limits.ts'
import type { EventLog } from '../events/log.ts'
import { invalid } from '../foundation/json.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import type { SubscribeAnswer, SubscribeRequest } from '../../schemas/realtime.ts'
import type { Scope } from '../../schemas/scope.ts'
import { join, refuseTwoStarts, startAt, startOf, type JoinOptions, type Start } from './catch-up.ts'
import { acceptFilter, type Filter } from './matching/filter.ts'
import type { Hub } from './hub.ts'
import type { Subscriber } from './subscriber.ts'
import { Subscription } from './subscription.ts'
import type { TopicFeed } from './topic-feed.ts'

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
  const after = offsetOf(request)
  authorizeTopic(subscriber.principal, scope, 'subscribe', request.topic)
  await options.requireTopic(scope, request.topic)
  const feed = await hub.enter(scope, request.topic)
  try {
    const start = await findStart(log, feed, { ...request, after })
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
    if (after !== undefined || request.since !== undefined) {
      metrics.catchUps.inc({ outcome: recovered ? 'recovered' : 'lost' })
    }
    await join(options, subscription, feed)
  } finally {
    hub.leave(feed)
  }
}

/** Returns where a subscription with `after`, `rewind` or `since` starts. Without them, it starts live. */
async function findStart (
  log: EventLog, feed: TopicFeed, { since, ...past }: Omit<SubscribeRequest, 'after'> & { after: number | undefined }
): Promise<Start | undefined> {
  const { scope, topic } = feed
  if (since !== undefined) return startAt(await log.at(scope, topic, since))
  if (past.after === undefined && past.rewind === undefined) return undefined
  const known = past.after === undefined ? undefined : feed.standing(past.after)
  return startOf(past, known ?? await log.position(scope, topic), feed)
}

/** Throws ValidationError for fields that exclude each other, and for those that only a pattern may have. */
function offsetOf (request: SubscribeRequest): number | undefined {
  const { after, epochs } = request
  refuseTwoStarts(request)
  if (typeof after === 'object') throw invalid('/after', 'must be an offset, because /topic is not a pattern')
  if (epochs !== undefined) throw invalid('/epochs', 'is only for patterns. Use /epoch')
  return after
}
