import type pg from 'pg'
import type { Metrics } from '../foundation/observability/metrics.ts'
import { dropExpiredPartitions, ensurePartitions } from './partitions.ts'

const sweepEveryMs = 10 * 60_000
export const idempotencyKeptMs = 24 * 3_600_000

export interface RetentionOptions {
  pool: pg.Pool
  metrics: Metrics
  retentionMs: number
  /** The time that all nodes go by: one whose clock is ahead must not drop what others still need. */
  now: () => number
  log: { info (fields: object, message: string): void, warn (fields: object, message: string): void }
}

/**
 * Keeps the log's partitions ahead of the clock, and drops what is past retention: across tenants, by whole partitions.
 * A failing sweep is logged and tried again; the writer makes a missing partition by itself.
 */
export function createRetention ({ pool, metrics, retentionMs, now: clock, log }: RetentionOptions) {
  let timer: NodeJS.Timeout | undefined
  const savers: ((before: number) => Promise<void>)[] = []

  async function sweep (now = clock()): Promise<void> {
    await ensurePartitions(pool, now)
    for (const save of savers) await save(now - retentionMs)
    const dropped = await dropExpiredPartitions(pool, now, retentionMs)
    metrics.partitionsDropped.inc(dropped.length)
    if (dropped.length > 0) log.info({ partitions: dropped }, 'log.partitions_dropped')
    await pool.query('delete from idempotency_keys where created_at < $1', [now - idempotencyKeptMs])
  }

  return {
    sweep,
    /**
     * Calls back before events that were written before a time are dropped, for whoever still needs some of them. What
     * it throws puts the drop off.
     */
    beforeDrop (save: (before: number) => Promise<void>): void {
      savers.push(save)
    },
    async start (): Promise<void> {
      await ensurePartitions(pool, clock())
      timer = setInterval(() => {
        sweep().catch((error: unknown) => log.warn({ err: error }, 'log.retention_failed'))
      }, sweepEveryMs)
      timer.unref()
    },
    stop: () => clearInterval(timer)
  }
}
export type Retention = ReturnType<typeof createRetention>
