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
import { TailBudget } from './recent-events.ts'
import type { Subscriber } from './subscriber.ts'
import type { Subscription, SubscriptionHost } from './subscription.ts'
import { TopicFeed } from './topic-feed.ts'

/** How often the heads of the topics that somebody listens to are compared with the log: the net under lost hints. */
const pollMs = 1000
/** Topics that one poll asks for in one statement. */
const pollTopics = 2000

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
 * Who listens on this node: the feeds of the topics that have subscriptions here. Events come in from the writer (and
 * from other nodes); what they match is queued at the connections and leaves in one flush a batch.
 */
export class Hub implements SubscriptionHost {
  readonly #options: HubOptions
  readonly #feeds = new Map<string, TopicFeed>()
  readonly #opening = new Map<string, Promise<TopicFeed>>()
  readonly #followings = new Map<string, Listening>()
  /** Feeds that other nodes' events have just begun to come to. */
  #joined: TopicFeed[] = []
  /** Subscribers with queued events. */
  #queued: Subscriber[] = []
  /** Events that have matched somebody since the last flush. */
  #leaving: { feed: TopicFeed, event: LoggedEvent }[] = []
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
      this.#feeds.get(feedKey(event.scope, event.topic))?.offer(event)
    }
    this.#flush(events.at(-1)?.timestamp)
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
  reach (scope: Scope, topic: string, { epoch, head }: LogHead): void {
    this.#feeds.get(feedKey(scope, topic))?.reach(head, epoch)
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

  /** Sends events of the past to whoever here they match by now. It moves nobody's position and is no part of what anybody may rely on. */
  replay (events: readonly LoggedEvent[]): { sent: number, passedOver: number } {
    const total = { sent: 0, passedOver: 0 }
    for (const event of events) {
      const { sent, passedOver } = this.#feeds.get(feedKey(event.scope, event.topic))?.replay(event) ?? nobody
      total.sent += sent
      total.passedOver += passedOver
      // One by one, so that the next is measured against what is left to read of this one.
      this.#flush(undefined)
    }
    return total
  }

  /** Asks the log for the heads of all feeds, and lets those that are behind catch up. Covers every tenant on purpose. */
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
        if (head !== undefined) feed.reach(head.head, head.epoch)
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

  #start (key: string, scope: Scope, topic: string, { epoch, head }: LogHead): TopicFeed {
    const feed = new TopicFeed({
      scope,
      topic,
      log: this.#options.log,
      metrics: this.#options.metrics,
      observer: this.#options.observer,
      activity: this.#options.activity.topic(scope, topic),
      scopeActivity: this.#options.activity.scope(scope),
      tails: this.tails,
      early: this.early,
      onMatched: (matching, event) => this.#leaving.push({ feed: matching, event }),
      onQueued: connection => this.#queued.push(connection),
      onRouted: () => this.#flush(undefined)
    }, { epoch, head })
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

  #tell (leaving: readonly { feed: TopicFeed, event: LoggedEvent }[], firstAt: number, lastAt: number): void {
    const { observer, activity } = this.#options
    for (let from = 0; from < leaving.length;) {
      // Events of one topic that were written together mostly stand together.
      const { feed, event } = leaving[from] as typeof leaving[number]
      let to = from + 1
      while (to < leaving.length && leaving[to]?.feed === feed && leaving[to]?.event.timestamp === event.timestamp) to++
      const latencyMs = Math.max(0, lastAt - event.timestamp)
      feed.activity.fanOut.add(latencyMs, to - from)
      activity.scope(feed.scope).fanOut.add(latencyMs, to - from)
      from = to
    }
    const followed = leaving.filter(({ event }) => observer.follows(event)).map(({ event }) => event)
    if (followed.length > 0) observer.handedOn(followed, firstAt, lastAt)
  }

  #flush (writtenAt: number | undefined): void {
    const queued = this.#queued
    const leaving = this.#leaving
    if (leaving.length > 0) this.#leaving = []
    if (queued.length === 0) return
    this.#queued = []
    const firstAt = nowMs()
    for (const subscriber of queued) subscriber.flush()
    if (leaving.length > 0) this.#tell(leaving, firstAt, nowMs())
    if (writtenAt !== undefined) this.#options.metrics.broadcastLatency.observe(Math.max(0, Date.now() - writtenAt) / 1000)
  }
}

const nobody = { sent: 0, passedOver: 0 }

/** Epoch milliseconds with fractions. */
const nowMs = () => performance.timeOrigin + performance.now()

const feedKey = (scope: Scope, topic: string) => `${scopeKey(scope)}/${topic}`
