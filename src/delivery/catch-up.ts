import type { EventLog } from '../events/log.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import { valueAt, passes, type Filter } from './filters.ts'
import type { Subscription } from './subscription.ts'
import type { TopicFeed } from './topic-feed.ts'

const pageEvents = 200
/** Pages that are read at once, over all subscriptions: a storm of reconnects must not become a storm on the database. */
const pagesAtOnce = 4

/**
 * Brings subscriptions from an offset in the past to their topic's live stream: page by page, waiting for the socket in
 * between, and joined at the exact offset.
 */
export function createCatchUp ({ log }: { log: EventLog }) {
  const limit = createLimit(pagesAtOnce)

  async function read (feed: TopicFeed, after: number): Promise<LoggedEvent[]> {
    return feed.recent(after) ?? await limit(() => log.page(feed.scope, feed.topic, { after, limit: pageEvents }))
  }

  return {
    /**
     * Delivers what lies between the subscription's position and the feed's, then attaches it: in the same turn in
     * which the two are equal, so that nothing falls between. Answers false when retention took what was missing.
     * Throws when the log cannot be read.
     */
    async run (subscription: Subscription, feed: TopicFeed): Promise<boolean> {
      const { connection } = subscription
      while (subscription.position < feed.position) {
        const page = await read(feed, subscription.position)
        if (subscription.hasEnded) return true
        if (page[0]?.offset !== subscription.position + 1) return false
        for (const event of page) {
          if (event.offset > feed.position) break
          subscription.position = event.offset
          if (matches(subscription.filter, event)) connection.queue(event, subscription)
        }
        connection.flush()
        await connection.drained()
        if (subscription.hasEnded) return true
      }
      feed.attach(subscription)
      return true
    }
  }
}
export type CatchUp = ReturnType<typeof createCatchUp>

const matches = (filter: Filter | undefined, event: LoggedEvent) => filter === undefined || (
  filter.equalities.every(({ path, value }) => valueAt(event.value, path.split('.')) === value) && passes(filter.conditions, event.value))

/** Runs at most `max` at once, first come, first served: a place that becomes free is handed to the one who waits longest. */
function createLimit (max: number) {
  let running = 0
  const waiting: (() => void)[] = []
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running < max) running++
    else await new Promise<void>(resolve => waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running--
      else next()
    }
  }
}
