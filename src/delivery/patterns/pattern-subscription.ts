import { permissionsAt } from '../../identity/access/permissions.ts'
import { TopicPatterns } from '../../foundation/topic-pattern.ts'
import type { DeliveryLimits } from '../../config.ts'
import type { LogHead, TopicLog } from '../../events/log.ts'
import { randomId } from '../../foundation/ids.ts'
import type { ReturnMode } from '../../../schemas/realtime.ts'
import type { Scope } from '../../../schemas/scope.ts'
import type { Filter } from '../matching/filter.ts'
import type { EndReason, ResyncReason, Span, Subscriber } from '../subscriber.ts'
import { Subscription, type SubscriptionGroup, type SubscriptionHost } from '../subscription.ts'
import type { TopicFeed } from '../topic-feed.ts'
import type { PatternWatcher, PatternWatches } from './pattern-watches.ts'

/** The part of the hub that patterns use. */
export interface PatternHub extends SubscriptionHost {
  readonly watches: PatternWatches
  enterAt (scope: Scope, topic: string, log: LogHead): TopicFeed
  leave (feed: TopicFeed): void
  reach (scope: Scope, topic: string, log: LogHead): void
  spread (scope: Scope): Promise<void>
}

export interface PatternOptions {
  hub: PatternHub
  limits: DeliveryLimits
  /** Delivers what lies between a subscription's position and the feed's, then makes it live. Never rejects. */
  join (subscription: Subscription, feed: TopicFeed): Promise<void>
  pattern: string
  filter: Filter | undefined
  returnMode: ReturnMode
}

/** What a subscriber's principals covered and cover, and whether that is more. */
interface CoverChange { was: TopicPatterns, is: TopicPatterns, isWider: boolean }

/** One topic of a pattern on its way to being live. The feed is entered. */
interface Joining { child: Subscription, feed: TopicFeed }

/**
 * A subscriber's subscription to every topic that a pattern matches and its principal may see: a subscription
 * a topic, all of one id. Topics whose logs are made after it began are part of it from their first event on.
 * It ends as a whole, or a topic at a time when a fresh token no longer covers it.
 */
export class PatternSubscription implements PatternWatcher, SubscriptionGroup {
  readonly id = randomId('sub')
  readonly subscriber: Subscriber
  readonly startedAt = Date.now()
  readonly topic: string
  ending: string | undefined
  readonly #options: PatternOptions
  readonly #matches: TopicPatterns
  readonly #prefix: string
  /** Of topics that it has lost to fresh principals. */
  readonly #past = new Map<string, Required<Span>>()
  readonly #children = new Map<string, Subscription>()
  /** While the logs are listed: topics that were told of meanwhile, with the heads that they have at least. */
  #told: Map<string, LogHead> | undefined = new Map()
  /**
   * What the principals before this one covered, since the last list: a topic outside of it may have a past that was
   * not to be seen.
   */
  #covered: TopicPatterns[] = []
  #widening: Promise<void> = Promise.resolve()
  #hasEnded = false

  constructor (subscriber: Subscriber, options: PatternOptions) {
    this.subscriber = subscriber
    this.topic = options.pattern
    this.#options = options
    this.#matches = new TopicPatterns([options.pattern])
    this.#prefix = options.pattern.slice(0, options.pattern.indexOf('*'))
    options.hub.watches.add(subscriber.scope, this)
  }

  get hasEnded () { return this.#hasEnded }
  get filter (): Filter | undefined { return this.#options.filter }
  get returnMode (): ReturnMode { return this.#options.returnMode }

  /** Includes topics that it has lost. */
  spans (): Record<string, Required<Span>> {
    return Object.fromEntries([
      ...this.#past,
      ...[...this.#children].map(([topic, child]) => [topic, child.span] as const)
    ])
  }

  wants (topic: string): boolean {
    return this.matches(topic) && this.#covers(topic)
  }

  has (topic: string): boolean {
    return this.#children.has(topic)
  }

  matches (topic: string): boolean {
    return topic.startsWith(this.#prefix) && this.#matches.covers(topic)
  }

  /**
   * The logs that there are by now of topics that it matches, covered or not: the principal may be another one when
   * they are taken in.
   */
  async list (): Promise<readonly TopicLog[]> {
    const { hub } = this.#options
    const logs = await hub.watches.list(this.subscriber.scope)
    return logs.matching(this.topic, topic => this.matches(topic))
  }

  /** Whether so many topics more are too many for it or for its subscriber. */
  isFull (more = 1): boolean {
    const { patternTopicsMax, patternTopicsPerConnectionMax } = this.#options.limits
    return this.#children.size + more > patternTopicsMax ||
      this.subscriber.patternTopics + more > patternTopicsPerConnectionMax
  }

  /** Takes a topic in at a position that is computed from its feed. It is live once it was handed to `start`. */
  take (topic: string, log: LogHead, positionIn: (feed: TopicFeed) => number): Joining {
    const { hub, filter, returnMode } = this.#options
    const feed = hub.enterAt(this.subscriber.scope, topic, log)
    const position = positionIn(feed)
    const child = new Subscription(this.subscriber, feed, { host: hub, filter, returnMode, position, pattern: this })
    this.#children.set(topic, child)
    this.subscriber.countPatternTopics(1)
    return { child, feed }
  }

  /**
   * Makes topics live: at once where there is nothing to catch up with, one after the other where there is. The list is
   * over.
   */
  start (joining: readonly Joining[], listed: ReadonlySet<string>): void {
    const { hub } = this.#options
    const behind = joining.filter(({ child, feed }) => {
      if (child.position < feed.position) return true
      feed.attach(child)
      hub.leave(feed)
      return false
    })
    if (behind.length > 0) void this.#catchUp(behind)
    const told = this.#told ?? new Map<string, LogHead>()
    this.#told = undefined
    this.#covered = []
    for (const [topic, log] of told) {
      if (listed.has(topic)) hub.reach(this.subscriber.scope, topic, log)
      else this.discovered(topic, log)
    }
  }

  discovered (topic: string, log: LogHead, known = log.head): void {
    if (this.#hasEnded || this.#children.has(topic) || !this.matches(topic)) return
    if (this.#told !== undefined) {
      // The event that told of it is not routed to here: it is fetched once the list is there.
      this.#told.set(topic, { epoch: log.epoch, head: known })
      return
    }
    if (!this.#covers(topic)) return
    if (this.isFull()) return this.subscriber.resync(this, patternTooWide)
    this.start([this.take(topic, log, () => 0)], new Set())
  }

  /**
   * The subscriber has a fresh principal. Answers the topics that it no longer covers, which have ended, and when what
   * it covers newly is part of the pattern.
   */
  refreshed ({ was, is, isWider }: CoverChange): { lost: string[], widened: Promise<void> | undefined } {
    if (was === is) return { lost: [], widened: undefined }
    this.#options.hub.watches.changed(this.subscriber.scope)
    const lost = [...this.#children.keys()].filter(topic => !is.covers(topic))
    for (const topic of lost) {
      const child = this.#children.get(topic)
      if (child !== undefined && this.#past.size < this.#options.limits.patternTopicsMax) { this.#past.set(topic, child.span) }
      child?.end()
    }
    return { lost, widened: isWider ? this.#widen(was) : undefined }
  }

  /** Called by a topic's subscription that ends alone. */
  remove (child: Subscription): void {
    if (!this.#children.delete(child.topic)) return
    this.subscriber.countPatternTopics(-1)
  }

  end (reason: EndReason = 'UNSUBSCRIBED'): boolean {
    if (this.#hasEnded) return false
    this.#hasEnded = true
    this.subscriber.remove(this, reason)
    this.#options.hub.watches.remove(this.subscriber.scope, this)
    for (const child of [...this.#children.values()]) child.end()
    return true
  }

  /** One topic after the other, so that a subscriber gets no more than a page of the past at a time. */
  async #catchUp (joining: readonly Joining[]): Promise<void> {
    for (const { child, feed } of joining) {
      await this.#options.join(child, feed)
      this.#options.hub.leave(feed)
    }
  }

  /** A fresh principal covers more than the one before: what there is of it by now is live from now on. */
  #widen (was: TopicPatterns): Promise<void> {
    this.#covered.push(was)
    if (this.#told !== undefined) return this.#widening
    this.#told = new Map()
    this.#widening = this.list().then(logs => {
      if (this.#hasEnded) return
      const fresh = logs.filter(({ topic }) => !this.#children.has(topic) && this.#covers(topic))
      if (this.isFull(fresh.length)) return this.subscriber.resync(this, patternTooWide)
      const isNew = (topic: string) => this.#covered.every(set => set.covers(topic))
      this.start(
        fresh.map(log => this.take(log.topic, log, feed => isNew(log.topic) ? 0 : feed.position)),
        new Set(fresh.map(({ topic }) => topic))
      )
    }).catch(() =>
      this.subscriber.resync(this, {
        code: 'DATABASE_UNAVAILABLE',
        message: 'The topics could not be listed: subscribe again with `after`'
      })
    )
    return this.#widening
  }

  #covers (topic: string): boolean {
    return permissionsAt(this.subscriber.principal, this.subscriber.scope).subscribe.covers(topic)
  }
}

const patternTooWide: ResyncReason = {
  code: 'PATTERN_TOO_WIDE',
  message: 'The pattern has come to match more topics than one may: subscribe to narrower ones'
}
