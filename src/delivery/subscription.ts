import { randomId } from '../foundation/ids.ts'
import type { ReturnMode } from '../../schemas/realtime.ts'
import type { Connection } from './sockets/connection.ts'
import type { Filter } from './matching/filter.ts'
import type { EndReason, Span } from './sockets/subscription-observer.ts'
import type { PatternSubscription } from './patterns/pattern-subscription.ts'
import type { TopicFeed } from './topic-feed.ts'

/** What a client knows as one subscription. */
export type Live = Subscription | PatternSubscription

export interface SubscriptionOptions {
  filter: Filter | undefined
  returnMode: ReturnMode
  position: number
  /** The subscription that this one is a topic of, with the ending that all its topics share. */
  pattern?: PatternSubscription
  ending?: string
}

/** One connection's wish for one topic's events, by itself or as part of a pattern. It is live from `attach` until `end`. */
export class Subscription {
  readonly id: string
  readonly connection: Connection
  /** Epoch milliseconds. */
  readonly startedAt = Date.now()
  readonly filter: Filter | undefined
  readonly returnMode: ReturnMode
  /** Offsets up to this one have been delivered or were not asked for. */
  position: number
  /** Whether the feed brings it everything by itself. */
  isLive = false
  readonly #feed: TopicFeed
  readonly #pattern: PatternSubscription | undefined
  /** Where it began. */
  readonly #epoch: string
  readonly #after: number
  /** The first offset that was given up with the connection. */
  #lostFrom: number | undefined
  #ending: string | undefined
  #hasEnded = false

  constructor (connection: Connection, feed: TopicFeed, options: SubscriptionOptions) {
    this.id = options.pattern?.id ?? randomId('sub')
    this.connection = connection
    this.filter = options.filter
    this.returnMode = options.returnMode
    this.position = options.position
    this.#epoch = feed.epoch
    this.#after = options.position
    this.#ending = options.ending
    this.#feed = feed
    this.#pattern = options.pattern
  }

  /** The end of an event message that only this subscription matched. */
  get ending (): string {
    this.#ending ??= this.connection.transport.ending([this.id])
    return this.#ending
  }

  get topic () { return this.#feed.topic }
  get hasEnded () { return this.#hasEnded }

  /** What the client knows by the id. */
  get whole (): Live { return this.#pattern ?? this }

  /** The offsets that it is there for; what of them matched has been handed to the socket up to `until`. */
  get span (): Required<Span> {
    const reached = this.isLive ? Math.max(this.position, this.#feed.position) : this.position
    return { epoch: this.#epoch, after: this.#after, until: this.#lostFrom === undefined ? reached : Math.min(reached, this.#lostFrom - 1) }
  }

  /** By topic. */
  spans (): Record<string, Required<Span>> {
    return { [this.topic]: this.span }
  }

  /** An event that it matched was given up with the connection. */
  lost (offset: number): void {
    this.#lostFrom = Math.min(this.#lostFrom ?? offset, offset)
  }

  /** Answers false when it had ended before. */
  end (reason: EndReason = 'UNSUBSCRIBED'): boolean {
    if (this.#hasEnded) return false
    this.#hasEnded = true
    if (this.#pattern === undefined) this.connection.remove(this, reason)
    else this.#pattern.remove(this)
    this.#feed.detach(this)
    return true
  }
}
