import { permissionsAt } from '../../identity/access/permissions.ts'
import { TopicPatterns } from '../../foundation/topic-pattern.ts'
import type { DeliveryLimits } from '../../config/delivery-limits.ts'
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
  /** Delivers the events between a subscription's position and the feed's, then makes it live. Never rejects. */
  join (subscription: Subscription, feed: TopicFeed): Promise<void>
  pattern: string
  filter: Filter | undefined
  returnMode: ReturnMode
}

/** The topics that a subscriber's old and new principals cover, and whether the new ones are more. */
interface CoverChange { was: TopicPatterns, is: TopicPatterns, isWider: boolean }

/** A topic of a pattern that is about to go live. Its feed is entered. */
interface Joining { child: Subscription, feed: TopicFeed }

/**
 * A subscription to every topic that a pattern matches and the principal may read. It holds one subscription per topic,
 * all with the same id. It adds topics whose logs are created later, from their first event on. It ends as a whole, or
 * topic by topic when a fresh token no longer covers a topic.
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
  /** Spans of the topics that it lost to fresh principals. */
  readonly #past = new Map<string, Required<Span>>()
  readonly #children = new Map<string, Subscription>()
  /**
   * Topics discovered while the logs are being listed, with the lowest head that each can have; undefined otherwise.
   */
  #told: Map<string, LogHead> | undefined = new Map()
  /**
   * The topics that earlier principals covered since the last list. A topic outside of them may have past events that
   * the subscriber could not read.
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

  /** Includes the topics that it has lost. */
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
   * Lists the existing logs that the pattern matches, covered or not: the principal may change before they are added.
   */
  async list (): Promise<readonly TopicLog[]> {
    const { hub } = this.#options
    const logs = await hub.watches.list(this.subscriber.scope)
    return logs.matching(this.topic, topic => this.matches(topic))
  }

  /** Returns whether adding this many topics exceeds the limit of the pattern or of its subscriber. */
  isFull (more = 1): boolean {
    const { patternTopicsMax, patternTopicsPerConnectionMax } = this.#options.limits
    return this.#children.size + more > patternTopicsMax ||
      this.subscriber.patternTopics + more > patternTopicsPerConnectionMax
  }

  /** Adds a topic, at a position computed from its feed. Pass the result to `start` to make it live. */
  take (topic: string, log: LogHead, positionIn: (feed: TopicFeed) => number): Joining {
    const { hub, filter, returnMode } = this.#options
    const feed = hub.enterAt(this.subscriber.scope, topic, log)
    const position = positionIn(feed)
    const child = new Subscription(this.subscriber, feed, { host: hub, filter, returnMode, position, pattern: this })
    this.#children.set(topic, child)
    this.subscriber.countPatternTopics(1)
    return { child, feed }
  }

  /** Makes topics live: at once if they have nothing to catch up on, the others one after another. Ends the listing. */
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
      // The event that revealed the topic is not routed here. It is fetched once the list is complete.
      this.#told.set(topic, { epoch: log.epoch, head: known })
      return
    }
    if (!this.#covers(topic)) return
    if (this.isFull()) return this.subscriber.resync(this, patternTooWide)
    this.start([this.take(topic, log, () => 0)], new Set())
  }

  /**
   * Applies a fresh principal. Returns the topics that it no longer covers, which have ended, and a promise that
   * resolves when newly covered topics are part of the pattern.
   */
  refreshed ({ was, is, isWider }: CoverChange): { lost: string[], widened: Promise<void> | undefined } {
    if (was === is) return { lost: [], widened: undefined }
    this.#options.hub.watches.changed(this.subscriber.scope)
    const lost = [...this.#children.keys()].filter(topic => !is.covers(topic))
    for (const topic of lost) {
      const child = this.#children.get(topic)
      if (child !== undefined && this.#past.size < this.#options.limits.patternTopicsMax) {
        this.#past.set(topic, child.span)
      }
      child?.end()
    }
    return { lost, widened: isWider ? this.#widen(was) : undefined }
  }

  /** Called by a topic's subscription when it ends on its own. */
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

  /** Catches up one topic after another, so that a subscriber receives one page of the past at a time. */
  async #catchUp (joining: readonly Joining[]): Promise<void> {
    for (const { child, feed } of joining) {
      await this.#options.join(child, feed)
      this.#options.hub.leave(feed)
    }
  }

  /** Adds the topics that a fresh principal covers and the one before did not. */
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
        message: 'The topics of the pattern could not be listed. Subscribe again with `after`'
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
  message: 'The pattern now matches more topics than a pattern may have. Subscribe to a narrower pattern'
}
