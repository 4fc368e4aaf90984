import { authorizeTopic, permissionsAt } from '../../identity/access/permissions.ts'
import type { Principal } from '../../identity/access/principal.ts'
import { isTopicPattern, TopicPatterns } from '../../foundation/topic-pattern.ts'
import type { DeliveryLimits } from '../../config/delivery-limits.ts'
import { RateLimitError } from '../../errors.ts'
import type { EventLog, TopicLog } from '../../events/log.ts'
import { invalid } from '../../foundation/json.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { SubscribePatternAnswer, SubscribeRequest } from '../../../schemas/realtime.ts'
import { acceptFilter, type Filter } from '../matching/filter.ts'
import { join, refuseTwoStarts, startAt, startOf, type JoinOptions, type Past, type Start } from '../catch-up.ts'
import type { Subscriber } from '../subscriber.ts'
import type { TopicFeed } from '../topic-feed.ts'
import { PatternSubscription, type PatternHub } from './pattern-subscription.ts'

export const isPattern = (topic: string): boolean => topic.includes('*')

export interface SubscribePatternOptions extends JoinOptions {
  hub: PatternHub
  log: EventLog
  limits: DeliveryLimits
  metrics: Metrics
  /** Throws RateLimitError if the subscriber may not add a subscription with that filter. */
  requireRoom (subscriber: Subscriber, filter: Filter | undefined): void
}

/**
 * Handles `subscribe` with a pattern: one subscription to every present and future topic that the pattern matches and
 * the principal may read. The answer is sent when all of them are live; with `after`, when they have started to catch
 * up.
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
    let starts: Starts
    let principal: Principal
    do {
      ({ principal } = subscriber)
      covered = logs.filter(({ topic }) => subscription.wants(topic))
      refuseTooWide(limits, subscription, covered)
      starts = await findStarts(options, subscriber, covered, request.since, pastOf)
      // A fresh token may have arrived and cover topics whose past has not been read. Each repetition costs the client
      // a token.
    } while (subscriber.isOpen && subscriber.principal !== principal)
    if (!subscriber.isOpen) {
      subscription.end()
      return
    }
    // Repeated, because other subscriptions may have been added in the meantime.
    authorizePattern(subscriber, request.topic)
    refuseTooWide(limits, subscription, covered)
    options.requireRoom(subscriber, filter)
    let recovered = isNothingElseNamed(request, covered)
    const joining = covered.map(log => subscription.take(log.topic, log, feed => {
      const start = starts.get(log.topic)?.(feed)
      if (start === undefined) return feed.position
      const resumes = request.since !== undefined || pastOf(log.topic).after !== undefined
      if (resumes && !start.recovered) recovered = false
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
    if (request.after !== undefined || request.since !== undefined) {
      metrics.catchUps.inc({ outcome: recovered ? 'recovered' : 'lost' })
    }
    subscription.start(joining, new Set(covered.map(({ topic }) => topic)))
  } catch (error) {
    subscription.end()
    throw error
  }
}

/** Throws ForbiddenError unless the principal may subscribe to some topic of the pattern. */
function authorizePattern ({ principal, scope }: Subscriber, pattern: string): void {
  if (!permissionsAt(principal, scope).subscribe.meets(pattern)) authorizeTopic(principal, scope, 'subscribe', pattern)
}

/** Throws RateLimitError `PATTERN_TOO_WIDE` if the logs are too many for the pattern or for its subscriber. */
function refuseTooWide (limits: DeliveryLimits, subscription: PatternSubscription, logs: readonly TopicLog[]): void {
  if (subscription.isFull(logs.length)) {
    throw new RateLimitError(
      'PATTERN_TOO_WIDE',
      `The pattern ${subscription.topic} matches ${logs.length} topics. One pattern may match at most ` +
        `${limits.patternTopicsMax}, all patterns of a connection together ${limits.patternTopicsPerConnectionMax}`
    )
  }
}

/** Returns the part of each topic's past that the request selects. Throws ValidationError. */
function toPast (request: SubscribeRequest): (topic: string) => Past {
  const { topic: pattern, after, epoch, epochs, rewind } = request
  if (!isTopicPattern(pattern)) {
    throw invalid('/topic', 'is not a valid pattern: `*` matches one segment, `**` at the end matches one or more')
  }
  if (epoch !== undefined) throw invalid('/epoch', 'is only for a single topic. With a pattern, use /epochs')
  if (typeof after === 'number') {
    throw invalid('/after', 'must be an object with an offset for each topic, because /topic is a pattern')
  }
  refuseTwoStarts(request)
  const matches = new TopicPatterns([pattern])
  for (const topic of [...Object.keys(after ?? {}), ...Object.keys(epochs ?? {})]) {
    if (!matches.covers(topic)) {
      throw invalid('/after', `names a topic that the pattern does not match: ${topic.slice(0, 100)}`)
    }
  }
  return topic => ({ after: own(after, topic) ?? own(after, pattern), epoch: own(epochs, topic), rewind })
}

/**
 * Returns whether every topic that `after` names has a log. A topic without one counts only if its offset is 0. `since`
 * names none.
 */
function isNothingElseNamed (
  { topic: pattern, after, since }: SubscribeRequest, covered: readonly TopicLog[]
): boolean {
  if (typeof after !== 'object') return since !== undefined
  const known = new Set(covered.map(({ topic }) => topic))
  return Object.entries(after).every(([topic, offset]) => topic === pattern || known.has(topic) || offset === 0)
}

/** By topic, where it starts, as soon as its feed is known. */
type Starts = ReadonlyMap<string, (feed: TopicFeed) => Start>

/** Finds the starts of the logs for which `since`, `after` or `rewind` is given. The others start live. */
async function findStarts (
  { log }: SubscribePatternOptions, { scope }: Subscriber, logs: readonly TopicLog[], since: number | undefined,
  pastOf: (topic: string) => Past
): Promise<Starts> {
  const asked = logs.filter(({ topic }) => {
    const { after, rewind } = pastOf(topic)
    return since !== undefined || after !== undefined || rewind !== undefined
  })
  return new Map(await Promise.all(asked.map(async ({ topic }) => {
    if (since !== undefined) {
      const start = startAt(await log.at(scope, topic, since))
      return [topic, () => start] as const
    }
    const position = await log.position(scope, topic)
    return [topic, (feed: TopicFeed) => startOf(pastOf(topic), position, feed)] as const
  })))
}

const own = <T>(map: Record<string, T> | undefined, key: string): T | undefined =>
  map !== undefined && Object.hasOwn(map, key) ? map[key] : undefined
