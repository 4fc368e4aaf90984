import { authorizeTopic } from '../auth/permissions.ts'
import type { DeliveryLimits } from '../config.ts'
import { RateLimitError } from '../errors.ts'
import type { EventLog, LogPosition } from '../events/log.ts'
import type { Metrics } from '../metrics.ts'
import { SubscribeRequest, UnsubscribeRequest, type SubscribeAnswer } from '../../schemas/realtime.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { CatchUp } from './catch-up.ts'
import type { Connection } from './connection.ts'
import { parseFilter } from './filters.ts'
import type { Hub } from './hub.ts'
import { socketRequest, type Respond, type SocketRequest } from './protocol.ts'
import { Subscription } from './subscription.ts'
import type { TopicFeed } from './topic-feed.ts'

export interface SubscribeOptions {
  hub: Hub
  log: EventLog
  catchUp: CatchUp
  limits: DeliveryLimits
  metrics: Metrics
  logger: { error (fields: object, message: string): void }
  /** Throws NotFoundError `TOPIC_NOT_FOUND` unless the topic is registered or exists by itself. */
  requireTopic (scope: Scope, topic: string): Promise<void>
}

/** `subscribe` and `unsubscribe`. */
export function subscriptionRequests (options: SubscribeOptions): Record<'subscribe' | 'unsubscribe', SocketRequest> {
  return {
    subscribe: socketRequest('subscribed', SubscribeRequest, (connection, request, respond) => subscribe(options, connection, request, respond)),
    unsubscribe: socketRequest('unsubscribed', UnsubscribeRequest, (connection, { subscriptionId }, respond) => {
      connection.subscription(subscriptionId).end()
      // What had matched before leaves before the answer.
      connection.flush()
      respond({ subscriptionId })
    })
  }
}

async function subscribe (options: SubscribeOptions, connection: Connection, request: SubscribeRequest, respond: Respond): Promise<void> {
  const { hub, log, limits, metrics } = options
  const { scope } = connection
  const filter = parseFilter(request.filter)
  if (connection.subscriptions.size >= limits.subscriptionsPerConnectionMax) {
    throw new RateLimitError('SUBSCRIPTION_LIMIT', `The connection holds ${limits.subscriptionsPerConnectionMax} subscriptions, the most it may`)
  }
  authorizeTopic(connection.principal, scope, 'subscribe', request.topic)
  await options.requireTopic(scope, request.topic)
  const feed = await hub.enter(scope, request.topic)
  try {
    const wantsHistory = request.after !== undefined || request.rewind !== undefined
    const start = wantsHistory ? startOf(request, await log.position(scope, request.topic), feed) : undefined
    if (!connection.isOpen) return
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

/** Where a subscription with `after` or `rewind` starts: its position, and whether nothing since `after` is lost. */
function startOf (request: SubscribeRequest, log: LogPosition, feed: TopicFeed): { position: number, recovered: boolean } {
  const { after, rewind } = request
  const isSameLog = request.epoch === undefined || request.epoch === log.epoch
  if (after !== undefined && isSameLog && after <= log.head && after >= log.earliest - 1) return { position: after, recovered: true }
  const oldest = rewind === undefined ? feed.position : Math.max(log.earliest - 1, log.head - rewind)
  return { position: Math.min(oldest, feed.position), recovered: false }
}

/** Attaches in the same turn when there is no history to deliver; otherwise catches up first. */
async function join ({ catchUp, logger }: SubscribeOptions, subscription: Subscription, feed: TopicFeed): Promise<void> {
  if (subscription.position >= feed.position) return feed.attach(subscription)
  try {
    if (await catchUp.run(subscription, feed)) return
    subscription.connection.resync(subscription, {
      code: 'RETENTION_PASSED', message: 'Retention has passed the subscription while it was catching up: subscribe again'
    })
  } catch (err) {
    logger.error({ err, subscriptionId: subscription.id }, 'socket.catch_up_failed')
    subscription.connection.resync(subscription, { code: 'DATABASE_UNAVAILABLE', message: 'The log could not be read: subscribe again with `after`' })
  }
}
