import type { LogPosition } from '../events/log.ts'
import type { CatchUp } from './catch-up.ts'
import type { Subscription } from './subscription.ts'
import type { TopicFeed } from './topic-feed.ts'

/** What a client asks for of a topic's past. */
export interface Past {
  after?: number | undefined
  epoch?: string | undefined
  rewind?: number | undefined
}

/** Where a subscription with `after` or `rewind` starts: its position, and whether nothing since `after` is lost. */
export function startOf ({ after, epoch, rewind }: Past, log: LogPosition, feed: TopicFeed): { position: number, recovered: boolean } {
  const isSameLog = epoch === undefined || epoch === log.epoch
  if (after !== undefined && isSameLog && after <= log.head && after >= log.earliest - 1) return { position: after, recovered: true }
  const oldest = rewind === undefined ? feed.position : Math.max(log.earliest - 1, log.head - rewind)
  return { position: Math.min(oldest, feed.position), recovered: false }
}

export interface JoinOptions {
  catchUp: CatchUp
  logger: { error (fields: object, message: string): void }
}

/** Attaches in the same turn when there is no history to deliver; otherwise catches up first. Never rejects: what cannot be continuous ends with `resync`. */
export async function join ({ catchUp, logger }: JoinOptions, subscription: Subscription, feed: TopicFeed): Promise<void> {
  if (subscription.position >= feed.position) return feed.attach(subscription)
  try {
    if (await catchUp.run(subscription, feed)) return
    subscription.connection.resync(subscription, {
      code: 'RETENTION_PASSED', message: 'Retention has passed the subscription while it was catching up: subscribe again'
    })
  } catch (err) {
    logger.error({ err, subscriptionId: subscription.id }, 'socket.catch_up_failed')
    subscription.connection.resync(subscription, { code: 'DATABASE_UNAVAILABLE', message: 'The log could not be read: subscribe again with `after`' })
  }
}
