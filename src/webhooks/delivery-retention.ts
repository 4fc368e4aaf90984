import type pg from 'pg'
import type { Trim } from '../events/topic-retention.ts'
import type { Outbox } from './dispatch/outbox.ts'

/** Rows that one step inspects. */
const stepRows = 5000
/** How long `webhook_events` keeps an event beyond the lifetime of its delivery. */
const eventsSlackMs = 24 * 3_600_000

/**
 * Inspects one page of deliveries, oldest first. Deletes delivered ones and expired ones; copies the events of the
 * others into `webhook_events` before the log drops them.
 */
const stepSql = `
  with page as (
    select seq, ctid as place, state, log_id, "offset", event_at, created_at from webhook_deliveries
      where seq > $1 order by seq limit ${stepRows}),
  gone as (
    delete from webhook_deliveries where ctid = any(array(
      select place from page where (state = 'delivered' and created_at < $2) or created_at < $3))
        and (state <> 'pending' or created_at < $3)
    returning state),
  saved as (
    insert into webhook_events (log_id, "offset", application_id, environment, topic, epoch, id, type, source, key,
      payload, meta, schema_version, created_at)
    select p.log_id, p."offset", e.application_id, e.environment, e.topic,
      coalesce((select epoch from topic_logs where id = p.log_id), ''),
      e.id, e.type, e.source, e.key, e.payload, e.meta, e.schema_version, e.created_at
    from page p cross join lateral (
      select * from logged_events e where e.log_id = p.log_id and e."offset" = p."offset"
        and e.created_at = p.event_at limit 1) e
    where p.state <> 'delivered' and p.event_at < $2 and p.created_at >= $3
    on conflict do nothing)
  select max(seq) as last, count(*)::int as count, min(created_at) >= $2 as is_done,
    (select count(*)::int from gone where state <> 'delivered') as given_up from page`

const attemptsSql = `
  with page as (select ctid as place, attempted_at from webhook_attempts order by seq limit ${stepRows}),
  gone as (delete from webhook_attempts
    where ctid = any(array(select place from page where attempted_at < $1)) returning 1)
  select count(*)::int as gone from gone`

/** Copies the oldest events of one log that pending or dead deliveries need. */
const saveTrimmedSql = `
  insert into webhook_events (log_id, "offset", application_id, environment, topic, epoch, id, type, source, key,
    payload, meta, schema_version, created_at)
  select e.log_id, e."offset", e.application_id, e.environment, e.topic,
    coalesce((select epoch from topic_logs where id = e.log_id), ''),
    e.id, e.type, e.source, e.key, e.payload, e.meta, e.schema_version, e.created_at
  from logged_events e
  where e.log_id = $1 and e."offset" <= $2 and e.created_at < $3 and e."offset" > $4
    and exists (select from webhook_deliveries d where d.event_id = e.id and d.state <> 'delivered')
  on conflict do nothing`

export interface DeliveryRetentionOptions {
  pool: pg.Pool
  outbox: Outbox
  deadKeptMs: number
  /** The clock that all nodes share. */
  now: () => number
  log: { warn (fields: object, message: string): void }
}

/**
 * Applies retention to deliveries when the log drops their events. Delivered deliveries are deleted with their events.
 * Pending and dead ones, which may be redriven, keep a copy of the event until they expire themselves.
 */
export function createDeliveryRetention ({ pool, outbox, deadKeptMs, now: clock, log }: DeliveryRetentionOptions) {
  /** Events still in the outbox have no delivery yet that could be inspected. */
  async function expandOutbox (before: number): Promise<void> {
    while (await outbox.expand());
    if (await outbox.hasRows(before)) throw new Error('the outbox still holds events that are about to be deleted')
  }

  return {
    /** Call before the log deletes the oldest events of one log. If it throws, the log must not delete them. */
    async beforeTrim ({ logId, after, upTo, before }: Trim): Promise<void> {
      if (await outbox.hasRows(before)) await expandOutbox(before)
      await pool.query({ name: 'webhooks_keep_trimmed', text: saveTrimmedSql, values: [logId, upTo, before, after] })
    },

    /**
     * Call before the log drops events written before `before`. If it throws, the log must not drop them.
     */
    async beforeDrop (before: number, now = clock()): Promise<void> {
      await expandOutbox(before)
      let givenUp = 0
      for (let after = 0, isDone = false; !isDone;) {
        const { rows: [step] } = await pool.query<
          { last: number | null, count: number, is_done: boolean | null, given_up: number }
        >({
          name: 'webhooks_keep',
          text: stepSql,
          values: [after, before, now - deadKeptMs]
        })
        after = step?.last ?? after
        givenUp += step?.given_up ?? 0
        isDone = step === undefined || step.count < stepRows || step.is_done === true
      }
      if (givenUp > 0) log.warn({ deliveries: givenUp, olderThanMs: deadKeptMs }, 'deliveries.expired')
      for (let gone = stepRows; gone === stepRows;) {
        const { rows: [step] } = await pool.query<{ gone: number }>({
          name: 'webhooks_forget_attempts', text: attemptsSql, values: [before]
        })
        gone = step?.gone ?? 0
      }
      await pool.query('delete from webhook_events where created_at < $1', [
        Math.min(before, now - deadKeptMs) - eventsSlackMs
      ])
    }
  }
}
