import type pg from 'pg'
import type { Queue } from './dispatch/queue.ts'

/** Rows that one step looks at. */
const stepRows = 5000
/** What the log keeps longer than this beyond a delivery's own time is of no use to it. */
const eventsSlackMs = 24 * 3_600_000

/**
 * One step through the deliveries, oldest first: those that were delivered, and those whose time is over, go; of the
 * others the event is kept beyond the log.
 */
const stepSql = `
  with page as (
    select seq, ctid as place, state, log_id, "offset", event_at, created_at from webhook_deliveries where seq > $1 order by seq limit ${stepRows}),
  gone as (
    delete from webhook_deliveries where ctid = any(array(
      select place from page where (state = 'delivered' and created_at < $2) or created_at < $3)) and (state <> 'pending' or created_at < $3)
    returning state),
  saved as (
    insert into webhook_events (log_id, "offset", application_id, environment, topic, epoch, id, type, source, key, payload, meta, schema_version, created_at)
    select p.log_id, p."offset", e.application_id, e.environment, e.topic, coalesce((select epoch from topic_logs where id = p.log_id), ''),
      e.id, e.type, e.source, e.key, e.payload, e.meta, e.schema_version, e.created_at
    from page p cross join lateral (
      select * from events e where e.log_id = p.log_id and e."offset" = p."offset" and e.created_at = p.event_at limit 1) e
    where p.state <> 'delivered' and p.event_at < $2 and p.created_at >= $3
    on conflict do nothing)
  select max(seq) as last, count(*)::int as count, min(created_at) >= $2 as is_done,
    (select count(*)::int from gone where state <> 'delivered') as given_up from page`

const attemptsSql = `
  with page as (select ctid as place, attempted_at from webhook_attempts order by seq limit ${stepRows}),
  gone as (delete from webhook_attempts where ctid = any(array(select place from page where attempted_at < $1)) returning 1)
  select count(*)::int as gone from gone`

export interface KeepingOptions {
  pool: pg.Pool
  queue: Queue
  deadKeptMs: number
  /** The time that all nodes go by. */
  now: () => number
  log: { warn (fields: object, message: string): void }
}

/**
 * What happens to deliveries when the log drops their events. Those that were delivered go with them; what is still
 * owed, or was given up and may be redriven, keeps its event until its own time is over.
 */
export function createKeeping ({ pool, queue, deadKeptMs, now: clock, log }: KeepingOptions) {
  return {
    /**
     * To be called before the log drops events that were written before a time; what it throws keeps them from being
     * dropped.
     */
    async beforeDrop (before: number, now = clock()): Promise<void> {
      // An event that still stands in the outbox has no delivery yet that could be looked at.
      while (await queue.expand());
      if (await queue.hasOutbox(before)) throw new Error('the outbox still owes events that are to be dropped')
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
