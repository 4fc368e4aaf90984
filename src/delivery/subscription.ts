import { randomId } from '../ids.ts'
import type { ReturnMode } from '../../schemas/realtime.ts'
import type { Connection } from './connection.ts'
import type { Filter } from './filters.ts'
import type { TopicFeed } from './topic-feed.ts'

/** One connection's wish for one topic's events. It is live from `start` until `end`. */
export class Subscription {
  readonly id = randomId('sub')
  readonly connection: Connection
  readonly topic: string
  readonly filter: Filter | undefined
  readonly returnMode: ReturnMode
  /** The end of an event message that only this subscription matched. */
  readonly ending: Buffer
  /** Offsets up to this one have been delivered or were not asked for. */
  position: number
  readonly #feed: TopicFeed
  #hasEnded = false

  constructor (connection: Connection, feed: TopicFeed, options: { filter: Filter | undefined, returnMode: ReturnMode, position: number }) {
    this.connection = connection
    this.topic = feed.topic
    this.filter = options.filter
    this.returnMode = options.returnMode
    this.position = options.position
    this.ending = connection.transport.ending([this.id])
    this.#feed = feed
  }

  get hasEnded () { return this.#hasEnded }

  /** Answers false when it had ended before. */
  end (): boolean {
    if (this.#hasEnded) return false
    this.#hasEnded = true
    this.connection.remove(this)
    this.#feed.detach(this)
    return true
  }
}
