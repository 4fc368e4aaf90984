import type { EventLog, LogPosition } from '../events/log.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { DeliveryObserver } from './delivery-observer.ts'
import { matches } from './matching/filter.ts'
import { createLimit } from '../foundation/limits/semaphore.ts'
import type { Subscription } from './subscription.ts'
import type { TopicFeed } from './topic-feed.ts'

const pageEvents = 200
/** Bytes of payload of one page: what a client that stops reading in the middle of its past costs. */
const pageBytesMax = 512 * 1024
/** What an event takes beside its payload. */
const envelopeBytes = 300
/**
 * Pages that are read at once, over all subscriptions: a storm of reconnects must not become a storm on the database.
 */
const pagesAtOnce = 4

/**
 * Brings subscriptions from an offset in the past to their topic's live stream: page by page, waiting for the socket in
 * between, and joined at the exact offset.
 */
export function createCatchUp ({ log, observer }: { log: EventLog, observer: DeliveryObserver }) {
  const limit = createLimit(pagesAtOnce)

  /** From memory where it reaches back so far, which the first of many that come at once sees to. */
  async function read (feed: TopicFeed, after: number): Promise<readonly LoggedEvent[]> {
    return feed.recent(after) ?? await limit(async () => {
      const found = feed.recent(after)
      if (found !== undefined) return found
      const page = await log.page(feed.scope, feed.topic, { after, limit: pageEvents, bytesMax: pageBytesMax })
      feed.recall(page)
      return page
    })
  }

  /** Sends one page. Returns false when retention has removed the next event. */
  async function sendPage (subscription: Subscription, feed: TopicFeed): Promise<boolean> {
    const { subscriber } = subscription
    let isContinuous = true
    await subscriber.drained(async bytesMax => {
      if (subscription.hasEnded) return 0
      const page = await read(feed, subscription.position)
      if (subscription.hasEnded) return 0
      isContinuous = page[0]?.offset === subscription.position + 1
      if (!isContinuous) return 0
      let bytes = 0
      for (const event of page) {
        if (event.offset > feed.position || bytes > bytesMax) break
        subscription.position = event.offset
        if (!matches(subscription.filter, event.value)) continue
        subscriber.enqueue(event, subscription)
        bytes += event.payload.length + envelopeBytes
      }
      const givenUp = subscriber.flush()
      if (givenUp.length > 0) observer.flushed({ routed: [], givenUp, sent: undefined })
      return bytes
    })
    return isContinuous
  }

  return {
    /**
     * Sends the events between the subscription's position and the feed's, then attaches the subscription: in the same
     * turn in which the two are equal, so that no event is missed. A subscriber gets one page at a time, whatever the
     * number of its subscriptions. Returns false when retention has removed the next event. Throws when the log cannot
     * be read.
     */
    async run (subscription: Subscription, feed: TopicFeed): Promise<boolean> {
      while (subscription.position < feed.position && !subscription.hasEnded) {
        if (!await sendPage(subscription, feed)) return false
      }
      feed.attach(subscription)
      return true
    }
  }
}
export type CatchUp = ReturnType<typeof createCatchUp>

/** What a client asks for of a topic's past. */
export interface Past {
  after?: number | undefined
  epoch?: string | undefined
  rewind?: number | undefined
}

/** Where a subscription with `after` or `rewind` starts: its position, and whether nothing since `after` is lost. */
export function startOf (
  { after, epoch, rewind }: Past, log: LogPosition, feed: TopicFeed
): { position: number, recovered: boolean } {
  const isSameLog = epoch === undefined || epoch === log.epoch
  if (after !== undefined && isSameLog && after <= log.head && after >= log.earliest - 1) { return { position: after, recovered: true } }
  const oldest = rewind === undefined ? feed.position : Math.max(log.earliest - 1, log.head - rewind)
  return { position: Math.min(oldest, feed.position), recovered: false }
}

export interface JoinOptions {
  catchUp: CatchUp
  logger: { error (fields: object, message: string): void }
}

/**
 * Attaches in the same turn when there is no history to deliver; otherwise catches up first. Never rejects: what cannot
 * be continuous ends with `resync`.
 */
export async function join (
  { catchUp, logger }: JoinOptions, subscription: Subscription, feed: TopicFeed
): Promise<void> {
  if (subscription.position >= feed.position) return feed.attach(subscription)
  try {
    if (await catchUp.run(subscription, feed)) return
    subscription.subscriber.resync(subscription.whole, {
      code: 'RETENTION_PASSED',
      message: 'Retention has passed the subscription while it was catching up: subscribe again'
    })
  } catch (err) {
    logger.error({ err, subscriptionId: subscription.id }, 'socket.catch_up_failed')
    subscription.subscriber.resync(subscription.whole, {
      code: 'DATABASE_UNAVAILABLE', message: 'The log could not be read: subscribe again with `after`'
    })
  }
}
