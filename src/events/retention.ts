import type pg from 'pg'
import { createNamedLeases, HeldLeases } from '../cluster/leases.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import { ensurePartitions, expiredPartitions } from './partitions.ts'
import { retirePartition, trimLogs, type Trim } from './topic-retention.ts'

const trimEveryMs = 60_000
/** Partitions hold six hours, so a look every ten minutes is enough for them. */
const trimsPerSweep = 10
const leaseName = 'event-retention'
const leaseMs = 60_000
export const idempotencyKeptMs = 24 * 3_600_000

export interface RetentionOptions {
  pool: pg.Pool
  metrics: Metrics
  /** The retention of topics without one of their own. */
  retentionMs: number
  /** The id of this node. */
  node: string
  /** The time that all nodes share: a node whose clock is ahead must not drop events that others still need. */
  now: () => number
  log: { info (fields: object, message: string): void, warn (fields: object, message: string): void }
}

/** Saves events that are still needed. If it throws, they are not deleted. */
export interface EventSaver {
  /** Called before events written before a time are dropped. */
  beforeDrop (before: number): Promise<void>
  /** Called before the oldest events of one log are deleted. */
  beforeTrim (trim: Trim): Promise<void>
}

/**
 * Creates the log's partitions ahead of the clock and deletes events past retention, across all tenants: whole
 * partitions at the server's retention, and single events where a topic has a retention of its own. One node at a time
 * deletes. A failed sweep is logged and tried again; the writer creates a missing partition itself.
 */
export function createRetention ({ pool, metrics, retentionMs, node, now: clock, log }: RetentionOptions) {
  let timer: NodeJS.Timeout | undefined
  const savers: EventSaver[] = []
  const leases = new HeldLeases(createNamedLeases({ pool, node, leaseMs }))
  const mayGoOn = async () => await leases.hold(leaseName) !== undefined

  /** Deletes events past the retention of their topic. */
  async function trim (now: number): Promise<void> {
    const events = await trimLogs({
      pool,
      now,
      retentionMs,
      mayGoOn,
      async save (trim) { for (const saver of savers) await saver.beforeTrim(trim) }
    })
    if (events > 0) log.info({ events }, 'log.events_expired')
  }

  /** Runs work on one node at a time. */
  async function alone (work: () => Promise<void>): Promise<void> {
    if (!await mayGoOn()) return
    try {
      await work()
    } finally {
      await leases.release(leaseName).catch(() => {})
    }
  }

  async function sweep (now = clock()): Promise<void> {
    await ensurePartitions(pool, now)
    await alone(async () => {
      await trim(now)
      for (const saver of savers) await saver.beforeDrop(now - retentionMs)
      const dropped: string[] = []
      for (const { name, start } of await expiredPartitions(pool, now, retentionMs)) {
        if (await retirePartition({ pool, partition: name, period: start, retentionMs, mayGoOn })) dropped.push(name)
      }
      // Events that are kept for longer than the partition may still be past their own retention.
      if (dropped.length > 0) await trim(now)
      metrics.partitionsDropped.inc(dropped.length)
      if (dropped.length > 0) log.info({ partitions: dropped }, 'log.partitions_dropped')
    })
    await pool.query('delete from idempotency_keys where created_at < $1', [now - idempotencyKeptMs])
  }

  return {
    sweep,
    /** Deletes events past the retention of their topic, without looking at partitions. */
    trim: async (now = clock()): Promise<void> => await alone(() => trim(now)),
    /** Registers a saver of events that are still needed. */
    beforeDeletion (saver: EventSaver): void {
      savers.push(saver)
    },
    async start (): Promise<void> {
      await ensurePartitions(pool, clock())
      let turns = 0
      let running: Promise<void> | undefined
      timer = setInterval(() => {
        turns++
        running ??= (turns % trimsPerSweep === 0 ? sweep() : alone(() => trim(clock())))
          .catch((error: unknown) => log.warn({ err: error }, 'log.retention_failed'))
          .finally(() => { running = undefined })
      }, trimEveryMs)
      timer.unref()
    },
    stop: () => clearInterval(timer)
  }
}
export type Retention = ReturnType<typeof createRetention>
