import type pg from 'pg'
import { textArray } from '../../../db/arrays.ts'
import { readBusyEndpoints, type BusyEndpoint } from './busy-endpoints.ts'
import { claim, type Claim, type Claimed, type Lease, type Wanted } from './claim.ts'
import { giveUp, type DeliveredEvent, type GivenUp } from './give-up.ts'
import { lockLanesSql } from './lanes.ts'

/*
 * The statements of this folder work across tenants on purpose. They name the rows that they update in an array, and
 * look rows up one by one with lateral joins: the planner would choose a bad plan for an ordinary join while the table
 * has no statistics.
 *
 * A lease expires by itself, so leases of a dead server need no cleanup. Taking a lease is cheap because it changes no
 * indexed column.
 */

/**
 * Records results and log entries for the deliveries whose lease is still held, and returns their sequence numbers. The
 * lane of a delivery queues behind the other lanes of its webhook. A lane without other deliveries is deleted, unless
 * it was changed after this statement began: it may have got one.
 */
const settleSql = `
  with results as (
    select * from unnest($1::bigint[], $2::int[], $3::text[], $4::bigint[], $5::int[], $6::boolean[], $7::int[],
      $8::text[], $9::text[], $10::int[], $11::text[], $13::text[], $14::bigint[])
      as r(seq, fence, state, next_at, failures, success, status_code, error, response_body, duration_ms, url,
        response_headers, sent_at)),
  held as (
    select d.*, r.state = 'pending' as is_pending, r.next_at
    from unnest($1::bigint[], $2::int[], $3::text[], $4::bigint[]) as r(seq, fence, state, next_at)
    cross join lateral (select seq, webhook_id, lane from webhook_deliveries where seq = r.seq and fence = r.fence
      and state = 'pending' for update) d),
  settled as (
    update webhook_deliveries d set state = r.state, next_at = r.next_at, failures = r.failures, leased_by = null,
      lease_until = 0, status_code = r.status_code, error = r.error,
      settled_at = case when r.state = 'pending' then null else $12::bigint end
    from results r where d.seq = any(array(select seq from held)) and d.seq = r.seq and d.fence = r.fence
    returning d.seq, d.id, d.application_id, d.environment, d.webhook_id, d.event_type, d.attempts),
  locked as (${lockLanesSql('held')}),
  lanes as (
    select k.*, not is_pending
      and not exists (select from webhook_deliveries d where d.webhook_id = k.webhook_id and d.lane = k.lane
        and d.state = 'pending' and d.seq <> k.seq)
      and exists (select from webhook_lanes where id = k.id and version = k.version) as is_empty
    from locked k),
  emptied as (delete from webhook_lanes where id = any(array(select id from lanes where is_empty))),
  freed as (
    update webhook_lanes l set lease_until = 0, version = l.version + 1,
      next_at = case when k.is_pending then k.next_at else $12 end
    from lanes k where l.id = any(array(select id from lanes where not is_empty)) and l.id = k.id),
  logged as (
    insert into webhook_attempts (application_id, environment, webhook_id, delivery_id, event_type, url, attempt,
      success, status_code, error, response_body, duration_ms, attempted_at, response_headers, sent_at)
    select s.application_id, s.environment, s.webhook_id, s.id, s.event_type, r.url, s.attempts, r.success,
      r.status_code, r.error, r.response_body, r.duration_ms, $12, r.response_headers, r.sent_at
    from settled s join results r using (seq))
  select seq from settled`

/** Releases claimed deliveries that were not sent. */
const releaseSql = `
  with released as (
    update webhook_deliveries d set attempts = attempts - 1, leased_by = null, lease_until = 0
    from unnest($1::bigint[], $2::int[]) as r(seq, fence)
    where d.seq = any($1) and d.seq = r.seq and d.fence = r.fence and d.state = 'pending'
    returning d.webhook_id, d.lane),
  locked as (${lockLanesSql('released')})
  update webhook_lanes set lease_until = 0, version = version + 1 where id = any(array(select id from locked))`

/** The result of an attempt, and the state that its delivery gets. */
export interface Result {
  seq: number
  fence: number
  webhookId: string
  /** Whether the delivery has a lane, of which the next delivery follows. */
  isLaned: boolean
  event: DeliveredEvent
  state: 'pending' | 'delivered' | 'dead'
  nextAt: number
  failures: number
  success: boolean
  statusCode: number | null
  error: string | null
  responseBody: string | null
  responseHeaders: Record<string, string> | null
  /** When the request was signed; null if none was sent. */
  sentAt: number | null
  durationMs: number
  url: string
}

/** Creates the queue of deliveries of all nodes and tenants. */
export function createQueue ({ pool }: { pool: pg.Pool }) {
  return {
    /** Returns pages of webhooks with pending deliveries. */
    busy: (): AsyncGenerator<BusyEndpoint[]> => readBusyEndpoints(pool),

    /** Leases due deliveries of the wanted webhooks. */
    claim: (wanted: readonly Wanted[], lease: Lease): Promise<Claim> => claim(pool, wanted, lease),

    /** Returns the deliveries whose results were recorded. The leases of the others were lost. */
    async settle (results: readonly Result[], now: number): Promise<Set<number>> {
      const { rows } = await pool.query<{ seq: number }>({
        name: 'webhooks_settle',
        text: settleSql,
        values: [
          results.map(r => r.seq),
          results.map(r => r.fence),
          textArray(results.map(r => r.state)),
          results.map(r => r.nextAt),
          results.map(r => r.failures),
          results.map(r => r.success),
          results.map(r => r.statusCode),
          textArray(results.map(r => r.error)),
          textArray(results.map(r => r.responseBody)),
          results.map(r => r.durationMs),
          textArray(results.map(r => r.url)),
          now,
          textArray(results.map(({ responseHeaders }) => responseHeaders && JSON.stringify(responseHeaders))),
          results.map(r => r.sentAt)
        ]
      })
      return new Set(rows.map(row => row.seq))
    },

    async release (claimed: readonly Pick<Claimed, 'seq' | 'fence'>[]): Promise<void> {
      await pool.query({
        name: 'webhooks_release', text: releaseSql, values: [claimed.map(one => one.seq), claimed.map(one => one.fence)]
      })
    },

    /** Gives up some deliveries of deactivated webhooks and of endpoints that are down; none if none is left. */
    giveUp: (webhookIds: readonly string[], times: { downSince: number, now: number }): Promise<GivenUp[]> =>
      giveUp(pool, webhookIds, times),

    /** Counts pending and dead deliveries. Each count stops at 100,000. */
    async totals (): Promise<{ pending: number, dead: number }> {
      const { rows: [row] } = await pool.query<{ pending: number, dead: number }>({
        name: 'webhooks_totals',
        text: `select
          (select count(*)::int from (
            select from webhook_deliveries where state = 'pending' and lane is null limit 100000) one) +
          (select count(*)::int from (
            select from webhook_deliveries where state = 'pending' and lane is not null limit 100000) one) as pending,
          (select count(*)::int from (select from webhook_deliveries where state = 'dead' limit 100000) one) as dead`
      })
      return row ?? { pending: 0, dead: 0 }
    }
  }
}
export type Queue = ReturnType<typeof createQueue>
