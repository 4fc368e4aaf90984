import type pg from 'pg'
import { textArray } from '../../../db/arrays.ts'
import type { SealedSecret, WebhookReader } from '../../../db/tables.ts'
import type { EventSource, EventType } from '../../../schemas/events.ts'
import type { Environment, Scope } from '../../../schemas/scope.ts'
import type { DeactivationReason } from './deactivation.ts'

/*
 * The statements of the queue, across tenants on purpose. They update rows by ctid and look rows up one by one with
 * lateral joins: the planner would choose a bad plan for an ordinary join while the table has no statistics.
 *
 * A lease expires by itself, so leases of a dead server need no cleanup. Taking a lease is cheap because it changes no
 * indexed column.
 */

/** Outbox rows that one statement turns into deliveries. A row can stand for a batch of events. */
const outboxRowsMax = 64
const catchUpRounds = 16
/** Webhooks per page of `busy`. */
const busyMax = 500
/** Lanes of one webhook that one claim scans. */
const lanesMax = 200
const expanderLock = 7_340_033
/** Error of an attempt whose result was never recorded. */
const interruptedText = 'Interrupted: the server ended before the attempt finished'

/**
 * Expands the outbox in its order, one node at a time, so that positions within a lane follow the order of commits.
 * Drops outbox rows of deleted webhooks. The key-share lock keeps the other webhooks from being deleted meanwhile.
 */
const expandSql = (turn: string) => `
  with turn as (${turn}),
  oldest as (select id from webhook_outbox where (select mine from turn) order by id limit ${outboxRowsMax}),
  taken as (
    delete from webhook_outbox where id = any(array(select id from oldest))
    returning id, webhook_id, log_id, head, backs, created_at),
  made as (
    insert into webhook_deliveries (application_id, environment, webhook_id, event_id, event_type, topic, log_id,
      "offset", event_at, key, lane, next_at, created_at)
    select e.application_id, e.environment, t.webhook_id, e.id, e.type, e.topic, t.log_id, e."offset", e.created_at,
      e.key, case when w.ordering = 'key' then e.key end, e.created_at, e.created_at
    from (select * from taken order by id) t
    cross join lateral (select id, ordering from webhooks where id = t.webhook_id for key share) w
    cross join lateral unnest(t.backs) as b(back)
    cross join lateral (
      select id, application_id, environment, type, topic, "offset", created_at, key from events
      where log_id = t.log_id and "offset" = t.head - b.back and created_at = t.created_at limit 1) e
    order by t.id, e."offset"
    returning 1)
  select (select count(*)::int from oldest) as found, (select count(*)::int from made) as made`
const expandIfFreeSql = expandSql(`select pg_try_advisory_xact_lock(${expanderLock}) as mine`)
const expandInTurnSql = expandSql(`select pg_advisory_xact_lock(${expanderLock}) is not null as mine`)

/**
 * Finds webhooks with pending deliveries, from one ID on, by skipping through the indexes: the cost grows with the
 * number of webhooks, not of deliveries.
 */
const busySql = `
  with recursive due as (
    (select webhook_id, next_at from webhook_deliveries where state = 'pending' and lane is null
      and webhook_id > $1 order by webhook_id, next_at limit 1)
    union all
    select n.webhook_id, n.next_at from due d cross join lateral (
      select webhook_id, next_at from webhook_deliveries where state = 'pending' and lane is null
        and webhook_id > d.webhook_id order by webhook_id, next_at limit 1) n),
  laned as (
    (select webhook_id from webhook_deliveries where state = 'pending' and lane is not null
      and webhook_id > $1 order by webhook_id limit 1)
    union all
    select n.webhook_id from laned l cross join lateral (
      select webhook_id from webhook_deliveries where state = 'pending' and lane is not null
        and webhook_id > l.webhook_id order by webhook_id limit 1) n)
  select b.webhook_id as id, w.application_id, w.url, w.secrets, w.rate_limit, w.failing_since, w.failed_at,
    coalesce(w.active, false) as active, w.deactivated_reason, w.reader, d.next_at, b.is_laned
  from (
    select webhook_id, bool_or(is_laned) as is_laned from (
      (select webhook_id, false as is_laned from due limit ${busyMax})
        union all (select webhook_id, true from laned limit ${busyMax})) one
    group by webhook_id order by webhook_id limit ${busyMax}) b
  left join webhooks w on w.id = b.webhook_id
  left join (select * from due limit ${busyMax}) d on d.webhook_id = b.webhook_id`

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
      (select epoch from topic_logs where id = c.log_id) as epoch from events e
    where e.log_id = c.log_id and e."offset" = c."offset" and e.created_at = c.event_at limit 1) e on true
  left join lateral (
    select s.source, s.payload, s.meta, s.schema_version, s.epoch from webhook_events s
      where e.source is null and s.log_id = c.log_id and s."offset" = c."offset") s on true
  order by c.position`

/** Records results and log entries for the deliveries whose lease is still held, and returns their sequence numbers. */
const settleSql = `
  with results as (
    select * from unnest($1::bigint[], $2::int[], $3::text[], $4::bigint[], $5::int[], $6::boolean[], $7::int[],
      $8::text[], $9::text[], $10::int[], $11::text[])
      as r(seq, fence, state, next_at, failures, success, status_code, error, response_body, duration_ms, url)),
  held as (
    select d.ctid as place, d.seq from unnest($1::bigint[], $2::int[]) as r(seq, fence)
    cross join lateral (select ctid, seq from webhook_deliveries where seq = r.seq and fence = r.fence
      and state = 'pending' for update) d),
  settled as (
    update webhook_deliveries d set state = r.state, next_at = r.next_at, failures = r.failures, leased_by = null,
      lease_until = 0, status_code = r.status_code, error = r.error,
      settled_at = case when r.state = 'pending' then null else $12::bigint end
    from results r where d.ctid = any(array(select place from held)) and d.seq = r.seq and d.fence = r.fence
    returning d.seq, d.id, d.application_id, d.environment, d.webhook_id, d.event_type, d.attempts),
  logged as (
    insert into webhook_attempts (application_id, environment, webhook_id, delivery_id, event_type, url, attempt,
      success, status_code, error, response_body, duration_ms, attempted_at)
    select s.application_id, s.environment, s.webhook_id, s.id, s.event_type, r.url, s.attempts, r.success,
      r.status_code, r.error, r.response_body, r.duration_ms, $12
    from settled s join results r using (seq))
  select seq from settled`

/** Releases claimed deliveries that were not sent. */
const releaseSql = `
  update webhook_deliveries d set attempts = attempts - 1, leased_by = null, lease_until = 0
  from unnest($1::bigint[], $2::int[]) as r(seq, fence)
  where d.ctid = any(array(select x.ctid from unnest($1::bigint[]) k(seq)
    cross join lateral (select ctid from webhook_deliveries where seq = k.seq) x))
    and d.seq = r.seq and d.fence = r.fence and d.state = 'pending'`

/**
 * Gives up a limited number of a webhook's deliveries that were due by a time, while the webhook still has the failing
 * URL or is still deactivated by the platform. First logs an attempt whose lease expired.
 */
const burySql = `
  with still as (
    select from webhooks where id = $1 and
      case when $5::text is null then not active and deactivated_reason is not null else active and url = $5 end),
  picked as (
    select * from (select ctid as place, seq, leased_by from webhook_deliveries
      where exists (select from still) and webhook_id = $1 and state = 'pending' and lane is null
        and next_at <= $2 and lease_until <= $3 limit 2000 for update skip locked) free
    union all
    select * from (select ctid, seq, leased_by from webhook_deliveries
      where exists (select from still) and webhook_id = $1 and state = 'pending' and lane is not null
        and next_at <= $2 and lease_until <= $3 limit 2000 for update skip locked) laned),
  buried as (
    update webhook_deliveries set state = 'dead', settled_at = $3, leased_by = null, lease_until = 0,
      fence = fence + 1, error = $4::text
    where ctid = any(array(select place from picked)) and state = 'pending'
    returning seq, id, application_id, environment, webhook_id, event_id, event_at, event_type, attempts),
  logged as (
    insert into webhook_attempts (application_id, environment, webhook_id, delivery_id, event_type, url, attempt,
      success, error, attempted_at)
    select b.application_id, b.environment, b.webhook_id, b.id, b.event_type, w.url, b.attempts, false, e.error, $3
    from buried b join picked p using (seq)
    cross join lateral (select url from webhooks where id = b.webhook_id) w
    cross join lateral (select '${interruptedText}' as error where p.leased_by is not null union all select $4::text) e)
  select application_id, environment, event_id, event_at from buried`

/** The current settings of a webhook with pending deliveries. */
export interface BusyEndpoint {
  id: string
  application_id: string
  url: string
  secrets: SealedSecret[]
  rate_limit: number | null
  failing_since: number | null
  failed_at: number | null
  /** False when the webhook is inactive or deleted. */
  active: boolean
  /** Why the platform deactivated the webhook; null when a user did. */
  deactivated_reason: DeactivationReason | null
  /** The principal whose permissions the deliveries need. */
  reader: WebhookReader | null
  /** When the first delivery without a lane is due; null when there is none. */
  next_at: number | null
  /** Whether there are lanes. Only a claim finds out what is due in them. */
  is_laned: boolean
}

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

/** The event of a delivery. */
export interface DeliveredEvent { scope: Scope, id: string, timestamp: number }

/** The result of an attempt, and the state that its delivery gets. */
export interface Result {
  seq: number
  fence: number
  webhookId: string
  event: DeliveredEvent
  state: 'pending' | 'delivered' | 'dead'
  nextAt: number
  failures: number
  success: boolean
  statusCode: number | null
  error: string | null
  responseBody: string | null
  durationMs: number
  url: string
}

/** `lanesEnd`: for webhooks with more lanes than one claim scans, the lane where the scan stopped. */
export interface Claim { claimed: Claimed[], lanesEnd: ReadonlyMap<string, string> }

/**
 * The deliveries of a webhook to give up: those due by a time, with the reason. `url` is the failing URL; null when the
 * webhook was deactivated.
 */
export interface Burial { dueBy: number, url: string | null, reason: string }

export interface Wanted { webhookId: string, slots: number, afterLane: string }

/** Creates the queue of deliveries of all nodes and tenants. */
export function createQueue ({ pool }: { pool: pg.Pool }) {
  /** Returns how many outbox rows it found. */
  async function expandOnce (statement: pg.QueryConfig): Promise<number> {
    const { rows: [row] } = await pool.query<{ found: number, made: number }>(statement)
    return row?.found ?? 0
  }

  return {
    /**
     * Turns the oldest outbox rows into deliveries, unless another node is doing so. Returns whether there may be more.
     */
    async expand (): Promise<boolean> {
      return await expandOnce({ name: 'webhooks_expand', text: expandIfFreeSql }) >= outboxRowsMax
    },

    /**
     * Resolves once every event committed before the call has its deliveries, whichever node creates them. For a long
     * outbox, expands only `catchUpRounds` times `outboxRowsMax` rows.
     */
    async catchUp (): Promise<void> {
      for (let round = 0; round < catchUpRounds; round++) {
        // While the statement waited, other nodes may have taken some of the rows that it found.
        if (await expandOnce({ name: 'webhooks_catch_up', text: expandInTurnSql }) < outboxRowsMax) return
      }
    },

    /** Returns whether the outbox still has rows from before a time. Another node may be expanding them. */
    async hasOutbox (before: number): Promise<boolean> {
      const { rows: [row] } = await pool.query<{ found: boolean }>(
        'select exists (select from webhook_outbox where created_at < $1) as found', [before]
      )
      return row?.found === true
    },

    /** Returns a page of webhooks with pending deliveries, with IDs above `after`. */
    async busy (after: string): Promise<BusyEndpoint[]> {
      const { rows } = await pool.query<BusyEndpoint>({ name: 'webhooks_busy', text: busySql, values: [after] })
      return rows
    },
    busyMax,

    async claim (
      wanted: readonly Wanted[], { now, leaseUntil, owner }: { now: number, leaseUntil: number, owner: string }
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
    },

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
          now
        ]
      })
      return new Set(rows.map(row => row.seq))
    },

    async release (claimed: readonly Pick<Claimed, 'seq' | 'fence'>[]): Promise<void> {
      await pool.query({
        name: 'webhooks_release', text: releaseSql, values: [claimed.map(one => one.seq), claimed.map(one => one.fence)]
      })
    },

    /**
     * Gives up some of the webhook's deliveries that were due by `dueBy` and are not being sent. Returns their events;
     * none when no such delivery is left.
     */
    async bury (webhookId: string, { dueBy, url, reason }: Burial, now: number): Promise<DeliveredEvent[]> {
      const { rows } = await pool.query<
        { application_id: string, environment: Environment, event_id: string, event_at: number }
      >({
        name: 'webhooks_bury',
        text: burySql,
        values: [webhookId, dueBy, now, reason, url]
      })
      return rows.map(row => ({
        scope: { applicationId: row.application_id, environment: row.environment }, id: row.event_id,
        timestamp: row.event_at
      }))
    },

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
