import { permissionsAt } from '../../identity/access/permissions.ts'
import { TopicPatterns } from '../../foundation/topic-pattern.ts'
import type { DeliveryLimits } from '../../config.ts'
import type { LogHead, TopicLog } from '../../events/log.ts'
import { randomId } from '../../foundation/ids.ts'
import type { ReturnMode } from '../../../schemas/realtime.ts'
import type { Connection, ResyncReason } from '../sockets/connection.ts'
import type { Filter } from '../matching/filter.ts'
import { patternTopicBytes } from '../../foundation/limits/held-bytes.ts'
import type { Hub } from '../hub.ts'
import type { EndReason, Span } from '../sockets/subscription-observer.ts'
import type { PatternWatcher } from './pattern-watches.ts'
import { Subscription } from '../subscription.ts'
import type { TopicFeed } from '../topic-feed.ts'

export interface PatternOptions {
  hub: Hub
  limits: DeliveryLimits
  /** Delivers what lies between a subscription's position and the feed's, then makes it live. Never rejects. */
  join (subscription: Subscription, feed: TopicFeed): Promise<void>
  pattern: string
  filter: Filter | undefined
  returnMode: ReturnMode
}

/** What a connection's principals covered and cover, and whether that is more. */
interface CoverChange { was: TopicPatterns, is: TopicPatterns, isWider: boolean }

/** One topic of a pattern on its way to being live. The feed is entered. */
interface Joining { child: Subscription, feed: TopicFeed }

/**
 * One connection's wish for the events of every topic that a pattern matches and its principal may see: a subscription
 * a topic, all of one id. Topics whose logs are made after it began are part of it from their first event on.
 * It ends as a whole, or a topic at a time when a fresh token no longer covers it.
 */
export class PatternSubscription implements PatternWatcher {
  readonly id = randomId('sub')
  readonly connection: Connection
  /** Epoch milliseconds. */
  readonly startedAt = Date.now()
  readonly topic: string
  readonly #options: PatternOptions
  readonly #matches: TopicPatterns
  readonly #prefix: string
  readonly #ending: string
  /** Of topics that it has lost to fresh principals. */
  readonly #past = new Map<string, Required<Span>>()
  readonly #children = new Map<string, Subscription>()
  /** While the logs are listed: topics that were told of meanwhile, with the heads that they have at least. */
  #told: Map<string, LogHead> | undefined = new Map()
  /** What the principals before this one covered, since the last list: a topic outside of it may have a past that was not to be seen. */
  #covered: TopicPatterns[] = []
  #widening: Promise<void> = Promise.resolve()
  #hasEnded = false

  constructor (connection: Connection, options: PatternOptions) {
    this.connection = connection
    this.topic = options.pattern
    this.#options = options
    this.#matches = new TopicPatterns([options.pattern])
    this.#prefix = options.pattern.slice(0, options.pattern.indexOf('*'))
    this.#ending = connection.transport.ending([this.id])
    options.hub.watches.add(connection.scope, this)
  }

  get hasEnded () { return this.#hasEnded }
  get filter (): Filter | undefined { return this.#options.filter }
  get returnMode (): ReturnMode { return this.#options.returnMode }

  /** As a subscription's, of every topic that it has or had. */
  spans (): Record<string, Required<Span>> {
    return Object.fromEntries([...this.#past, ...[...this.#children].map(([topic, child]) => [topic, child.span] as const)])
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

  /** The logs that there are by now of topics that it matches, covered or not: the principal may be another one when they are taken in. */
  async list (): Promise<readonly TopicLog[]> {
    const { hub } = this.#options
    const logs = await hub.watches.list(this.connection.scope)
    return logs.matching(this.topic, topic => this.matches(topic))
  }

  /** Whether so many topics more are too many for it or for its connection. */
  isFull (more = 1): boolean {
    const { patternTopicsMax, patternTopicsPerConnectionMax } = this.#options.limits
    return this.#children.size + more > patternTopicsMax || this.connection.patternTopics + more > patternTopicsPerConnectionMax
  }

  /** Takes a topic in at a position that is computed from its feed. It is live once it was handed to `start`. */
  take (topic: string, log: LogHead, positionIn: (feed: TopicFeed) => number): Joining {
    const { hub, filter, returnMode } = this.#options
    const feed = hub.enterAt(this.connection.scope, topic, log)
    const child = new Subscription(this.connection, feed, { filter, returnMode, position: positionIn(feed), pattern: this, ending: this.#ending })
    this.#children.set(topic, child)
    this.connection.patternTopics++
    this.connection.hold(patternTopicBytes)
    return { child, feed }
  }

  /** Makes topics live: at once where there is nothing to catch up with, one after the other where there is. The list is over. */
  start (joining: readonly Joining[], listed: ReadonlySet<string>): void {
    const behind = joining.filter(({ child, feed }) => {
      if (child.position < feed.position) return true
      feed.attach(child)
      feed.leave()
      return false
    })
    if (behind.length > 0) void this.#catchUp(behind)
    const told = this.#told ?? new Map<string, LogHead>()
    this.#told = undefined
    this.#covered = []
    for (const [topic, log] of told) {
      if (listed.has(topic)) this.#options.hub.reach(this.connection.scope, topic, log)
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
    if (this.isFull()) return this.connection.resync(this, patternTooWide)
    this.start([this.take(topic, log, () => 0)], new Set())
  }

  /**
   * The connection has a fresh principal. Answers the topics that it no longer covers, which have ended, and when what it covers newly
   * is part of the pattern.
   */
  refreshed ({ was, is, isWider }: CoverChange): { lost: string[], widened: Promise<void> | undefined } {
    if (was === is) return { lost: [], widened: undefined }
    this.#options.hub.watches.changed(this.connection.scope)
    const lost = [...this.#children.keys()].filter(topic => !is.covers(topic))
    for (const topic of lost) {
      const child = this.#children.get(topic)
      if (child !== undefined && this.#past.size < this.#options.limits.patternTopicsMax) this.#past.set(topic, child.span)
      child?.end()
    }
    return { lost, widened: isWider ? this.#widen(was) : undefined }
  }

  /** Called by a topic's subscription that ends alone. */
  remove (child: Subscription): void {
    if (!this.#children.delete(child.topic)) return
    this.connection.patternTopics--
    this.connection.hold(-patternTopicBytes)
  }

  /** Answers false when it had ended before. */
  end (reason: EndReason = 'UNSUBSCRIBED'): boolean {
    if (this.#hasEnded) return false
    this.#hasEnded = true
    this.connection.remove(this, reason)
    this.#options.hub.watches.remove(this.connection.scope, this)
    for (const child of [...this.#children.values()]) child.end()
    return true
  }

  get whole (): this { return this }

  /** One topic after the other, so that one connection's past is no more than a page at a time. */
  async #catchUp (joining: readonly Joining[]): Promise<void> {
    for (const { child, feed } of joining) {
      await this.#options.join(child, feed)
      feed.leave()
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
      if (this.isFull(fresh.length)) return this.connection.resync(this, patternTooWide)
      const isNew = (topic: string) => this.#covered.every(set => set.covers(topic))
      this.start(fresh.map(log => this.take(log.topic, log, feed => isNew(log.topic) ? 0 : feed.position)), new Set(fresh.map(({ topic }) => topic)))
    }).catch(() => this.connection.resync(this, { code: 'DATABASE_UNAVAILABLE', message: 'The topics could not be listed: subscribe again with `after`' }))
    return this.#widening
  }

  #covers (topic: string): boolean {
    return permissionsAt(this.connection.principal, this.connection.scope).subscribe.covers(topic)
  }
}

const patternTooWide: ResyncReason = {
  code: 'PATTERN_TOO_WIDE', message: 'The pattern has come to match more topics than one may: subscribe to narrower ones'
}
