import { randomId } from '../foundation/ids.ts'
import type { ReturnMode } from '../../schemas/realtime.ts'
import type { Filter } from './matching/filter.ts'
import type { ClientSubscription, EndReason, Recipient, Span, Subscriber } from './subscriber.ts'

/** The part of a topic's feed that its subscriptions read. */
export interface FeedState { readonly topic: string, readonly epoch: string, readonly position: number }

/** Detaches subscriptions that have ended. The hub implements it. */
export interface SubscriptionHost { detach (subscription: Subscription): void }

/** A pattern's subscription, which holds one subscription for each of its topics. */
export interface SubscriptionGroup extends ClientSubscription {
  /** Called by a topic's subscription when it ends. */
  remove (child: Subscription): void
}

export interface SubscriptionOptions {
  host: SubscriptionHost
  filter: Filter | undefined
  returnMode: ReturnMode
  position: number
  /** The pattern subscription that this one belongs to. */
  pattern?: SubscriptionGroup
}

/** A subscription to one topic, on its own or within a pattern's. It is live from `attach` until `end`. */
export class Subscription implements ClientSubscription, Recipient {
  readonly id: string
  readonly subscriber: Subscriber
  readonly startedAt = Date.now()
  readonly filter: Filter | undefined
  readonly returnMode: ReturnMode
  /** Offsets up to this one have been delivered or were not requested. */
  position: number
  /** Whether the feed delivers every event to it. */
  isLive = false
  ending: string | undefined
  readonly #feed: FeedState
  readonly #host: SubscriptionHost
  readonly #pattern: SubscriptionGroup | undefined
  /** The epoch and position at which it started. */
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

  /** The subscription that the client identifies by the id. */
  get whole (): ClientSubscription { return this.#pattern ?? this }

  /** The offsets that it covers. Matching events up to `until` were handed to the subscriber. */
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

  /** Advances to an offset. Returns false if the event at that offset was delivered before or was not requested. */
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
