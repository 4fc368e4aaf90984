import type { ScopeActivity, TopicActivity } from '../foundation/observability/live-stats.ts'
import type { EventLog, LogPosition } from '../events/log.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import type { Scope } from '../../schemas/scope.ts'
import { EarlyEvents, type EarlyBudget } from './early-events.ts'
import { Matcher } from './matching/subscription-index.ts'
import { namedSubscriptionsMax, type DeliveryObserver } from './delivery-observer.ts'
import type { ResyncReason, Subscriber } from './subscriber.ts'
import type { Subscription } from './subscription.ts'
import { Tail, type TailBudget } from './recent-events.ts'

const fillPage = 500
const fillRetryMs = 250

export interface TopicFeedOptions {
  scope: Scope
  topic: string
  log: EventLog
  metrics: Metrics
  observer: DeliveryObserver
  activity: TopicActivity
  scopeActivity: ScopeActivity
  /** What all feeds of the node may remember. */
  tails: TailBudget
  /** What they may hold of events that come too early. */
  early: EarlyBudget
  /** Gets every event that somebody matched, once it is queued. */
  onMatched: (feed: TopicFeed, event: LoggedEvent) => void
  /** Gets every subscriber that has just queued its first event. */
  onQueued: (subscriber: Subscriber) => void
  /** Called after events were routed outside of `offer`. */
  onRouted: () => void
}

const noIds: readonly string[] = []

const retentionPassed: ResyncReason = {
  code: 'RETENTION_PASSED', message: 'The log no longer holds the events that are missing: subscribe again'
}
const epochChanged: ResyncReason = { code: 'RETENTION_PASSED', message: 'The topic\'s log has started anew: subscribe again' }

/**
 * One topic on this node, while somebody here listens: every event once, in the order of offsets, without a gap.
 * What the bus brings is a hint: an event that comes too early waits while the log is asked for those before it.
 */
export class TopicFeed {
  readonly scope: Scope
  readonly topic: string
  epoch: string
  /** The last offset that was routed to the subscriptions. */
  position: number
  readonly #options: TopicFeedOptions
  readonly #matcher = new Matcher<Subscription>()
  /** Events that wait for a gap to be filled. */
  readonly #early: EarlyEvents
  readonly #tail: Tail
  /** Subscriptions that are still on their way here: opening, catching up. */
  #guests = 0
  /** The log is known to reach this far. */
  #target = 0
  #isFilling = false
  #isClosed = false

  constructor (options: TopicFeedOptions, start: { epoch: string, head: number }) {
    this.#options = options
    this.#tail = new Tail(options.tails, options.scope.applicationId)
    this.#early = new EarlyEvents(options.early)
    this.scope = options.scope
    this.topic = options.topic
    this.epoch = start.epoch
    this.position = start.head
    options.activity.feeds++
    options.scopeActivity.feeds++
  }

  get subscriptions () { return this.#matcher.size }
  get activity () { return this.#options.activity }

  /** Keeps the feed alive until `leave`, before a subscription is attached. */
  enter (): void {
    this.#guests++
  }

  leave (): void {
    this.#guests--
  }

  /** Whether it has no subscription, and none on its way. */
  get isIdle () { return this.#guests === 0 && this.#matcher.size === 0 }

  /** Makes a subscription live: it gets every matching event above the feed's position, and above its own. */
  attach (subscription: Subscription): void {
    if (subscription.hasEnded) return
    subscription.isLive = true
    this.#matcher.add(subscription)
  }

  detach (subscription: Subscription): void {
    this.#matcher.remove(subscription)
  }

  /** Takes an event from this node's writer or from the bus: in order or not, once or more often. */
  offer (event: LoggedEvent): void {
    if (event.epoch !== this.epoch) return this.#startAnew(event.epoch, event.offset - 1)
    if (event.offset <= this.position) return
    if (event.offset === this.position + 1) {
      this.#route(event)
      if (this.#early.size > 0) this.#routeEarly()
      return
    }
    this.#early.keep(event)
    this.reach(event.offset)
  }

  /** The log is known to have this head: fetches what is missing. */
  reach (head: number, epoch = this.epoch): void {
    if (epoch !== this.epoch) return this.#startAnew(epoch, head)
    if (head > this.#target) this.#target = head
    if (this.#target > this.position && !this.#isFilling) void this.#fill()
  }

  /** Recent events above an offset from memory; undefined when memory does not reach back so far. */
  recent (after: number): LoggedEvent[] | undefined {
    return this.#tail.above(after)
  }

  /** Where the log stands, for a client that goes on after an offset; undefined when memory does not reach back so far. */
  standing (after: number): LogPosition | undefined {
    const earliest = this.#tail.first ?? this.position + 1
    return after >= earliest - 1 && after <= this.position ? { epoch: this.epoch, head: this.position, earliest } : undefined
  }

  /** Takes a page of the log into memory when it ends where memory begins, and fits. */
  recall (page: readonly LoggedEvent[]): void {
    const [first, last] = [page[0], page.at(-1)]
    const next = this.#tail.first ?? this.position + 1
    if (first === undefined || last === undefined || first.epoch !== this.epoch || first.offset >= next || last.offset + 1 < next) return
    this.#tail.unshift(page.filter(({ offset }) => offset < next))
  }

  /** What the matcher would say of an event, whose offset does not count: how many, and the first of each kind. */
  probe (event: Pick<LoggedEvent, 'value'>, max: number): { matched: Subscription[], matchedCount: number, unmatched: Subscription[], unmatchedCount: number } {
    const matched: Subscription[] = []
    const matchedCount = this.#matcher.match(event, subscription => { if (matched.length < max) matched.push(subscription) })
    return { matched, matchedCount, unmatched: this.#matcher.unmatched(event, max), unmatchedCount: this.#matcher.size - matchedCount }
  }

  /**
   * Queues an event of the past for the live subscriptions that it matches; nobody's position moves. Whoever has enough to
   * read already is passed over.
   */
  replay (event: LoggedEvent): { sent: number, passedOver: number } {
    let sent = 0
    const matched = this.#matcher.match(event, subscription => {
      const { subscriber } = subscription
      if (!subscriber.hasRoomToSpare) return
      sent++
      if (subscriber.enqueue(event, subscription)) this.#options.onQueued(subscriber)
    })
    return { sent, passedOver: matched - sent }
  }

  close (): void {
    this.#isClosed = true
    this.#tail.end()
    this.#early.end()
    this.#options.activity.feeds--
    this.#options.scopeActivity.feeds--
  }

  #route (event: LoggedEvent): void {
    const { metrics, observer, onQueued, onMatched, activity, scopeActivity } = this.#options
    this.position = event.offset
    this.#tail.push(event)
    const matchedIds: string[] | undefined = observer.follows(event) ? [] : undefined
    const matched = this.#matcher.match(event, subscription => {
      if (matchedIds !== undefined && matchedIds.length < namedSubscriptionsMax) matchedIds.push(subscription.id)
      if (event.offset <= subscription.position) return
      subscription.position = event.offset
      if (subscription.subscriber.enqueue(event, subscription)) onQueued(subscription.subscriber)
    })
    const filtered = this.#matcher.size - matched
    if (filtered > 0) metrics.eventsFiltered.inc(filtered)
    activity.routed.add(1)
    scopeActivity.routed.add(1)
    if (matchedIds !== undefined) {
      const filteredIds = filtered === 0 ? noIds : this.#matcher.unmatched(event, namedSubscriptionsMax).map(({ id }) => id)
      observer.routed(event, { matched, filtered, matchedIds, filteredIds })
    }
    if (matched > 0) onMatched(this, event)
  }

  #routeEarly (): void {
    for (let next = this.#early.take(this.position + 1); next !== undefined; next = this.#early.take(this.position + 1)) this.#route(next)
    this.#early.dropTo(this.position)
  }

  async #fill (): Promise<void> {
    const { log, metrics, scope, topic, onRouted } = this.#options
    this.#isFilling = true
    while (this.#target > this.position && !this.#isClosed) {
      const page = await log.page(scope, topic, { after: this.position, limit: fillPage }).catch(() => undefined)
      if (page === undefined) {
        await new Promise(resolve => setTimeout(resolve, fillRetryMs).unref())
        continue
      }
      if (page.length === 0) {
        this.#skipTo(this.#target)
        break
      }
      if ((page[0]?.offset ?? 0) > this.position + 1) this.#skipTo((page[0]?.offset ?? 0) - 1)
      for (const event of page) {
        if (event.offset !== this.position + 1) continue
        metrics.gapsFilled.inc()
        this.#route(event)
      }
      this.#routeEarly()
      onRouted()
    }
    this.#isFilling = false
  }

  /** Retention has taken what was missing: nobody here can be continuous. */
  #skipTo (offset: number): void {
    if (offset <= this.position) return
    // Before the position moves: nobody has had what was skipped.
    this.#resyncAll(retentionPassed)
    this.position = offset
    this.#tail.clear()
    this.#routeEarly()
  }

  #startAnew (epoch: string, position: number): void {
    this.#resyncAll(epochChanged)
    this.epoch = epoch
    this.position = position
    this.#target = position
    this.#tail.clear()
    this.#early.clear()
  }

  #resyncAll (reason: ResyncReason): void {
    for (const subscription of [...this.#matcher.all()]) subscription.subscriber.resync(subscription.whole, reason)
  }
}
