import type pg from 'pg'
import type { Kind } from './row.ts'
import type { Sums } from './series-metrics.ts'

/** The rows of a series, and the periods into which they are combined. The times are multiples of the period. */
export interface Selection {
  /** Empty strings select the totals of all scopes. */
  applicationIds: readonly string[]
  environments: readonly string[]
  kind: Kind
  name: string
  from: number
  to: number
  stepMs: number
}

/* A minute is in one of the tables only, so each statement sees it once, even while minutes are being combined. */

const selected =
  `application_id = any($1::text[]) and environment = any($2::text[]) and kind = $3::text and name = $4::text
    and at >= $5::bigint and at < $6::bigint`

/** First adds up the nodes and scopes of each minute, because a period has the largest number of waiting items. */
const sumsSql = `
  select at / $7::bigint * $7::bigint as period, sum(received) as received, sum(captured) as captured,
    sum(routed) as routed, sum(delivered) as delivered, sum(reconnects) as reconnects,
    sum(schema_violations) as schema_violations, sum(mapping_failures) as mapping_failures,
    sum(connection_ms) as connection_ms, sum(succeeded) as succeeded, sum(failed) as failed, max(queued) as queued,
    max(retrying) as retrying, max(dead) as dead, max(oldest_due_ms) as oldest_due_ms, max(cdc_lag_ms) as cdc_lag_ms
  from (
    select at, sum(received) as received, sum(captured) as captured, sum(routed) as routed,
      sum(delivered) as delivered, sum(reconnects) as reconnects, sum(schema_violations) as schema_violations,
      sum(mapping_failures) as mapping_failures, sum(connection_ms) as connection_ms, sum(succeeded) as succeeded,
      sum(failed) as failed, sum(writes_waiting + webhooks_waiting) as queued, sum(retrying) as retrying,
      sum(dead) as dead, max(oldest_due_ms) as oldest_due_ms, max(cdc_lag_ms) as cdc_lag_ms
    from (
      select at, received, captured, routed, delivered, reconnects, schema_violations, mapping_failures, connection_ms,
        succeeded, failed, writes_waiting, webhooks_waiting, retrying, dead, oldest_due_ms, cdc_lag_ms
      from metric_minutes where ${selected}
      union all
      select at, received, captured, routed, delivered, reconnects, schema_violations, mapping_failures, connection_ms,
        succeeded, failed, writes_waiting, webhooks_waiting, retrying, dead, oldest_due_ms, cdc_lag_ms
      from metric_quarters where ${selected}) stored
    group by at) moments
  group by period`

const latenciesSql = `
  select at / $7::bigint * $7::bigint as period, bucket, sum(count) as count
  from (
    select at, latency_buckets, latency_counts from metric_minutes where ${selected}
    union all
    select at, latency_buckets, latency_counts from metric_quarters where ${selected}) stored,
    unnest(latency_buckets, latency_counts) as l(bucket, count)
  group by period, bucket`

const periodsSql = `
  select at / $7::bigint * $7::bigint as period, bool_or(is_sampled) as is_sampled, bool_or(is_cut) as is_cut
  from (
    select at, is_sampled, is_cut from metric_minutes where ${selected}
    union all
    select at, is_sampled, is_cut from metric_quarters where ${selected}) stored
  group by period`

const valuesOf = ({ applicationIds, environments, kind, name, from, to, stepMs }: Selection) =>
  [applicationIds, environments, kind, name, from, to, stepMs]

interface SumsRow extends Sums { period: number }

/** Returns the sums of each period that has rows. */
export async function selectSums (pool: pg.Pool, selection: Selection): Promise<Map<number, Sums>> {
  const { rows } = await pool.query<SumsRow>({
    name: 'metric_series_sums', text: sumsSql, values: valuesOf(selection)
  })
  return new Map(rows.map(row => [row.period, row]))
}

interface LatencyRow { period: number, bucket: number, count: number }

/** Returns the number of durations in each bucket of each period. */
export async function selectLatencies (pool: pg.Pool, selection: Selection): Promise<LatencyRow[]> {
  const { rows } = await pool.query<LatencyRow>({
    name: 'metric_series_latencies', text: latenciesSql, values: valuesOf(selection)
  })
  return rows
}

interface PeriodRow { period: number, is_sampled: boolean, is_cut: boolean }

/** Returns the periods that have rows. */
export async function selectPeriods (pool: pg.Pool, selection: Selection): Promise<Map<number, PeriodRow>> {
  const { rows } = await pool.query<PeriodRow>({
    name: 'metric_series_periods', text: periodsSql, values: valuesOf(selection)
  })
  return new Map(rows.map(row => [row.period, row]))
}
