import { authorizeTopic, permissionsAt } from '../../identity/access/permissions.ts'
import type { Principal } from '../../identity/access/principal.ts'
import { isTopicPattern, TopicPatterns } from '../../foundation/topic-pattern.ts'
import type { DeliveryLimits } from '../../config.ts'
import { RateLimitError } from '../../errors.ts'
import type { EventLog, LogPosition, TopicLog } from '../../events/log.ts'
import { invalid } from '../../foundation/json.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { SubscribePatternAnswer, SubscribeRequest } from '../../../schemas/realtime.ts'
import { acceptFilter, type Filter } from '../matching/filter.ts'
import { join, startOf, type JoinOptions, type Past } from '../catch-up.ts'
import type { Subscriber } from '../subscriber.ts'
import { PatternSubscription, type PatternHub } from './pattern-subscription.ts'

export const isPattern = (topic: string): boolean => topic.includes('*')

export interface SubscribePatternOptions extends JoinOptions {
  hub: PatternHub
  log: EventLog
  limits: DeliveryLimits
  metrics: Metrics
  /** Throws RateLimitError when the subscriber may not have one more subscription with that filter. */
  requireRoom (subscriber: Subscriber, filter: Filter | undefined): void
}

/**
 * `subscribe` with a pattern: one subscription of every topic that it matches and the principal may see, those to come
 * included. The answer is sent when all of them are live or, with `after`, on their way from there.
 */
export async function subscribePattern (
  options: SubscribePatternOptions,
  subscriber: Subscriber,
  request: SubscribeRequest,
  respond: (answer: SubscribePatternAnswer) => void
): Promise<void> {
  const { hub, limits, metrics } = options
  const pastOf = toPast(request)
  const filter = acceptFilter(request.filter)
  authorizePattern(subscriber, request.topic)
  const subscription = new PatternSubscription(subscriber, {
    hub,
    limits,
    pattern: request.topic,
    filter,
    returnMode: request.returnMode ?? 'full',
    join: (child, feed) => join(options, child, feed)
  })
  try {
    const logs = await subscription.list()
    await hub.spread(subscriber.scope)
    let covered: readonly TopicLog[]
    let positions: Map<string, LogPosition>
    let principal: Principal
    do {
      ({ principal } = subscriber)
      covered = logs.filter(({ topic }) => subscription.wants(topic))
      refuseTooWide(subscription, covered)
      positions = await readPositions(options, subscriber, covered, pastOf)
      // A fresh token may have come, by which it covers topics of whose past nothing is known. Each round is paid with
      // one.
    } while (subscriber.isOpen && subscriber.principal !== principal)
    if (!subscriber.isOpen) {
      subscription.end()
      return
    }
    // Meanwhile other subscriptions may have come, too.
    authorizePattern(subscriber, request.topic)
    refuseTooWide(subscription, covered)
    options.requireRoom(subscriber, filter)
    let recovered = isNothingElseNamed(request, covered)
    const joining = covered.map(log => subscription.take(log.topic, log, feed => {
      const position = positions.get(log.topic)
      if (position === undefined) return feed.position
      const past = pastOf(log.topic)
      const start = startOf(past, position, feed)
      if (past.after !== undefined && !start.recovered) recovered = false
      return start.position
    }))
    subscriber.add(subscription)
    const answer: SubscribePatternAnswer = {
      subscriptionId: subscription.id,
      topic: request.topic,
      offsets: Object.fromEntries(joining.map(({ child }) => [child.topic, child.position])),
      epochs: Object.fromEntries(joining.map(({ feed }) => [feed.topic, feed.epoch])),
      recovered
    }
    respond(answer)
    if (request.after !== undefined) metrics.catchUps.inc({ outcome: recovered ? 'recovered' : 'lost' })
    subscription.start(joining, new Set(covered.map(({ topic }) => topic)))
  } catch (error) {
    subscription.end()
    throw error
  }
}

/** Throws ForbiddenError unless the principal may see some topic of the pattern. */
function authorizePattern ({ principal, scope }: Subscriber, pattern: string): void {
  if (!permissionsAt(principal, scope).subscribe.meets(pattern)) authorizeTopic(principal, scope, 'subscribe', pattern)
}

function refuseTooWide (subscription: PatternSubscription, logs: readonly TopicLog[]): void {
  if (subscription.isFull(logs.length)) {
    throw new RateLimitError(
      'PATTERN_TOO_WIDE',
      `The pattern matches ${logs.length} topics, more than it may: ${subscription.topic}`
    )
  }
}

/** What is asked of each topic's past. Throws ValidationError. */
function toPast ({ topic: pattern, after, epoch, epochs, rewind }: SubscribeRequest): (topic: string) => Past {
  if (!isTopicPattern(pattern)) { throw invalid('/topic', 'is not a pattern: `*` stands for one segment, `**` at the end for the rest') }
  if (epoch !== undefined) throw invalid('/epoch', 'is for one topic; with a pattern use /epochs')
  if (typeof after === 'number') { throw invalid('/after', 'must be an object with an offset for each topic, because /topic is a pattern') }
  const matches = new TopicPatterns([pattern])
  for (const topic of [...Object.keys(after ?? {}), ...Object.keys(epochs ?? {})]) {
    if (!matches.covers(topic)) { throw invalid('/after', `names a topic that the pattern does not match: ${topic.slice(0, 100)}`) }
  }
  return topic => ({ after: own(after, topic) ?? own(after, pattern), epoch: own(epochs, topic), rewind })
}

/**
 * Whether every topic of `after` is among those that there are; of one that is not there only its beginning is not
 * lost.
 */
function isNothingElseNamed ({ topic: pattern, after }: SubscribeRequest, covered: readonly TopicLog[]): boolean {
  if (typeof after !== 'object') return false
  const known = new Set(covered.map(({ topic }) => topic))
  return Object.entries(after).every(([topic, offset]) => topic === pattern || known.has(topic) || offset === 0)
}

/** Where the logs stand of whose past something is asked. */
async function readPositions (
  { log }: SubscribePatternOptions, { scope }: Subscriber, logs: readonly TopicLog[], pastOf: (topic: string) => Past
): Promise<Map<string, LogPosition>> {
  const asked = logs.filter(({ topic }) => {
    const { after, rewind } = pastOf(topic)
    return after !== undefined || rewind !== undefined
  })
  return new Map(await Promise.all(asked.map(async ({ topic }) => [topic, await log.position(scope, topic)] as const)))
}

const own = <T>(map: Record<string, T> | undefined, key: string): T | undefined =>
  map !== undefined && Object.hasOwn(map, key) ? map[key] : undefined
