import { randomId } from '../foundation/ids.ts'
import type { ReturnMode } from '../../schemas/realtime.ts'
import type { Filter } from './matching/filter.ts'
import type { ClientSubscription, EndReason, Recipient, Span, Subscriber } from './subscriber.ts'

/** Where a topic's feed stands, as its subscriptions see it. */
export interface FeedState { readonly topic: string, readonly epoch: string, readonly position: number }

/** Detaches subscriptions that have ended: the hub. */
export interface SubscriptionHost { detach (subscription: Subscription): void }

/** A subscription whose topics are subscriptions of their own: a pattern's. */
export interface SubscriptionGroup extends ClientSubscription {
  /** Called by a topic's subscription that ends. */
  remove (child: Subscription): void
}

export interface SubscriptionOptions {
  host: SubscriptionHost
  filter: Filter | undefined
  returnMode: ReturnMode
  position: number
  /** The pattern subscription that this one is a topic of. */
  pattern?: SubscriptionGroup
}

/** A subscription to one topic, by itself or as part of a pattern's. It is live from `attach` until `end`. */
export class Subscription implements ClientSubscription, Recipient {
  readonly id: string
  readonly subscriber: Subscriber
  readonly startedAt = Date.now()
  readonly filter: Filter | undefined
  readonly returnMode: ReturnMode
  /** Offsets up to this one have been delivered or were not asked for. */
  position: number
  /** Whether the feed brings it every event. */
  isLive = false
  ending: string | undefined
  readonly #feed: FeedState
  readonly #host: SubscriptionHost
  readonly #pattern: SubscriptionGroup | undefined
  /** Where it began. */
  readonly #epoch: string
  readonly #after: number
  /** The first offset that the subscriber gave up. */
  #lostFrom: number | undefined
  #hasEnded = false

  constructor (subscriber: Subscriber, feed: FeedState, options: SubscriptionOptions) {
    this.id = options.pattern?.id ?? randomId('sub')
    this.subscriber = subscriber
    this.filter = options.filter
    this.returnMode = options.returnMode
    this.position = options.position
    this.#epoch = feed.epoch
    this.#after = options.position
    this.#feed = feed
    this.#host = options.host
    this.#pattern = options.pattern
  }

  get topic () { return this.#feed.topic }
  get hasEnded () { return this.#hasEnded }

  /** What the client knows by the id. */
  get whole (): ClientSubscription { return this.#pattern ?? this }

  /** The offsets that it covers; the events among them that matched were handed to the subscriber up to `until`. */
  get span (): Required<Span> {
    const reached = this.isLive ? Math.max(this.position, this.#feed.position) : this.position
    return {
      epoch: this.#epoch,
      after: this.#after,
      until: this.#lostFrom === undefined ? reached : Math.min(reached, this.#lostFrom - 1)
    }
  }

  spans (): Record<string, Required<Span>> {
    return { [this.topic]: this.span }
  }

  /** Moves on to an offset. Returns false if it is past it: that event was delivered, or was not asked for. */
  advance (offset: number): boolean {
    if (offset <= this.position) return false
    this.position = offset
    return true
  }

  lost (offset: number): void {
    this.#lostFrom = Math.min(this.#lostFrom ?? offset, offset)
  }

  end (reason: EndReason = 'UNSUBSCRIBED'): boolean {
    if (this.#hasEnded) return false
    this.#hasEnded = true
    if (this.#pattern === undefined) this.subscriber.remove(this, reason)
    else this.#pattern.remove(this)
    this.#host.detach(this)
    return true
  }
}
