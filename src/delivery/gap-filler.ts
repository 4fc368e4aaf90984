import type { EventLog } from '../events/log.ts'
import type { MatchedEvent, TopicFeed } from './topic-feed.ts'

/** Events per page, and the pause after a failed read. */
const pageEvents = 500
const retryMs = 250

export interface GapFillerOptions {
  log: EventLog
  /** Receives the events that the feed returns for a page. */
  onEvents (feed: TopicFeed, events: readonly MatchedEvent[]): void
}

/** Reads the events that feeds lack from the log. */
export class GapFiller {
  readonly #options: GapFillerOptions
  /** Feeds whose gaps are being filled. */
  readonly #filling = new Set<TopicFeed>()

  constructor (options: GapFillerOptions) {
    this.#options = options
  }

  /** Reads page by page until the feed lacks no events. Never rejects. */
  async fill (feed: TopicFeed): Promise<void> {
    if (this.#filling.has(feed)) return
    this.#filling.add(feed)
    while (feed.isBehind) {
      const range = { after: feed.position, limit: pageEvents }
      const page = await this.#options.log.page(feed.scope, feed.topic, range).catch(() => undefined)
      if (page === undefined) await new Promise(resolve => setTimeout(resolve, retryMs).unref())
      else this.#options.onEvents(feed, feed.fill(page))
    }
    this.#filling.delete(feed)
  }
}
