import type { Listening } from '../cluster/bus.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { EventLog, LogHead } from '../events/log.ts'
import type { LiveStats } from '../foundation/observability/live-stats.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import { scopeKey, type Scope } from '../../schemas/scope.ts'
import type { EarlyBudget } from './early-events.ts'
import type { EventRelay } from './event-relay.ts'
import type { RecentEventsBudget } from './recent-events.ts'
import { TopicFeed } from './topic-feed.ts'

export interface TopicFeedsOptions {
  log: EventLog
  relay: EventRelay
  metrics: Metrics
  liveStats: LiveStats
  /** Memory of the feeds' recent events. */
  recentEvents: RecentEventsBudget
  /** Receives other nodes' events of the topics that have feeds. */
  onEvents (events: readonly LoggedEvent[]): void
  /** Called when other nodes' events begin to arrive for a feed. */
  onFollowing (feed: TopicFeed): void
  /** Called when a feed of the scope begins to open, has opened, or has closed. */
  onChanged (scope: Scope): void
}

/** The feeds of this node. A feed opens with the first subscription to its topic and closes with the last one. */
export class TopicFeeds {
  readonly #options: TopicFeedsOptions
  readonly #feeds = new Map<string, TopicFeed>()
  readonly #opening = new Map<string, Promise<TopicFeed>>()
  readonly #followings = new Map<string, Listening>()
  /** Memory of the feeds' early events. */
  readonly #early: EarlyBudget = { bytes: 0 }

  constructor (options: TopicFeedsOptions) {
    this.#options = options
  }

  get size () { return this.#feeds.size }

  all (): TopicFeed[] {
    return [...this.#feeds.values()]
  }

  find (scope: Scope, topic: string): TopicFeed | undefined {
    return this.#feeds.get(feedKey(scope, topic))
  }

  /** Returns whether the topic has a feed or an opening one. */
  has (scope: Scope, topic: string): boolean {
    const key = feedKey(scope, topic)
    return this.#feeds.has(key) || this.#opening.has(key)
  }

  /** Returns the feed of a topic, entered. A new one starts at the log's head. The caller must call `leave`. */
  async enter (scope: Scope, topic: string): Promise<TopicFeed> {
    const key = feedKey(scope, topic)
    for (;;) {
      const feed = this.#feeds.get(key) ?? await this.#open(key, scope, topic)
      // The feed may have become idle and closed between its opening and this turn.
      if (this.#feeds.get(key) !== feed) continue
      feed.enter()
      return feed
    }
  }

  /** Like `enter`, but synchronous, for a log whose head is known: a new feed starts there. */
  enterAt (scope: Scope, topic: string, log: LogHead): TopicFeed {
    const key = feedKey(scope, topic)
    const feed = this.#feeds.get(key) ?? this.#start(key, scope, topic, log)
    feed.enter()
    return feed
  }

  /** Undoes `enter`. */
  leave (feed: TopicFeed): void {
    feed.leave()
    this.closeIfIdle(feed)
  }

  closeIfIdle (feed: TopicFeed): void {
    const key = feedKey(feed.scope, feed.topic)
    if (!feed.isIdle || this.#feeds.get(key) !== feed) return
    feed.close()
    this.#feeds.delete(key)
    this.#options.onChanged(feed.scope)
    this.#followings.get(key)?.end()
    this.#followings.delete(key)
  }

  close (): void {
    for (const feed of this.#feeds.values()) feed.close()
    for (const following of this.#followings.values()) following.end()
  }

  #open (key: string, scope: Scope, topic: string): Promise<TopicFeed> {
    const { log, onChanged } = this.#options
    let opening = this.#opening.get(key)
    if (opening === undefined) {
      // A pattern may have opened it in the meantime.
      opening = log.position(scope, topic)
        .then(start => this.#feeds.get(key) ?? this.#start(key, scope, topic, start))
        .finally(() => {
          this.#opening.delete(key)
          onChanged(scope)
        })
      this.#opening.set(key, opening)
      onChanged(scope)
    }
    return opening
  }

  #start (key: string, scope: Scope, topic: string, start: LogHead): TopicFeed {
    const { relay, metrics, liveStats, recentEvents, onEvents, onFollowing, onChanged } = this.#options
    const feed = new TopicFeed({
      scope,
      topic,
      start,
      metrics,
      stats: liveStats.topic(scope, topic),
      scopeStats: liveStats.scope(scope),
      recent: recentEvents,
      early: this.#early
    })
    this.#feeds.set(key, feed)
    onChanged(scope)
    const following = relay.follow(scope, topic, onEvents)
    if (following !== undefined) {
      this.#followings.set(key, following)
      void following.live.then(() => onFollowing(feed))
    }
    return feed
  }
}

const feedKey = (scope: Scope, topic: string) => `${scopeKey(scope)}/${topic}`
