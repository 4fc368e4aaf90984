import type { LoggedEvent } from '../events/envelope.ts'
import type { LiveStats } from '../foundation/observability/live-stats.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import { namedSubscriptionsMax, type DeliveryObserver, type RoutedEvent } from './delivery-observer.ts'
import type { GivenUp, Subscriber } from './subscriber.ts'
import type { Subscription } from './subscription.ts'
import type { MatchedEvent, TopicFeed } from './topic-feed.ts'

export interface PendingDeliveriesOptions {
  metrics: Metrics
  observer: DeliveryObserver
  liveStats: LiveStats
}

/** An event on its way to the subscribers that it matched. */
interface Leaving { feed: TopicFeed, event: LoggedEvent }

const nobody: readonly Subscription[] = []
const nothing: readonly GivenUp[] = []

/** Events that are enqueued at subscribers and wait for the flush at the end of the turn. */
export class PendingDeliveries {
  readonly #options: PendingDeliveriesOptions
  /** Subscribers with queued events. */
  #queued: Subscriber[] = []
  /** Events that matched a subscription. */
  #leaving: Leaving[] = []
  /** Followed events, for the observer's report. */
  #routed: RoutedEvent[] = []

  constructor (options: PendingDeliveriesOptions) {
    this.#options = options
  }

  /** Enqueues an event for the subscriptions that it matches, and advances their positions to it. */
  add (feed: TopicFeed, { event, matches }: MatchedEvent): void {
    for (const subscription of matches) if (subscription.advance(event.offset)) this.enqueue(event, subscription)
    const { metrics, observer } = this.#options
    const filtered = feed.subscriptions - matches.length
    if (filtered > 0) metrics.eventsFiltered.inc(filtered)
    feed.stats.routed.add(1)
    feed.scopeStats.routed.add(1)
    if (matches.length > 0) this.#leaving.push({ feed, event })
    if (!observer.follows(event)) return
    this.#routed.push({
      event,
      routedAt: nowMs(),
      matched: matches.length,
      filtered,
      matchedIds: idsOf(matches.slice(0, namedSubscriptionsMax)),
      filteredIds: idsOf(filtered === 0 ? nobody : feed.unmatched(event, namedSubscriptionsMax))
    })
  }

  /** Enqueues an event for one subscription, regardless of its position. */
  enqueue (event: LoggedEvent, subscription: Subscription): void {
    const { subscriber } = subscription
    if (subscriber.enqueue(event, subscription)) this.#queued.push(subscriber)
  }

  /** Flushes the subscribers and reports once. `writtenAt` is the commit time of the last event. */
  flush (writtenAt?: number): void {
    const [subscribers, leaving, routed] = [this.#queued, this.#leaving, this.#routed]
    if (leaving.length > 0) this.#leaving = []
    if (routed.length > 0) this.#routed = []
    const { metrics, observer } = this.#options
    let sent: { firstAt: number, lastAt: number } | undefined
    let givenUp = nothing
    if (subscribers.length > 0) {
      this.#queued = []
      const firstAt = nowMs()
      for (const subscriber of subscribers) {
        const lost = subscriber.flush()
        if (lost.length > 0) givenUp = givenUp.concat(lost)
      }
      sent = { firstAt, lastAt: nowMs() }
      this.#countFanOut(leaving, sent.lastAt)
      if (writtenAt !== undefined) metrics.broadcastLatency.observe(Math.max(0, Date.now() - writtenAt) / 1000)
    }
    if (routed.length + givenUp.length > 0) observer.flushed({ routed, givenUp, sent })
  }

  #countFanOut (leaving: readonly Leaving[], sentAt: number): void {
    for (let from = 0; from < leaving.length;) {
      // Events of one topic that were written together are usually adjacent.
      const { feed, event } = leaving[from] as Leaving
      let handed = event.takeHanded()
      let to = from + 1
      while (to < leaving.length && leaving[to]?.feed === feed && leaving[to]?.event.timestamp === event.timestamp) {
        handed += (leaving[to] as Leaving).event.takeHanded()
        to++
      }
      feed.stats.delivered += handed
      const latencyMs = Math.max(0, sentAt - event.timestamp)
      feed.stats.fanOut.add(latencyMs, to - from)
      this.#options.liveStats.scope(feed.scope).fanOut.add(latencyMs, to - from)
      from = to
    }
  }
}

const idsOf = (subscriptions: readonly Subscription[]) => subscriptions.map(({ id }) => id)

/** Epoch milliseconds with fractions. */
const nowMs = () => performance.timeOrigin + performance.now()
