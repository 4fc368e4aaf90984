import type { LoggedEvent } from '../events/envelope.ts'
import type { EventLog } from '../events/log.ts'
import type { Metrics } from '../metrics.ts'
import { scopeKey, type Scope } from '../../schemas/scope.ts'
import type { Connection } from './connection.ts'
import { TopicFeed } from './topic-feed.ts'

/** How often the heads of the topics that somebody listens to are compared with the log: the net under lost hints. */
const pollMs = 1000
/** Topics that one poll asks for in one statement. */
const pollTopics = 2000

export interface HubOptions {
  log: EventLog
  metrics: Metrics
  logger: { warn (fields: object, message: string): void }
}

/**
 * Who listens on this node: the feeds of the topics that have subscriptions here. Events come in from the writer (and
 * from other nodes); what they match is queued at the connections and leaves in one flush a batch.
 */
export class Hub {
  readonly #options: HubOptions
  readonly #feeds = new Map<string, TopicFeed>()
  readonly #opening = new Map<string, Promise<TopicFeed>>()
  /** Connections with queued events. */
  #queued: Connection[] = []
  #poll: NodeJS.Timeout | undefined

  constructor (options: HubOptions) {
    this.#options = options
  }

  start (): void {
    this.#poll = setInterval(() => { void this.compareHeads() }, pollMs).unref()
  }

  stop (): void {
    clearInterval(this.#poll)
    for (const feed of this.#feeds.values()) feed.close()
  }

  /** Routes committed events, in any order, and sends what they match. */
  publish (events: readonly LoggedEvent[]): void {
    for (const event of events) this.#feeds.get(feedKey(event.scope, event.topic))?.offer(event)
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
      return feed
    }
  }

  /** Asks the log for the heads of all feeds, and lets those that are behind catch up. Covers every tenant on purpose. */
  async compareHeads (): Promise<void> {
    const feeds = [...this.#feeds.values()]
    try {
      for (let i = 0; i < feeds.length; i += pollTopics) {
        const some = feeds.slice(i, i + pollTopics)
        const heads = await this.#options.log.heads(some)
        for (const [j, feed] of some.entries()) {
          const head = heads[j]
          if (head !== undefined) feed.reach(head.head, head.epoch)
        }
      }
    } catch (err) {
      this.#options.logger.warn({ err }, 'hub.poll_failed')
    }
  }

  #open (key: string, scope: Scope, topic: string): Promise<TopicFeed> {
    let opening = this.#opening.get(key)
    if (opening === undefined) {
      opening = this.#options.log.position(scope, topic).then(({ epoch, head }) => {
        const feed = new TopicFeed({
          scope,
          topic,
          log: this.#options.log,
          metrics: this.#options.metrics,
          onQueued: connection => this.#queued.push(connection),
          onRouted: () => this.#flush(undefined),
          onIdle: idle => this.#close(key, idle)
        }, { epoch, head })
        this.#feeds.set(key, feed)
        return feed
      }).finally(() => this.#opening.delete(key))
      this.#opening.set(key, opening)
    }
    return opening
  }

  #close (key: string, feed: TopicFeed): void {
    feed.close()
    if (this.#feeds.get(key) === feed) this.#feeds.delete(key)
  }

  #flush (writtenAt: number | undefined): void {
    const queued = this.#queued
    if (queued.length === 0) return
    this.#queued = []
    for (const connection of queued) connection.flush()
    if (writtenAt !== undefined) this.#options.metrics.broadcastLatency.observe(Math.max(0, Date.now() - writtenAt) / 1000)
  }
}

const feedKey = (scope: Scope, topic: string) => `${scopeKey(scope)}/${topic}`
