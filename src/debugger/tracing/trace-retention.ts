import type pg from 'pg'
import { dropExpiredPartitions } from '../../events/partitions.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import { nodeGone, nodeGoneAfterMs } from './node-heartbeat.ts'
import type { TraceStore } from './trace-store.ts'

const sweepEveryMs = 10 * 60_000
/** Limit of records of ended subscriptions over all tenants. The oldest are deleted first. */
const recordsMax = 1_000_000
const rowsAtOnce = 10_000
/** Finished replays are kept for a week. */
const replaysKeptMs = 7 * 24 * 3_600_000

export interface TraceRetentionOptions {
  pool: pg.Pool
  store: TraceStore
  metrics: Metrics
  retentionMs: number
  /** The clock that all nodes share. */
  now: () => number
  log: { info (fields: object, message: string): void, warn (fields: object, message: string): void }
}

/**
 * Creates the partitions of traces in advance and drops expired data, across tenants. A failed sweep is repeated with
 * the next one.
 */
export function createTraceRetention ({ pool, store, metrics, retentionMs, now: clock, log }: TraceRetentionOptions) {
  let timer: NodeJS.Timeout | undefined

  async function deleteInPieces (sql: string, values: unknown[]): Promise<void> {
    for (let isMore = true; isMore;) isMore = ((await pool.query(sql, values)).rowCount ?? 0) >= rowsAtOnce
  }

  async function sweep (now = clock()): Promise<void> {
    await store.ensurePartitions(now)
    const dropped = [
      ...await dropExpiredPartitions(pool, now, retentionMs, 'event_traces'),
      ...await dropExpiredPartitions(pool, now, retentionMs, 'event_trace_parts')
    ]
    metrics.partitionsDropped.inc(dropped.length)
    if (dropped.length > 0) log.info({ partitions: dropped }, 'traces.partitions_dropped')
    // Subscriptions of a dead node ended with it.
    await pool.query(`update trace_subscriptions s set ended_at = n.seen_at, end_reason = '${nodeGone}'
      from trace_nodes n where s.node = n.id and s.ended_at is null and n.seen_at < $1`, [now - 6 * nodeGoneAfterMs])
    await deleteInPieces(`delete from trace_subscriptions where id = any(array(
      select id from trace_subscriptions where ended_at < $1 limit ${rowsAtOnce}))`, [now - retentionMs])
    await deleteInPieces(`delete from trace_subscriptions where id = any(array(
      select id from trace_subscriptions where ended_at < (
        select ended_at from trace_subscriptions where ended_at is not null
        order by ended_at desc offset ${recordsMax} limit 1) limit ${rowsAtOnce}))`,
    []
    )
    await pool.query(
      'delete from trace_nodes n where seen_at < $1 and not exists (select from trace_subscriptions s where s.node ' +
        '= n.id)',
      [now - retentionMs]
    )
    await deleteInPieces(
      `delete from replays where id = any(array(
      select id from replays where finished_at < $1 limit ${rowsAtOnce}))`,
      [now - replaysKeptMs]
    )
  }

  return {
    sweep,
    async start (): Promise<void> {
      await store.ensurePartitions(clock())
      timer = setInterval(() => {
        sweep().catch((error: unknown) => log.warn({ err: error }, 'traces.retention_failed'))
      }, sweepEveryMs)
      timer.unref()
    },
    stop: () => clearInterval(timer)
  }
}
