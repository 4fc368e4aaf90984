import type { ScopeStats, TopicStats } from '../foundation/observability/live-stats.ts'
import type { LogHead, LogPosition } from '../events/log.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import type { Scope } from '../../schemas/scope.ts'
import { EarlyEvents, type EarlyBudget } from './early-events.ts'
import { SubscriptionIndex } from './matching/subscription-index.ts'
import type { ResyncReason } from './subscriber.ts'
import type { Subscription } from './subscription.ts'
import { RecentEvents, type RecentEventsBudget } from './recent-events.ts'

export interface TopicFeedOptions {
  scope: Scope
  topic: string
  /** The log position at which the feed starts. */
  start: LogHead
  metrics: Metrics
  stats: TopicStats
  scopeStats: ScopeStats
  /** The memory budget for recent events, shared by all feeds of the node. */
  recent: RecentEventsBudget
  /** The memory budget for early events, shared by all feeds of the node. */
  early: EarlyBudget
}

/** An event that is next in order, and the subscriptions that it matches. */
export interface MatchedEvent { event: LoggedEvent, matches: readonly Subscription[] }

/** The first subscriptions that an event would match, the first that it would not, and the number of each. */
export interface Probe {
  matched: readonly Subscription[]
  matchedCount: number
  unmatched: readonly Subscription[]
  unmatchedCount: number
}

const none: readonly MatchedEvent[] = []

const retentionPassed: ResyncReason = {
  code: 'RETENTION_PASSED', message: 'Retention has removed the missing events from the log. Subscribe again'
}
const epochChanged: ResyncReason = {
  code: 'RETENTION_PASSED', message: "The topic's log was restarted with a new epoch. Subscribe again"
}

/**
 * Orders the events of one topic for the subscriptions of this node: by offset, each once and without a gap, and finds
 * the subscriptions that they match. It holds an event that arrives too early. The feed is then `isBehind`, and the hub
 * reads the events before it from the log.
 */
export class TopicFeed {
  readonly scope: Scope
  readonly topic: string
  readonly stats: TopicStats
  readonly scopeStats: ScopeStats
  epoch: string
  /** The last offset that was matched. */
  position: number
  readonly #metrics: Metrics
  readonly #index = new SubscriptionIndex<Subscription>()
  readonly #early: EarlyEvents
  readonly #recent: RecentEvents
  /** Subscriptions that are opening or catching up. */
  #guests = 0
  /** The highest offset that the log is known to hold. */
  #target = 0
  #isClosed = false

  constructor ({ scope, topic, start, metrics, stats, scopeStats, recent, early }: TopicFeedOptions) {
    this.scope = scope
    this.topic = topic
    this.epoch = start.epoch
    this.position = start.head
    this.stats = stats
    this.scopeStats = scopeStats
    this.#metrics = metrics
    this.#recent = new RecentEvents(recent, scope.applicationId)
    this.#early = new EarlyEvents(early)
    stats.feeds++
    scopeStats.feeds++
  }

  get subscriptions () { return this.#index.size }

  /** Whether no subscription is attached or on its way. */
  get isIdle () { return this.#guests === 0 && this.#index.size === 0 }

  /** Whether the log has events that the feed lacks. */
  get isBehind () { return this.#target > this.position && !this.#isClosed }

  /** Keeps the feed open until `leave`, for a subscription that is not attached yet. */
  enter (): void {
    this.#guests++
  }

  leave (): void {
    this.#guests--
  }

  /** Makes a subscription live: it receives every matching event above the feed's position and above its own. */
  attach (subscription: Subscription): void {
    if (subscription.hasEnded) return
    subscription.isLive = true
    this.#index.add(subscription)
  }

  detach (subscription: Subscription): void {
    this.#index.remove(subscription)
  }

  /**
   * Accepts an event from this node's writer or from the bus, in any order and any number of times. Returns the events
   * that are next in order: this one and the held ones that follow it, or none.
   */
  accept (event: LoggedEvent): readonly MatchedEvent[] {
    if (event.epoch !== this.epoch) {
      this.#startAnew(event.epoch, event.offset - 1)
      return none
    }
    if (event.offset <= this.position) return none
    if (event.offset > this.position + 1) {
      this.#early.keep(event)
      this.reach(event.offset)
      return none
    }
    const matched = [this.#match(event)]
    if (this.#early.size > 0) this.#matchEarly(matched)
    return matched
  }

  /**
   * Accepts the page of the log that follows the position. Returns its events in order, followed by held ones. Ends
   * subscriptions with `resync` if retention has removed an event that they lack.
   */
  fill (page: readonly LoggedEvent[]): readonly MatchedEvent[] {
    const matched: MatchedEvent[] = []
    this.#skipTo((page[0]?.offset ?? this.#target + 1) - 1, matched)
    for (const event of page) {
      if (event.offset !== this.position + 1) continue
      this.#metrics.gapsFilled.inc()
      matched.push(this.#match(event))
    }
    this.#matchEarly(matched)
    return matched
  }

  /** Records the log's head. The feed is behind if the head is above its position. */
  reach (head: number, epoch = this.epoch): void {
    if (epoch !== this.epoch) return this.#startAnew(epoch, head)
    if (head > this.#target) this.#target = head
  }

  /** Returns the subscriptions that a past event matches now. */
  matching (event: Pick<LoggedEvent, 'value'>): readonly Subscription[] {
    return this.#index.matching(event)
  }

  /** Returns up to `max` subscriptions that an event does not match. */
  unmatched (event: Pick<LoggedEvent, 'value'>, max: number): readonly Subscription[] {
    return this.#index.unmatched(event, max)
  }

  /** Returns recent events above an offset from memory; undefined if memory does not reach back that far. */
  recent (after: number): LoggedEvent[] | undefined {
    return this.#recent.above(after)
  }

  /**
   * Returns the log's position for a client that resumes after an offset; undefined if memory does not reach back that
   * far.
   */
  standing (after: number): LogPosition | undefined {
    const earliest = this.#recent.first ?? this.position + 1
    return after >= earliest - 1 && after <= this.position
      ? { epoch: this.epoch, head: this.position, earliest }
      : undefined
  }

  /** Adds a page of the log to memory if it adjoins the events there, and fits. */
  recall (page: readonly LoggedEvent[]): void {
    const [first, last] = [page[0], page.at(-1)]
    const next = this.#recent.first ?? this.position + 1
    if (
      first === undefined || last === undefined || first.epoch !== this.epoch || first.offset >= next ||
      last.offset + 1 < next
    ) return
    this.#recent.unshift(page.filter(({ offset }) => offset < next))
  }

  /** Reports which subscriptions an event would match, regardless of its offset. */
  probe (event: Pick<LoggedEvent, 'value'>, max: number): Probe {
    const matches = this.matching(event)
    return {
      matched: matches.slice(0, max),
      matchedCount: matches.length,
      unmatched: this.unmatched(event, max),
      unmatchedCount: this.subscriptions - matches.length
    }
  }

  close (): void {
    this.#isClosed = true
    this.#recent.end()
    this.#early.end()
    this.stats.feeds--
    this.scopeStats.feeds--
  }

  #match (event: LoggedEvent): MatchedEvent {
    this.position = event.offset
    this.#recent.push(event)
    return { event, matches: this.matching(event) }
  }

  /** Appends the held events that follow the position. */
  #matchEarly (matched: MatchedEvent[]): void {
    const next = () => this.#early.take(this.position + 1)
    for (let event = next(); event !== undefined; event = next()) matched.push(this.#match(event))
    this.#early.dropTo(this.position)
  }

  /** Skips events that retention has removed. Subscriptions that lack them end with `resync`. */
  #skipTo (offset: number, matched: MatchedEvent[]): void {
    if (offset <= this.position) return
    // Before the position advances, so that their final spans do not count the skipped offsets as delivered.
    this.#resyncAll(retentionPassed)
    this.position = offset
    this.#recent.clear()
    this.#matchEarly(matched)
  }

  #startAnew (epoch: string, position: number): void {
    this.#resyncAll(epochChanged)
    this.epoch = epoch
    this.position = position
    this.#target = position
    this.#recent.clear()
    this.#early.clear()
  }

  #resyncAll (reason: ResyncReason): void {
    for (const subscription of [...this.#index.all()]) subscription.subscriber.resync(subscription.whole, reason)
  }
}
