import { randomId } from '../ids.ts'
import type { ReturnMode } from '../../schemas/realtime.ts'
import type { Connection } from './connection.ts'
import type { Filter } from './filters.ts'
import type { PatternSubscription } from './pattern-subscription.ts'
import type { TopicFeed } from './topic-feed.ts'

export interface SubscriptionOptions {
  filter: Filter | undefined
  returnMode: ReturnMode
  position: number
  /** The subscription that this one is a topic of, with the ending that all its topics share. */
  pattern?: PatternSubscription
  ending?: Buffer
}

/** One connection's wish for one topic's events, by itself or as part of a pattern. It is live from `attach` until `end`. */
export class Subscription {
  readonly id: string
  readonly connection: Connection
  readonly topic: string
  readonly filter: Filter | undefined
  readonly returnMode: ReturnMode
  /** The end of an event message that only this subscription matched. */
  readonly ending: Buffer
  /** Offsets up to this one have been delivered or were not asked for. */
  position: number
  readonly #feed: TopicFeed
  readonly #pattern: PatternSubscription | undefined
  #hasEnded = false

  constructor (connection: Connection, feed: TopicFeed, options: SubscriptionOptions) {
    this.id = options.pattern?.id ?? randomId('sub')
    this.connection = connection
    this.topic = feed.topic
    this.filter = options.filter
    this.returnMode = options.returnMode
    this.position = options.position
    this.ending = options.ending ?? connection.transport.ending([this.id])
    this.#feed = feed
    this.#pattern = options.pattern
  }

  get hasEnded () { return this.#hasEnded }

  /** What the client knows by the id. */
  get whole (): Subscription | PatternSubscription { return this.#pattern ?? this }

  /** Answers false when it had ended before. */
  end (): boolean {
    if (this.#hasEnded) return false
    this.#hasEnded = true
    if (this.#pattern === undefined) this.connection.remove(this)
    else this.#pattern.remove(this)
    this.#feed.detach(this)
    return true
  }
}
