import { canonical } from '../canonical.ts'
import type { Connection, Debug } from '../connection/connection.ts'
import { Feed, isPattern, type FeedRegister, type FeedStart, type FeedTarget, type SocketEvent } from './feed.ts'
import { isPositions, type Positions } from './position.ts'
import { Consumer, failure, isPromise, type ConsumerHost, type ConsumerOptions } from './subscription.ts'

export interface SubscriptionsOptions {
  /** How long the server's subscription outlives its last consumer. */
  lingerMs: number
  debug?: Debug | undefined
}

/** All subscriptions of a client: which consumers share which subscription of the server. */
export class Subscriptions implements ConsumerHost {
  readonly #connection: Connection
  readonly #options: SubscriptionsOptions
  readonly #feeds = new Set<Feed>()
  readonly #byServerId = new Map<string, Feed>()
  /** Feeds that an equal subscription may join, by target and start. */
  readonly #joinable = new Map<string, Feed>()
  readonly #lingering = new Map<Feed, ReturnType<typeof setTimeout>>()

  constructor (connection: Connection, options: SubscriptionsOptions) {
    this.#connection = connection
    this.#options = options
    connection.on('open', () => { for (const feed of this.#feeds) feed.open() })
    connection.on('lost', () => { for (const feed of this.#feeds) feed.lost() })
    connection.on('event', event => this.#receive(event))
    connection.on('resync', message => {
      if ('subscriptionId' in message) this.#byServerId.get(message.subscriptionId)?.resync(message)
    })
    connection.on('refreshed', ({ lost = [] }) => {
      for (const { subscriptionId, topic } of lost) this.#byServerId.get(subscriptionId)?.topicLost(topic)
    })
  }

  /**
   * Adds a consumer. Equal targets share a subscription: one that is live, or one with the same start that has not
   * begun. With a store, the subscription is its own, and begins after the stored positions, if there are any.
   */
  subscribe (target: FeedTarget, start: FeedStart, options: ConsumerOptions): Consumer {
    const consumer = new Consumer(this, target, options)
    const { store } = options
    if (store === undefined) {
      this.#join(consumer, start)
      return consumer
    }
    const begin = (stored: unknown) => {
      const positions = stored ?? undefined
      if (positions !== undefined && !isPositions(positions)) throw new TypeError('the stored value has another form')
      const isUsable = positions !== undefined && (isPattern(target.topic) || Object.hasOwn(positions, target.topic))
      const resumed = isUsable ? { ...start, positions } : start
      if (!consumer.isClosed) this.#attach(consumer, this.#createFeed(target, resumed))
    }
    // Without its position, the subscription would miss events silently.
    const fail = (error: unknown) =>
      consumer.failed(failure('STORE_FAILED', 'The stored position was not read', error))
    try {
      const stored = store.store.get(store.key)
      if (isPromise(stored)) stored.then(begin).then(undefined, fail)
      else begin(stored)
    } catch (error) {
      // The caller has its subscription before the error.
      queueMicrotask(() => fail(error))
    }
    return consumer
  }

  detach (consumer: Consumer): void {
    const { feed } = consumer
    consumer.feed = undefined
    if (feed === undefined) return
    feed.remove(consumer)
    if (!feed.isEmpty) return
    // The next page of an application often subscribes to what the last one did.
    if (consumer.isClosed && feed.key !== undefined && !feed.isEnded) {
      this.#lingering.set(feed, setTimeout(() => this.#close(feed), this.#options.lingerMs))
    } else this.#close(feed)
  }

  resume (consumer: Consumer, positions: Positions): void {
    this.#attach(consumer, this.#createFeed(consumer.target, { positions }))
  }

  #join (consumer: Consumer, start: FeedStart): void {
    const key = canonical([consumer.target, start])
    const isLive = Object.keys(start).length === 0
    let feed = this.#joinable.get(key)
    if (feed === undefined || feed.isEnded || (feed.hasBegun && !isLive)) {
      feed = this.#createFeed(consumer.target, start, key)
      this.#joinable.set(key, feed)
    }
    this.#attach(consumer, feed)
  }

  readonly #register: FeedRegister = (feed, subscriptionId, isLive) => {
    if (isLive) this.#byServerId.set(subscriptionId, feed)
    else this.#byServerId.delete(subscriptionId)
    const { topic } = feed.target
    this.#options.debug?.(isLive ? 'subscribed' : 'unsubscribed', { subscriptionId, topic })
  }

  #createFeed (target: FeedTarget, start: FeedStart, key?: string): Feed {
    const feed = new Feed(this.#connection, target, start, key, this.#register)
    this.#feeds.add(feed)
    return feed
  }

  #attach (consumer: Consumer, feed: Feed): void {
    clearTimeout(this.#lingering.get(feed))
    this.#lingering.delete(feed)
    consumer.feed = feed
    feed.add(consumer)
  }

  #receive (event: SocketEvent): void {
    for (const subscriptionId of event.subscriptionIds) {
      const feed = this.#byServerId.get(subscriptionId)
      if (feed === undefined) continue
      this.#options.debug?.('event', { eventId: event.id, subscriptionId })
      feed.receive(event)
    }
  }

  #close (feed: Feed): void {
    this.#lingering.delete(feed)
    this.#feeds.delete(feed)
    if (feed.key !== undefined && this.#joinable.get(feed.key) === feed) this.#joinable.delete(feed.key)
    feed.close()
  }
}
