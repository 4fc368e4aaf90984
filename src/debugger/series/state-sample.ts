import type pg from 'pg'
import type { Environment } from '../../../schemas/scope.ts'
import { Counts } from './counts.ts'
import { toRow, type Row, type Subject } from './row.ts'
import { lagSince } from '../reader-lag.ts'

/** Limits, as for the dashboard: deliveries of each kind that are counted for a webhook, webhooks and connections. */
const countedMax = 10_000
const webhooksMax = 10_000
const connectionsMax = 10_000

/**
 * The pending and the dead deliveries of each scope. Each count has a limit, so that a backlog does not slow it down.
 * Webhooks without deliveries cost three index lookups.
 */
const deliveriesSql = `
  select w.application_id, one.environment, sum(one.waiting) as waiting, sum(one.retrying) as retrying,
    min(one.oldest) as oldest, sum(one.dead) as dead
  from (select id, application_id from webhooks order by id limit ${webhooksMax}) w
  cross join lateral (
    select environment, count(*) as waiting, count(*) filter (where failures > 0) as retrying,
      min(next_at) filter (where next_at <= $1) as oldest, 0 as dead
    from (
      (select next_at, failures, environment from webhook_deliveries d
        where d.webhook_id = w.id and d.state = 'pending' and d.lane is null limit ${countedMax})
      union all
      (select next_at, failures, environment from webhook_deliveries d
        where d.webhook_id = w.id and d.state = 'pending' and d.lane is not null limit ${countedMax})) pending
    group by environment
    union all
    select environment, 0, 0, null, count(*)
    from (select environment from webhook_deliveries d
      where d.application_id = w.application_id and d.webhook_id = w.id and d.state = 'dead' limit ${countedMax}) dead
    group by environment) one
  group by w.application_id, one.environment`

interface DeliveriesRow {
  application_id: string
  environment: Environment
  waiting: number
  retrying: number
  oldest: number | null
  dead: number
}

const readersSql =
  `select application_id, environment, status from cdc_connections where status is not null limit ${connectionsMax}`

interface ReaderRow { application_id: string, environment: Environment, status: string | null }

/**
 * Returns rows with the state of webhooks and connected databases over all nodes: the first with the totals, the others
 * of the scopes that have something to report. Covers every tenant on purpose.
 */
export async function sampleStates (pool: pg.Pool, now: number): Promise<Row[]> {
  const { rows: deliveries } = await pool.query<DeliveriesRow>({
    name: 'metric_series_deliveries', text: deliveriesSql, values: [now]
  })
  const { rows: readers } = await pool.query<ReaderRow>({ name: 'metric_series_readers', text: readersSql })
  const rows = new Map<string, Row>()
  const rowOf = (subject: Subject): Row => {
    const key = `${subject?.applicationId}/${subject?.environment}`
    const row = rows.get(key) ?? { ...toRow(subject, 'scope', '', new Counts()), is_sampled: true }
    rows.set(key, row)
    return row
  }
  const total = rowOf(undefined)
  for (const { application_id: applicationId, environment, waiting, retrying, oldest, dead } of deliveries) {
    for (const row of [total, rowOf({ applicationId, environment })]) {
      row.webhooks_waiting += waiting
      row.retrying += retrying
      row.dead += dead
      if (oldest !== null) row.oldest_due_ms = Math.max(row.oldest_due_ms, now - oldest)
    }
  }
  for (const { application_id: applicationId, environment, status } of readers) {
    const since = lagSince(status)
    if (since === undefined) continue
    for (const row of [total, rowOf({ applicationId, environment })]) {
      row.cdc_lag_ms = Math.max(row.cdc_lag_ms, Math.round(now - since))
    }
  }
  return [...rows.values()]
}
