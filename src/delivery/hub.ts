import type { LiveStats } from '../foundation/observability/live-stats.ts'
import type { Listening } from '../cluster/bus.ts'
import type { EventRelay } from './event-relay.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { EventLog, LogHead } from '../events/log.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import { scopeKey, type Scope } from '../../schemas/scope.ts'
import type { DeliveryObserver } from './delivery-observer.ts'
import type { EarlyBudget } from './early-events.ts'
import { PatternWatches } from './patterns/pattern-watches.ts'
import { PendingDeliveries } from './pending-deliveries.ts'
import { RecentEventsBudget } from './recent-events.ts'
import type { Subscription, SubscriptionHost } from './subscription.ts'
import { TopicFeed, type MatchedEvent } from './topic-feed.ts'

/** Interval at which the heads of all followed topics are compared with the log. Finds events whose hint was lost. */
const pollMs = 1000
/** Topics that one statement of the poll covers. */
const pollTopics = 2000
/** Events per page when a gap is filled, and the pause after a failed read. */
const fillEvents = 500
const fillRetryMs = 250

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
  readonly #feeds = new Map<string, TopicFeed>()
  readonly #opening = new Map<string, Promise<TopicFeed>>()
  readonly #followings = new Map<string, Listening>()
  /** Feeds that have just begun to receive other nodes' events. */
  #joined: TopicFeed[] = []
  readonly #pending: PendingDeliveries
  /** Feeds whose gaps are being filled. */
  readonly #filling = new Set<TopicFeed>()
  #poll: NodeJS.Timeout | undefined
  #interest: InterestSharer | undefined

  /** Memory of the feeds' recent events. */
  readonly recentEvents = new RecentEventsBudget()
  /** Memory of the feeds' early events. */
  readonly early: EarlyBudget = { bytes: 0 }
  /** Watches for new topics on behalf of the pattern subscriptions. */
  readonly watches: PatternWatches

  constructor (options: HubOptions) {
    this.#options = options
    const { log, relay } = options
    this.#pending = new PendingDeliveries(options)
    this.watches = new PatternWatches({
      log,
      follow: scope => relay.followBeginnings(scope, events => this.publish(events)),
      onChanged: scope => this.#interest?.changed(scope)
    })
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
    for (const feed of this.#feeds.values()) feed.close()
    for (const following of this.#followings.values()) following.end()
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
      if (feed.isBehind) void this.#fill(feed)
    }
    this.#pending.flush(events.at(-1)?.timestamp)
  }

  /**
   * Returns the feed of a topic, entered. Opens it at the log's head for the first subscription on this node. The
   * caller must call `leave` once its subscription is attached or given up.
   */
  async enter (scope: Scope, topic: string): Promise<TopicFeed> {
    const key = feedKey(scope, topic)
    for (;;) {
      const feed = this.#feeds.get(key) ?? await this.#open(key, scope, topic)
      // The feed may have become idle and closed between its opening and this turn.
      if (this.#feeds.get(key) !== feed) continue
      feed.enter()
      await this.spread(scope)
      return feed
    }
  }

  /** Like `enter`, but synchronous, for a log whose head is known: a feed that must be opened starts there. */
  enterAt (scope: Scope, topic: string, log: LogHead): TopicFeed {
    const key = feedKey(scope, topic)
    const feed = this.#feeds.get(key) ?? this.#start(key, scope, topic, log)
    feed.enter()
    return feed
  }

  /** Undoes `enter`. Closes the feed if it has no subscription. */
  leave (feed: TopicFeed): void {
    feed.leave()
    this.#closeIfIdle(feed)
  }

  /** Detaches a subscription that has ended. The feed closes with its last one. */
  detach (subscription: Subscription): void {
    const feed = this.feedOf(subscription.subscriber.scope, subscription.topic)
    if (feed === undefined) return
    feed.detach(subscription)
    this.#closeIfIdle(feed)
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
    const key = feedKey(scope, topic)
    return this.#feeds.has(key) || this.#opening.has(key) || (!this.watches.isEmpty && this.watches.wants(scope, topic))
  }

  /** Returns the number of live subscriptions to a topic on this node, those of patterns included. */
  subscriptionsTo (scope: Scope, topic: string): number {
    return this.feedOf(scope, topic)?.subscriptions ?? 0
  }

  /** Returns the topic's feed if the topic has subscriptions on this node. */
  feedOf (scope: Scope, topic: string): TopicFeed | undefined {
    return this.#feeds.get(feedKey(scope, topic))
  }

  /**
   * Sends past events to the subscribers of this node that match them now. Leaves every subscription's position
   * unchanged. Skips subscribers that already have much to read, because a replay is outside the guarantees.
   */
  replay (events: readonly LoggedEvent[]): { sent: number, passedOver: number } {
    const total = { sent: 0, passedOver: 0 }
    for (const event of events) {
      const matches = this.feedOf(event.scope, event.topic)?.matching(event) ?? []
      for (const subscription of matches) {
        if (!subscription.subscriber.hasRoomToSpare) total.passedOver++
        else {
          total.sent++
          this.#pending.enqueue(event, subscription)
        }
      }
      // Flush after each event, so that the room for the next one is measured with this one sent.
      this.#pending.flush()
    }
    return total
  }

  /** Compares the heads of all feeds with the log and fills those that are behind. Covers every tenant on purpose. */
  async compareHeads (): Promise<void> {
    try {
      await this.#compare([...this.#feeds.values()])
      await this.watches.poll()
    } catch (err) {
      this.#options.logger.warn({ err }, 'hub.poll_failed')
    }
  }

  async #compare (feeds: readonly TopicFeed[]): Promise<void> {
    for (let i = 0; i < feeds.length; i += pollTopics) {
      const some = feeds.slice(i, i + pollTopics)
      const heads = await this.#options.log.heads(some)
      for (const [j, feed] of some.entries()) {
        const head = heads[j]
        if (head !== undefined) this.#reach(feed, head)
      }
    }
  }

  /**
   * Called when other nodes' events begin to arrive for a feed. Compares the heads of all such feeds of this turn at
   * once, to find events written before.
   */
  #joins (feed: TopicFeed): void {
    this.#joined.push(feed)
    if (this.#joined.length > 1) return
    setImmediate(() => {
      const joined = this.#joined
      this.#joined = []
      // If it fails, the poll finds them.
      this.#compare(joined).catch(() => {})
    })
  }

  #open (key: string, scope: Scope, topic: string): Promise<TopicFeed> {
    let opening = this.#opening.get(key)
    if (opening === undefined) {
      // A pattern may have opened it in the meantime.
      opening = this.#options.log.position(scope, topic)
        .then(log => this.#feeds.get(key) ?? this.#start(key, scope, topic, log))
        .finally(() => {
          this.#opening.delete(key)
          this.#interest?.changed(scope)
        })
      this.#opening.set(key, opening)
      this.#interest?.changed(scope)
    }
    return opening
  }

  #start (key: string, scope: Scope, topic: string, start: LogHead): TopicFeed {
    const { metrics, liveStats } = this.#options
    const feed = new TopicFeed({
      scope,
      topic,
      start,
      metrics,
      stats: liveStats.topic(scope, topic),
      scopeStats: liveStats.scope(scope),
      recent: this.recentEvents,
      early: this.early
    })
    this.#feeds.set(key, feed)
    this.#interest?.changed(scope)
    const following = this.#options.relay.follow(scope, topic, events => this.publish(events))
    if (following !== undefined) {
      this.#followings.set(key, following)
      void following.live.then(() => this.#joins(feed))
    }
    return feed
  }

  #closeIfIdle (feed: TopicFeed): void {
    const key = feedKey(feed.scope, feed.topic)
    if (!feed.isIdle || this.#feeds.get(key) !== feed) return
    feed.close()
    this.#feeds.delete(key)
    this.#interest?.changed(feed.scope)
    this.#followings.get(key)?.end()
    this.#followings.delete(key)
  }

  #reach (feed: TopicFeed, { epoch, head }: LogHead): void {
    feed.reach(head, epoch)
    if (feed.isBehind) void this.#fill(feed)
  }

  /** Reads the events that a feed lacks from the log, page by page, and routes them. */
  async #fill (feed: TopicFeed): Promise<void> {
    if (this.#filling.has(feed)) return
    this.#filling.add(feed)
    while (feed.isBehind) {
      const range = { after: feed.position, limit: fillEvents }
      const page = await this.#options.log.page(feed.scope, feed.topic, range).catch(() => undefined)
      if (page === undefined) await new Promise(resolve => setTimeout(resolve, fillRetryMs).unref())
      else {
        this.#route(feed, feed.fill(page))
        this.#pending.flush()
      }
    }
    this.#filling.delete(feed)
  }

  /** Enqueues events at the subscribers that they match. The caller must flush in the same turn. */
  #route (feed: TopicFeed, events: readonly MatchedEvent[]): void {
    for (const matched of events) this.#pending.add(feed, matched)
  }
}

const feedKey = (scope: Scope, topic: string) => `${scopeKey(scope)}/${topic}`
