import type { Activity } from '../foundation/observability/live-stats.ts'
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
import { TailBudget } from './recent-events.ts'
import type { Subscription, SubscriptionHost } from './subscription.ts'
import { TopicFeed, type MatchedEvent } from './topic-feed.ts'

/** How often the heads of the topics that somebody listens to are compared with the log: the net under lost hints. */
const pollMs = 1000
/** Topics that one poll asks for in one statement. */
const pollTopics = 2000
/** Events that are read at once to fill a gap, and the pause after a page that could not be read. */
const fillEvents = 500
const fillRetryMs = 250

export interface HubOptions {
  log: EventLog
  /** Brings events of other nodes at once; without it they come with the poll. */
  relay?: EventRelay | undefined
  metrics: Metrics
  observer: DeliveryObserver
  activity: Activity
  logger: { warn (fields: object, message: string): void }
}

/** Tells other nodes which topics have listeners on this one. */
export interface InterestSharer {
  /** The listeners of the scope may have changed. */
  changed (scope: Scope): void
  /** Resolves when every node has the scope's listeners; undefined when they all have them already. Never rejects. */
  spread (scope: Scope): Promise<unknown> | undefined
}

/**
 * The topics that have subscriptions on this node, each with its feed. Delivery runs one way: the hub gets events from
 * the writer, the bus and gap fills; the feed of their topic returns those whose turn has come, with the subscriptions
 * that they match; the hub enqueues them at the subscribers and flushes these once a batch.
 */
export class Hub implements SubscriptionHost {
  readonly #options: HubOptions
  readonly #feeds = new Map<string, TopicFeed>()
  readonly #opening = new Map<string, Promise<TopicFeed>>()
  readonly #followings = new Map<string, Listening>()
  /** Feeds that other nodes' events have just begun to come to. */
  #joined: TopicFeed[] = []
  readonly #pending: PendingDeliveries
  /** Feeds whose gaps are being filled. */
  readonly #filling = new Set<TopicFeed>()
  #poll: NodeJS.Timeout | undefined
  #interest: InterestSharer | undefined

  /** What the feeds remember. */
  readonly tails = new TailBudget()
  /** What they hold of events that came too early. */
  readonly early: EarlyBudget = { bytes: 0 }
  /** Who listens by pattern. */
  readonly watches: PatternWatches

  constructor (options: HubOptions) {
    this.#options = options
    const { log, relay } = options
    this.#pending = new PendingDeliveries(options)
    this.watches = new PatternWatches({
      log,
      follow: scope => relay?.followBeginnings(scope, events => this.publish(events)),
      onChanged: scope => this.#interest?.changed(scope)
    })
    relay?.onRestored(() => { void this.compareHeads() })
  }

  start (): void {
    let polling: Promise<void> | undefined
    this.#poll = setInterval(() => {
      // A database that is slow is not to be asked twice at once.
      polling ??= this.compareHeads().finally(() => { polling = undefined })
    }, pollMs).unref()
  }

  /** From then on this node hears only what it writes and what the bus brings. */
  stopPolling (): void {
    clearInterval(this.#poll)
  }

  stop (): void {
    this.stopPolling()
    for (const feed of this.#feeds.values()) feed.close()
    for (const following of this.#followings.values()) following.end()
  }

  /** Reports to one sharer from now on which topics have listeners. Returns how to stop that. */
  shareInterest (sharer: InterestSharer): () => void {
    this.#interest = sharer
    return () => { if (this.#interest === sharer) this.#interest = undefined }
  }

  /** Topics that somebody here listens to. */
  get size () { return this.#feeds.size }

  /** Routes committed events, in any order, and sends what they match. */
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
   * The feed of a topic, opened at the log's head when it is the first subscription here. It is entered: the caller
   * has to `leave` it once its subscription is attached or given up.
   */
  async enter (scope: Scope, topic: string): Promise<TopicFeed> {
    const key = feedKey(scope, topic)
    for (;;) {
      const feed = this.#feeds.get(key) ?? await this.#open(key, scope, topic)
      // Between its opening and this turn the feed may have idled out.
      if (this.#feeds.get(key) !== feed) continue
      feed.enter()
      await this.spread(scope)
      return feed
    }
  }

  /** As `enter`, at once, for a log whose head is known: a feed that has to be opened starts there. */
  enterAt (scope: Scope, topic: string, log: LogHead): TopicFeed {
    const key = feedKey(scope, topic)
    const feed = this.#feeds.get(key) ?? this.#start(key, scope, topic, log)
    feed.enter()
    return feed
  }

  /** The counterpart of `enter`: the feed closes if it has no subscription. */
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

  /** Resolves when a listener that is there counts on every node. */
  async spread (scope: Scope): Promise<void> {
    await this.#interest?.spread(scope)
  }

  /** A topic's log is known to have this head: its feed, if there is one, catches up. */
  reach (scope: Scope, topic: string, log: LogHead): void {
    const feed = this.feedOf(scope, topic)
    if (feed !== undefined) this.#reach(feed, log)
  }

  /** Whether somebody here is subscribed to the topic, or about to be, or would be once it has an event. */
  hasListeners (scope: Scope, topic: string): boolean {
    const key = feedKey(scope, topic)
    return this.#feeds.has(key) || this.#opening.has(key) || (!this.watches.isEmpty && this.watches.wants(scope, topic))
  }

  /** Subscriptions to a topic here, those of patterns included. */
  subscriptionsTo (scope: Scope, topic: string): number {
    return this.feedOf(scope, topic)?.subscriptions ?? 0
  }

  /** The topic's feed, when somebody here listens. */
  feedOf (scope: Scope, topic: string): TopicFeed | undefined {
    return this.#feeds.get(feedKey(scope, topic))
  }

  /**
   * Sends events of the past to the subscribers here that they match now. Leaves every subscription's position as it
   * is, and passes over a subscriber that has enough to read already: a replay is outside of the guarantees.
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
      // One by one, so that the room for the next is measured with this one sent.
      this.#pending.flush()
    }
    return total
  }

  /**
   * Asks the log for the heads of all feeds, and lets those that are behind catch up. Covers every tenant on purpose.
   */
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

  /** Other nodes' events come from now on: what they wrote before is asked for, for all feeds of this turn at once. */
  #joins (feed: TopicFeed): void {
    this.#joined.push(feed)
    if (this.#joined.length > 1) return
    setImmediate(() => {
      const joined = this.#joined
      this.#joined = []
      // The poll sees to it otherwise.
      this.#compare(joined).catch(() => {})
    })
  }

  #open (key: string, scope: Scope, topic: string): Promise<TopicFeed> {
    let opening = this.#opening.get(key)
    if (opening === undefined) {
      // A pattern may have opened it meanwhile.
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
    const { metrics, activity } = this.#options
    const feed = new TopicFeed({
      scope,
      topic,
      start,
      metrics,
      activity: activity.topic(scope, topic),
      scopeActivity: activity.scope(scope),
      tails: this.tails,
      early: this.early
    })
    this.#feeds.set(key, feed)
    this.#interest?.changed(scope)
    const following = this.#options.relay?.follow(scope, topic, events => this.publish(events))
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

  /** Enqueues events at the subscribers that they match. The caller flushes, in the same turn. */
  #route (feed: TopicFeed, events: readonly MatchedEvent[]): void {
    for (const matched of events) this.#pending.add(feed, matched)
  }
}

const feedKey = (scope: Scope, topic: string) => `${scopeKey(scope)}/${topic}`
