import type pg from 'pg'
import { partsOfScopeMax } from './collector.ts'

const quarterMs = 15 * 60_000
const hourMs = 60 * 60_000
/**
 * Minutes are kept for a day and a quarter-hour more, so that a request for the last day finds the minutes of all of it
 * although some time passes on its way.
 */
export const minutesKeptMs = 24 * hourMs + quarterMs
const quartersKeptMs = 30 * 24 * hourMs
/** Rows that one statement deletes. */
const rowsAtOnce = 10_000

/** Returns the time from which on minutes are kept, which is the beginning of a quarter-hour. */
export const minutesSince = (now: number): number => Math.floor((now - minutesKeptMs) / quarterMs) * quarterMs

const oldestSql = 'select at, application_id from metric_minutes where at < $1 order by at, application_id limit 1'

/**
 * Moves the minutes of an application in a quarter-hour to its row of the quarter-hour. The statement deletes and
 * inserts at once, so that it neither loses nor doubles a row, wherever it is interrupted and however often it runs.
 * Minutes that were stored too late for the first time are added. Of waiting writes and deliveries the largest value is
 * kept, after those of all nodes in a minute have been added up.
 */
const rollUpSql = `
  with moved as (
    delete from metric_minutes where application_id = $1 and at >= $2 and at < $2 + ${quarterMs} returning *),
  minutes as (
    select environment, kind, name, at, bool_or(is_cut) as is_cut, bool_or(is_sampled) as is_sampled,
      sum(received) as received, sum(captured) as captured, sum(routed) as routed, sum(delivered) as delivered,
      sum(reconnects) as reconnects, sum(schema_violations) as schema_violations,
      sum(mapping_failures) as mapping_failures, sum(connection_ms) as connection_ms, sum(succeeded) as succeeded,
      sum(failed) as failed, sum(writes_waiting) as writes_waiting, sum(webhooks_waiting) as webhooks_waiting,
      sum(retrying) as retrying, sum(dead) as dead, max(oldest_due_ms) as oldest_due_ms, max(cdc_lag_ms) as cdc_lag_ms
    from moved group by environment, kind, name, at),
  summed as (
    select environment, kind, name, bool_or(is_cut) as is_cut, bool_or(is_sampled) as is_sampled,
      sum(received) as received, sum(captured) as captured, sum(routed) as routed, sum(delivered) as delivered,
      sum(reconnects) as reconnects, sum(schema_violations) as schema_violations,
      sum(mapping_failures) as mapping_failures, sum(connection_ms) as connection_ms, sum(succeeded) as succeeded,
      sum(failed) as failed, max(writes_waiting) as writes_waiting, max(webhooks_waiting) as webhooks_waiting,
      max(retrying) as retrying, max(dead) as dead, max(oldest_due_ms) as oldest_due_ms, max(cdc_lag_ms) as cdc_lag_ms
    from minutes group by environment, kind, name),
  ranked as (
    select *, row_number() over (partition by environment, kind, name = ''
      order by received + routed + delivered + succeeded + failed desc, name) as place
    from summed),
  latencies as (
    select environment, kind, name, array_agg(bucket order by bucket) as buckets,
      array_agg(count order by bucket) as counts
    from (
      select environment, kind, name, bucket, sum(count) as count
      from moved, unnest(latency_buckets, latency_counts) as l(bucket, count)
      group by environment, kind, name, bucket) one
    group by environment, kind, name)
  insert into metric_quarters as q (application_id, environment, kind, name, at, is_cut, is_sampled, received, captured,
    routed, delivered, reconnects, schema_violations, mapping_failures, connection_ms, succeeded, failed,
    writes_waiting, webhooks_waiting, retrying, dead, oldest_due_ms, cdc_lag_ms, latency_buckets, latency_counts)
  select $1, environment, kind, name, $2, is_cut or (name = '' and exists (
      select from ranked c where c.environment = r.environment and c.place > ${partsOfScopeMax}
        and c.kind = case r.kind when 'scope' then 'topic' else r.kind end)), is_sampled, received, captured,
    routed, delivered, reconnects, schema_violations, mapping_failures, connection_ms, succeeded, failed,
    writes_waiting, webhooks_waiting, retrying, dead, oldest_due_ms, cdc_lag_ms, coalesce(buckets, '{}'),
    coalesce(counts, '{}')
  from ranked r left join latencies using (environment, kind, name)
  where place <= ${partsOfScopeMax}
  on conflict (application_id, environment, kind, name, at) do update set
    is_cut = q.is_cut or excluded.is_cut, is_sampled = q.is_sampled or excluded.is_sampled,
    received = q.received + excluded.received, captured = q.captured + excluded.captured,
    routed = q.routed + excluded.routed, delivered = q.delivered + excluded.delivered,
    reconnects = q.reconnects + excluded.reconnects,
    schema_violations = q.schema_violations + excluded.schema_violations,
    mapping_failures = q.mapping_failures + excluded.mapping_failures,
    connection_ms = q.connection_ms + excluded.connection_ms, succeeded = q.succeeded + excluded.succeeded,
    failed = q.failed + excluded.failed, writes_waiting = greatest(q.writes_waiting, excluded.writes_waiting),
    webhooks_waiting = greatest(q.webhooks_waiting, excluded.webhooks_waiting),
    retrying = greatest(q.retrying, excluded.retrying), dead = greatest(q.dead, excluded.dead),
    oldest_due_ms = greatest(q.oldest_due_ms, excluded.oldest_due_ms),
    cdc_lag_ms = greatest(q.cdc_lag_ms, excluded.cdc_lag_ms),
    latency_buckets = q.latency_buckets || excluded.latency_buckets,
    latency_counts = q.latency_counts || excluded.latency_counts`

const forgetSql = `
  delete from metric_quarters where ctid = any(array(
    select ctid from metric_quarters where at < $1 limit ${rowsAtOnce}))`

export interface RollUpOptions {
  pool: pg.Pool
  /** Returns false if the work is to stop. */
  mayContinue (): Promise<boolean>
}

/**
 * Combines minutes that have become old into quarter-hours, and deletes old quarter-hours. Covers all tenants, in
 * pieces.
 */
export async function rollUp (now: number, { pool, mayContinue }: RollUpOptions): Promise<void> {
  while (await mayContinue()) {
    const { rows: [oldest] } = await pool.query<{ at: number, application_id: string }>({
      name: 'metric_series_oldest', text: oldestSql, values: [minutesSince(now)]
    })
    if (oldest === undefined) break
    const quarter = Math.floor(oldest.at / quarterMs) * quarterMs
    await pool.query({
      name: 'metric_series_roll_up', text: rollUpSql, values: [oldest.application_id, quarter]
    })
  }
  while (await mayContinue()) {
    const { rowCount } = await pool.query({
      name: 'metric_series_forget', text: forgetSql, values: [now - quartersKeptMs]
    })
    if ((rowCount ?? 0) < rowsAtOnce) break
  }
}
