import type { EventLog, LogHead } from '../events/log.ts'
import type { TopicFeed } from './topic-feed.ts'

/** Topics that one statement covers. */
const topicsMax = 2000

export interface HeadComparisonOptions {
  log: EventLog
  /** Receives the head of a feed's log. */
  onHead (feed: TopicFeed, head: LogHead): void
}

/** Compares the heads of feeds with the log, which finds events whose hint was lost. Covers every tenant on purpose. */
export class HeadComparison {
  readonly #options: HeadComparisonOptions
  /** Feeds of this turn of the event loop that wait for their comparison. */
  #waiting: TopicFeed[] = []

  constructor (options: HeadComparisonOptions) {
    this.#options = options
  }

  async compare (feeds: readonly TopicFeed[]): Promise<void> {
    for (let i = 0; i < feeds.length; i += topicsMax) {
      const some = feeds.slice(i, i + topicsMax)
      const heads = await this.#options.log.heads(some)
      for (const [j, feed] of some.entries()) {
        const head = heads[j]
        if (head !== undefined) this.#options.onHead(feed, head)
      }
    }
  }

  /** Compares a feed together with the other feeds of this turn of the event loop. */
  compareSoon (feed: TopicFeed): void {
    this.#waiting.push(feed)
    if (this.#waiting.length > 1) return
    setImmediate(() => {
      const waiting = this.#waiting
      this.#waiting = []
      // If it fails, the poll of the hub finds the events.
      this.compare(waiting).catch(() => {})
    })
  }
}
