import type { LiveStats } from '../foundation/observability/live-stats.ts'
import type { EventRelay } from './event-relay.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { EventLog, LogHead } from '../events/log.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { DeliveryObserver } from './delivery-observer.ts'
import { GapFiller } from './gap-filler.ts'
import { HeadComparison } from './head-comparison.ts'
import { PatternWatches } from './patterns/pattern-watches.ts'
import { PendingDeliveries } from './pending-deliveries.ts'
import { RecentEventsBudget } from './recent-events.ts'
import type { Subscription, SubscriptionHost } from './subscription.ts'
import type { MatchedEvent, TopicFeed } from './topic-feed.ts'
import { TopicFeeds } from './topic-feeds.ts'

/** Interval at which the heads of all followed topics are compared with the log. */
const pollMs = 1000

export interface HubOptions {
  log: EventLog
  /** Brings events of other nodes at once. Those that it does not bring are found by the poll. */
  relay: EventRelay
  metrics: Metrics
  observer: DeliveryObserver
  liveStats: LiveStats
  logger: { warn (fields: object, message: string): void }
}

/** Shares with other nodes which topics have listeners on this node. */
export interface InterestSharer {
  /** Called when the listeners of the scope may have changed. */
  changed (scope: Scope): void
  /** Resolves when every node has the scope's listeners; undefined if they all have them already. Never rejects. */
  spread (scope: Scope): Promise<unknown> | undefined
}

/**
 * Distributes committed events to the subscriptions of this node. Delivery runs one way: the hub receives events from
 * the writer, the bus and gap fills. The feed of their topic returns the events that are next in order, with the
 * subscriptions that they match. The hub enqueues them at the subscribers and flushes those once a batch.
 */
export class Hub implements SubscriptionHost {
  readonly #options: HubOptions
  readonly #feeds: TopicFeeds
  readonly #gapFiller: GapFiller
  readonly #heads: HeadComparison
  readonly #pending: PendingDeliveries
  #poll: NodeJS.Timeout | undefined
  #interest: InterestSharer | undefined

  /** Memory of the feeds' recent events. */
  readonly recentEvents = new RecentEventsBudget()
  /** Watches for new topics on behalf of the pattern subscriptions. */
  readonly watches: PatternWatches

  constructor (options: HubOptions) {
    this.#options = options
    const { log, relay } = options
    const onChanged = (scope: Scope) => this.#interest?.changed(scope)
    const onEvents = (events: readonly LoggedEvent[]) => this.publish(events)
    this.#pending = new PendingDeliveries(options)
    this.#gapFiller = new GapFiller({
      log,
      onEvents: (feed, events) => {
        this.#route(feed, events)
        this.#pending.flush()
      }
    })
    this.#heads = new HeadComparison({ log, onHead: (feed, head) => this.#reach(feed, head) })
    this.#feeds = new TopicFeeds({
      ...options,
      recentEvents: this.recentEvents,
      onEvents,
      // Finds the events that were written before.
      onFollowing: feed => this.#heads.compareSoon(feed),
      onChanged
    })
    this.watches = new PatternWatches({ log, follow: scope => relay.followBeginnings(scope, onEvents), onChanged })
    relay.onRestored(() => { void this.compareHeads() })
  }

  start (): void {
    let polling: Promise<void> | undefined
    this.#poll = setInterval(() => {
      // One poll at a time, so that a slow database does not get a second one.
      polling ??= this.compareHeads().finally(() => { polling = undefined })
    }, pollMs).unref()
  }

  /** Stops the poll. The node then receives only its own events and those from the bus. */
  stopPolling (): void {
    clearInterval(this.#poll)
  }

  stop (): void {
    this.stopPolling()
    this.#feeds.close()
  }

  /** Reports changes of listeners to one sharer from now on. Returns a function that stops it. */
  shareInterest (sharer: InterestSharer): () => void {
    this.#interest = sharer
    return () => { if (this.#interest === sharer) this.#interest = undefined }
  }

  /** Number of topics with subscriptions on this node, live or about to be. */
  get size () { return this.#feeds.size }

  /** Routes committed events, in any order, and sends them to the matching subscribers. */
  publish (events: readonly LoggedEvent[]): void {
    for (const event of events) {
      if (!this.watches.isEmpty) this.watches.announce(event)
      const feed = this.feedOf(event.scope, event.topic)
      if (feed === undefined) continue
      this.#route(feed, feed.accept(event))
      if (feed.isBehind) void this.#gapFiller.fill(feed)
    }
    this.#pending.flush(events.at(-1)?.timestamp)
  }

  /**
   * Returns the feed of a topic, entered. Opens it at the log's head for the first subscription on this node. The
   * caller must call `leave` once its subscription is attached or given up.
   */
  async enter (scope: Scope, topic: string): Promise<TopicFeed> {
    const feed = await this.#feeds.enter(scope, topic)
    await this.spread(scope)
    return feed
  }

  /** Like `enter`, but synchronous, for a log whose head is known: a feed that must be opened starts there. */
  enterAt (scope: Scope, topic: string, log: LogHead): TopicFeed {
    return this.#feeds.enterAt(scope, topic, log)
  }

  /** Undoes `enter`. Closes the feed if it has no subscription. */
  leave (feed: TopicFeed): void {
    this.#feeds.leave(feed)
  }

  /** Detaches a subscription that has ended. The feed closes with its last one. */
  detach (subscription: Subscription): void {
    const feed = this.feedOf(subscription.subscriber.scope, subscription.topic)
    if (feed === undefined) return
    feed.detach(subscription)
    this.#feeds.closeIfIdle(feed)
  }

  /** Resolves when every node has the current listeners of the scope. */
  async spread (scope: Scope): Promise<void> {
    await this.#interest?.spread(scope)
  }

  /** Records that a topic's log has this head. The topic's feed, if there is one, reads the events that it lacks. */
  reach (scope: Scope, topic: string, log: LogHead): void {
    const feed = this.feedOf(scope, topic)
    if (feed !== undefined) this.#reach(feed, log)
  }

  /** Returns whether a topic has a subscription on this node, an opening one, or a pattern that would include it. */
  hasListeners (scope: Scope, topic: string): boolean {
    return this.#feeds.has(scope, topic) || (!this.watches.isEmpty && this.watches.wants(scope, topic))
  }

  /** Returns the number of live subscriptions to a topic on this node, those of patterns included. */
  subscriptionsTo (scope: Scope, topic: string): number {
    return this.feedOf(scope, topic)?.subscriptions ?? 0
  }

  /** Returns the topic's feed if the topic has subscriptions on this node. */
  feedOf (scope: Scope, topic: string): TopicFeed | undefined {
    return this.#feeds.find(scope, topic)
  }

  /**
   * Sends past events to the subscribers of this node that match them now. Leaves every subscription's position
   * unchanged. Skips subscribers that already have much to read, because a replay is outside the guarantees.
   */
  replay (events: readonly LoggedEvent[]): { sent: number, passedOver: number } {
    const total = { sent: 0, passedOver: 0 }
    for (const event of events) {
      const feed = this.feedOf(event.scope, event.topic)
      if (feed === undefined) continue
      const matches = feed.matching(event)
      for (const subscription of matches) {
        if (!subscription.subscriber.hasRoomToSpare) total.passedOver++
        else {
          total.sent++
          this.#pending.enqueue(event, subscription)
        }
      }
      // Flush after each event, so that the room for the next one is measured with this one sent.
      this.#pending.flush()
      feed.stats.delivered += event.takeHanded()
    }
    return total
  }

  /** Compares the heads of all feeds with the log and fills those that are behind. Covers every tenant on purpose. */
  async compareHeads (): Promise<void> {
    try {
      await this.#heads.compare(this.#feeds.all())
      await this.watches.poll()
    } catch (err) {
      this.#options.logger.warn({ err }, 'hub.poll_failed')
    }
  }

  #reach (feed: TopicFeed, { epoch, head }: LogHead): void {
    feed.reach(head, epoch)
    if (feed.isBehind) void this.#gapFiller.fill(feed)
  }

  /** Enqueues events at the subscribers that they match. The caller must flush in the same turn. */
  #route (feed: TopicFeed, events: readonly MatchedEvent[]): void {
    for (const matched of events) this.#pending.add(feed, matched)
  }
}
