import type pg from 'pg'
import { textArray } from '../../../db/arrays.ts'
import type { EventSource, EventType } from '../../../schemas/events.ts'
import type { Environment } from '../../../schemas/scope.ts'

/** Error of an attempt whose result was never recorded. */
export const interruptedText = 'Interrupted: the server ended before the attempt finished'

/**
 * Leases due deliveries, up to the wanted number per webhook: those without a lane, and the first of each free lane, in
 * both cases longest due first. A lane that was changed after this statement began waits for the next claim. A lane
 * whose first delivery is not due is put off, and one without deliveries is deleted: `passed` counts both. An expired
 * lease is logged as an attempt with unknown outcome.
 */
const claimSql = `
  with wanted as (
    select w.* from unnest($1::text[], $2::int[]) as w(webhook_id, slots)
    cross join lateral (select from webhooks where id = w.webhook_id and active) still),
  lanes as (
    select l.* from wanted w cross join lateral (
      select id, webhook_id, lane, version from webhook_lanes
      where webhook_id = w.webhook_id and next_at <= $3 and lease_until <= $3
      order by next_at limit w.slots for update skip locked) l),
  heads as (
    select l.id as lane_id, d.seq, greatest(d.next_at, d.lease_until) as free_at from lanes l
    cross join lateral (select from webhook_lanes where id = l.id and version = l.version limit 1) unchanged
    left join lateral (
      select seq, next_at, lease_until from webhook_deliveries
      where webhook_id = l.webhook_id and lane = l.lane and state = 'pending' order by position limit 1) d on true),
  picked as (
    select p.* from wanted w cross join lateral (
      select seq, leased_by from webhook_deliveries
      where webhook_id = w.webhook_id and state = 'pending' and lane is null and next_at <= $3 and lease_until <= $3
      order by next_at, position limit w.slots for update skip locked) p
    union all
    select p.* from heads h cross join lateral (
      select seq, leased_by from webhook_deliveries
      where seq = h.seq and state = 'pending' and next_at <= $3 and lease_until <= $3 for update skip locked) p),
  claimed as (
    update webhook_deliveries set lease_until = $4, fence = fence + 1, attempts = attempts + 1, leased_by = $5
    where seq = any(array(select seq from picked)) and state = 'pending' and lease_until <= $3
    returning *),
  leased as (
    update webhook_lanes set lease_until = $4, version = version + 1
    where id = any(array(select h.lane_id from heads h join claimed c using (seq)))),
  put_off as (
    update webhook_lanes l set next_at = h.free_at, version = l.version + 1 from heads h
    where l.id = any(array(select lane_id from heads where free_at > $3)) and l.id = h.lane_id),
  emptied as (
    delete from webhook_lanes where id = any(array(select lane_id from heads where seq is null))),
  interrupted as (
    insert into webhook_attempts (application_id, environment, webhook_id, delivery_id, event_type, url, attempt,
      success, error, attempted_at)
    select c.application_id, c.environment, c.webhook_id, c.id, c.event_type, w.url, c.attempts - 1, false,
      '${interruptedText}', $3
    from (select seq from picked where leased_by is not null) p join claimed c using (seq)
    cross join lateral (select url from webhooks where id = c.webhook_id) w
    returning 1)
  select c.seq, c.id, c.webhook_id, c.application_id, c.environment, c.event_id, c.event_type, c.topic, c."offset",
    c.key, c.lane, c.replay_of, c.attempts, c.failures, c.fence, c.event_at, c.created_at,
    coalesce(e.epoch, s.epoch) as epoch, coalesce(e.source, s.source) as source,
    coalesce(e.payload, s.payload) as payload,
    coalesce(e.meta, s.meta) as meta, coalesce(e.schema_version, s.schema_version) as schema_version,
    (select count(*)::int from interrupted) as interrupted, x.passed
  from (select count(*)::int as passed from heads where seq is null or free_at > $3) x
  left join claimed c on true
  left join lateral (
    select e.source, e.payload, e.meta, e.schema_version,
      (select epoch from topic_logs where id = c.log_id) as epoch from logged_events e
    where e.log_id = c.log_id and e."offset" = c."offset" and e.created_at = c.event_at limit 1) e on true
  left join lateral (
    select s.source, s.payload, s.meta, s.schema_version, s.epoch from webhook_events s
      where e.source is null and s.log_id = c.log_id and s."offset" = c."offset") s on true
  order by c.position`

/** A delivery that this node has leased, with the data for its body. */
export interface Claimed {
  seq: number
  id: string
  webhook_id: string
  application_id: string
  environment: Environment
  event_id: string
  event_type: EventType
  topic: string
  offset: number
  key: string | null
  lane: string | null
  replay_of: string | null
  attempts: number
  failures: number
  fence: number
  event_at: number
  created_at: number
  /** Null, as the next four, when the event is stored neither in the log nor in `webhook_events`. */
  epoch: string | null
  source: EventSource | null
  payload: string | null
  meta: string | null
  schema_version: number | null
  interrupted: number
}

/** `hasPassed`: whether lanes without a due delivery took slots, so that the next claim finds others. */
export interface Claim { claimed: Claimed[], hasPassed: boolean }

export interface Wanted { webhookId: string, slots: number }

/** The time of a claim, and the lease that its deliveries get. */
export interface Lease { now: number, leaseUntil: number, owner: string }

export async function claim (
  pool: pg.Pool, wanted: readonly Wanted[], { now, leaseUntil, owner }: Lease
): Promise<Claim> {
  const { rows } = await pool.query<Claimed & { seq: number | null, passed: number }>({
    name: 'webhooks_claim',
    text: claimSql,
    values: [textArray(wanted.map(one => one.webhookId)), wanted.map(one => one.slots), now, leaseUntil, owner]
  })
  return { claimed: rows.filter(({ seq }) => seq !== null), hasPassed: (rows[0]?.passed ?? 0) > 0 }
}
