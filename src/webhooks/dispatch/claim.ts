import type pg from 'pg'
import { textArray } from '../../../db/arrays.ts'
import type { EventSource, EventType } from '../../../schemas/events.ts'
import type { Environment } from '../../../schemas/scope.ts'

/** Lanes of one webhook that one claim scans. */
const lanesMax = 200
/** Error of an attempt whose result was never recorded. */
export const interruptedText = 'Interrupted: the server ended before the attempt finished'

/**
 * Leases due deliveries, up to the wanted number per webhook. Deliveries without a lane are taken longest due first. Of
 * each lane only the first unsettled delivery is eligible, and lanes are taken longest due first. An expired lease is
 * logged as an attempt with unknown outcome.
 */
const claimSql = `
  with wanted as (
    select w.* from unnest($1::text[], $2::int[], $3::text[]) as w(webhook_id, slots, after_lane)
    cross join lateral (select from webhooks where id = w.webhook_id and active) still),
  scanned as (
    select w.webhook_id, w.slots, h.* from wanted w cross join lateral (
      with recursive lanes as (
        (select d.lane, d.ctid as place, d.next_at, d.position, greatest(d.next_at, d.lease_until) as free_at, 1 as n
          from webhook_deliveries d
          where d.webhook_id = w.webhook_id and d.state = 'pending' and d.lane is not null
            and d.lane > w.after_lane order by d.lane, d.position limit 1)
        union all
        select x.lane, x.place, x.next_at, x.position, x.free_at, l.n + 1 from lanes l cross join lateral (
          select d.lane, d.ctid as place, d.next_at, d.position, greatest(d.next_at, d.lease_until) as free_at
          from webhook_deliveries d
          where d.webhook_id = w.webhook_id and d.state = 'pending' and d.lane is not null
            and d.lane > l.lane order by d.lane, d.position limit 1) x
        where l.n < ${lanesMax})
      select * from lanes) h),
  heads as (
    select place from (
      select place, slots, row_number() over (partition by webhook_id order by next_at, position) as nth from scanned
      where free_at <= $4) due where nth <= slots),
  picked as (
    select p.* from wanted w cross join lateral (
      select d.ctid as place, d.seq, d.leased_by from webhook_deliveries d
      where d.webhook_id = w.webhook_id and d.state = 'pending' and d.lane is null and d.next_at <= $4
        and d.lease_until <= $4
      order by d.next_at, d.position limit w.slots for update skip locked) p
    union all
    select l.* from heads h cross join lateral (
      select d.ctid, d.seq, d.leased_by from webhook_deliveries d
      where d.ctid = h.place and d.state = 'pending' and d.lane is not null and d.next_at <= $4
        and d.lease_until <= $4 for update skip locked) l),
  claimed as (
    update webhook_deliveries set lease_until = $5, fence = fence + 1, attempts = attempts + 1, leased_by = $6
    where ctid = any(array(select place from picked)) and state = 'pending' and lease_until <= $4
    returning *),
  interrupted as (
    insert into webhook_attempts (application_id, environment, webhook_id, delivery_id, event_type, url, attempt,
      success, error, attempted_at)
    select c.application_id, c.environment, c.webhook_id, c.id, c.event_type, w.url, c.attempts - 1, false,
      '${interruptedText}', $4
    from (select seq from picked where leased_by is not null) p join claimed c using (seq)
    cross join lateral (select url from webhooks where id = c.webhook_id) w
    returning 1)
  select c.seq, c.id, c.webhook_id, c.application_id, c.environment, c.event_id, c.event_type, c.topic, c."offset",
    c.key, c.lane, c.replay_of, c.attempts, c.failures, c.fence, c.event_at, c.created_at,
    coalesce(e.epoch, s.epoch) as epoch, coalesce(e.source, s.source) as source,
    coalesce(e.payload, s.payload) as payload,
    coalesce(e.meta, s.meta) as meta, coalesce(e.schema_version, s.schema_version) as schema_version,
    (select count(*)::int from interrupted) as interrupted, x.scans
  from (select jsonb_object_agg(webhook_id, last) filter (where lanes = ${lanesMax}) as scans
    from (select webhook_id, max(lane) as last, count(*) as lanes from scanned group by webhook_id) one) x
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

/** `lanesEnd`: for webhooks with more lanes than one claim scans, the lane where the scan stopped. */
export interface Claim { claimed: Claimed[], lanesEnd: ReadonlyMap<string, string> }

export interface Wanted { webhookId: string, slots: number, afterLane: string }

/** The time of a claim, and the lease that its deliveries get. */
export interface Lease { now: number, leaseUntil: number, owner: string }

export async function claim (
  pool: pg.Pool, wanted: readonly Wanted[], { now, leaseUntil, owner }: Lease
): Promise<Claim> {
  const { rows } = await pool.query<Claimed & { seq: number | null, scans: Record<string, string> | null }>({
    name: 'webhooks_claim',
    text: claimSql,
    values: [
      textArray(wanted.map(one => one.webhookId)), wanted.map(one => one.slots),
      textArray(wanted.map(one => one.afterLane)), now, leaseUntil, owner
    ]
  })
  return {
    claimed: rows.filter(({ seq }) => seq !== null), lanesEnd: new Map(Object.entries(rows[0]?.scans ?? {}))
  }
}
