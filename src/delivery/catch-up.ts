import type { SubscribeRequest } from '../../schemas/realtime.ts'
import type { EventLog, LogPosition } from '../events/log.ts'
import type { LogTime } from '../events/time-search.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { DeliveryObserver } from './delivery-observer.ts'
import { matches } from './matching/filter.ts'
import { invalid } from '../foundation/json.ts'
import { Turns } from '../foundation/limits/turns.ts'
import type { Subscription } from './subscription.ts'
import type { TopicFeed } from './topic-feed.ts'

const pageEvents = 200
/** Payload bytes of one page. A client that stops reading during its catch-up costs this much memory. */
const pageBytesMax = 512 * 1024
/** Estimated size of an event without its payload. */
const envelopeBytes = 300
/**
 * Pages read from the log at once: in total, and for one application. Keeps a storm of reconnects from overloading the
 * database, and that of one application from delaying the others.
 */
export const pagesAtOnce = { all: 4, ofApplication: 3 }

/**
 * Brings subscriptions from a past offset to the live stream of their topic. Sends page by page, waits for the socket
 * between pages, and joins the live stream at the exact offset.
 */
export function createCatchUp ({ log, observer }: { log: EventLog, observer: DeliveryObserver }) {
  const reads = new Turns({ runningMax: pagesAtOnce.all, runningOfOwnerMax: pagesAtOnce.ofApplication })

  /**
   * Reads from memory if it reaches back far enough. After many reconnects at once, only the first one reads the log.
   */
  async function read (feed: TopicFeed, after: number): Promise<readonly LoggedEvent[]> {
    return feed.recent(after) ?? await reads.take(feed.scope.applicationId, async () => {
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
      for (const event of page) feed.stats.delivered += event.takeHanded()
      if (givenUp.length > 0) observer.flushed({ routed: [], givenUp, sent: undefined })
      return bytes
    })
    return isContinuous
  }

  return {
    /**
     * Sends the events between the subscription's position and the feed's, then attaches the subscription. It attaches
     * in the turn in which the two are equal, so no event is missed. A subscriber gets one page at a time, however many
     * subscriptions it has. Returns false when retention has removed the next event. Throws when the log cannot be
     * read.
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

/** The part of a topic's past that a client requests. */
export interface Past {
  after?: number | undefined
  epoch?: string | undefined
  rewind?: number | undefined
}

/** Throws ValidationError if a request has `since` together with another start. */
export function refuseTwoStarts ({ since, after, rewind }: Pick<SubscribeRequest, 'since' | 'after' | 'rewind'>): void {
  if (since !== undefined && (after !== undefined || rewind !== undefined)) {
    throw invalid('/since', 'must not be combined with /after or /rewind')
  }
}

/** The place in a topic's past at which a subscription starts, and whether every event since then is there. */
export interface Start { position: number, recovered: boolean }

/**
 * Returns the position at which a subscription with `since` starts. If retention has removed events since then, it
 * starts before the oldest retained one.
 */
export const startAt = ({ offset, isComplete }: LogTime): Start => ({ position: offset - 1, recovered: isComplete })

/**
 * Returns the position at which a subscription with `after` or `rewind` starts, and whether every event since `after`
 * is there.
 */
export function startOf (
  { after, epoch, rewind }: Past, log: LogPosition, feed: TopicFeed
): Start {
  const isSameLog = epoch === undefined || epoch === log.epoch
  if (after !== undefined && isSameLog && after <= log.head && after >= log.earliest - 1) {
    return { position: after, recovered: true }
  }
  const oldest = rewind === undefined ? feed.position : Math.max(log.earliest - 1, log.head - rewind)
  return { position: Math.min(oldest, feed.position), recovered: false }
}

export interface JoinOptions {
  catchUp: CatchUp
  logger: { error (fields: object, message: string): void }
}

/**
 * Attaches a subscription in the same turn if it has no history to deliver; otherwise catches up first. Never rejects:
 * ends the subscription with `resync` if an event between cannot be delivered.
 */
export async function join (
  { catchUp, logger }: JoinOptions, subscription: Subscription, feed: TopicFeed
): Promise<void> {
  if (subscription.position >= feed.position) return feed.attach(subscription)
  try {
    if (await catchUp.run(subscription, feed)) return
    subscription.subscriber.resync(subscription.whole, {
      code: 'RETENTION_PASSED',
      message: 'Retention removed events before the catch-up reached them. Subscribe again'
    })
  } catch (err) {
    logger.error({ err, subscriptionId: subscription.id }, 'socket.catch_up_failed')
    subscription.subscriber.resync(subscription.whole, {
      code: 'DATABASE_UNAVAILABLE', message: 'The event log could not be read. Subscribe again with `after`'
    })
  }
}
