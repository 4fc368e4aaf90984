import type pg from 'pg'
import type { Metrics } from '../foundation/observability/metrics.ts'
import { dropExpiredPartitions, ensurePartitions } from './partitions.ts'

const sweepEveryMs = 10 * 60_000
export const idempotencyKeptMs = 24 * 3_600_000

export interface RetentionOptions {
  pool: pg.Pool
  metrics: Metrics
  retentionMs: number
  /** The time that all nodes share: a node whose clock is ahead must not drop events that others still need. */
  now: () => number
  log: { info (fields: object, message: string): void, warn (fields: object, message: string): void }
}

/**
 * Creates the log's partitions ahead of the clock and drops partitions past retention, across all tenants. A failed
 * sweep is logged and tried again; the writer creates a missing partition itself.
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
     * Registers a function that saves events that are still needed. It is called before events written before a time
     * are dropped. If it throws, they are not dropped.
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
