import type pg from 'pg'

/** Outbox rows that one statement turns into deliveries. A row can stand for a batch of events. */
const rowsMax = 64
const catchUpRounds = 16
const expanderLock = 7_340_033

/**
 * Expands the outbox in its order, one node at a time, so that positions within a lane follow the order of commits.
 * Drops outbox rows of deleted webhooks. The key-share lock keeps the other webhooks from being deleted meanwhile.
 *
 * A delivery is due at once, also if the time of its event is ahead of the clock (ADR 13).
 */
const expandSql = (turn: string) => `
  with turn as (${turn}),
  oldest as (select id from webhook_outbox where (select mine from turn) order by id limit ${rowsMax}),
  taken as (
    delete from webhook_outbox where id = any(array(select id from oldest))
    returning id, webhook_id, log_id, head, backs, created_at),
  made as (
    insert into webhook_deliveries (application_id, environment, webhook_id, event_id, event_type, topic, log_id,
      "offset", event_at, key, lane, next_at, created_at)
    select e.application_id, e.environment, t.webhook_id, e.id, e.type, e.topic, t.log_id, e."offset", e.created_at,
      e.key, case when w.ordering = 'key' then e.key end, least(e.created_at, $1), least(e.created_at, $1)
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

export interface OutboxOptions {
  pool: pg.Pool
  /** The clock that all nodes share. */
  now: () => number
}

/** Creates the outbox of all tenants, whose rows become the deliveries of the queue. */
export function createOutbox ({ pool, now }: OutboxOptions) {
  /** Returns how many rows it found. */
  async function expandOnce (statement: pg.QueryConfig): Promise<number> {
    const { rows: [row] } = await pool.query<{ found: number, made: number }>(statement)
    return row?.found ?? 0
  }

  return {
    /** Turns the oldest rows into deliveries, unless another node is doing so. Returns whether there may be more. */
    async expand (): Promise<boolean> {
      return await expandOnce({ name: 'webhooks_expand', text: expandIfFreeSql, values: [now()] }) >= rowsMax
    },

    /**
     * Resolves once every event committed before the call has its deliveries, whichever node creates them. For a long
     * outbox, expands only `catchUpRounds` times `rowsMax` rows.
     */
    async catchUp (): Promise<void> {
      for (let round = 0; round < catchUpRounds; round++) {
        // While the statement waited, other nodes may have taken some of the rows that it found.
        const found = await expandOnce({ name: 'webhooks_catch_up', text: expandInTurnSql, values: [now()] })
        if (found < rowsMax) return
      }
    },

    /** Returns whether rows from before a time are left. Another node may be expanding them. */
    async hasRows (before: number): Promise<boolean> {
      const { rows: [row] } = await pool.query<{ found: boolean }>(
        'select exists (select from webhook_outbox where created_at < $1) as found', [before]
      )
      return row?.found === true
    }
  }
}
export type Outbox = ReturnType<typeof createOutbox>
