import type pg from 'pg'
import { usageKept } from './usage-recorder.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** Rows that one statement deletes. */
const rowsAtOnce = 20_000
/** Applications that one round counts. */
const countedAtOnce = 50
/** The documents of an application with a quota are counted again after this time. */
const countedEveryMs = hourMs
const housekeepingLock = 7_340_034

const expireSql = `
  delete from application_usage where ctid = any(array(
    select ctid from application_usage where span = $1 and starts_at < $2 limit ${rowsAtOnce}))`

/** Records what every application has stored, also of those without traffic. One node at a time. */
const measureSql = `
  with turn as (select pg_try_advisory_xact_lock(${housekeepingLock}) as mine),
  stored as (
    select application_id, sum(bytes) as bytes from application_bytes where (select mine from turn) group by 1)
  insert into application_usage as u (application_id, span, starts_at, bytes_stored, documents, webhooks)
  select a.id, t.span, t.starts_at, coalesce(s.bytes, 0), coalesce(d.documents, 0),
    (select count(*) from webhooks w where w.application_id = a.id)
  from applications a
  left join stored s on s.application_id = a.id
  left join application_documents d on d.application_id = a.id
  cross join (values ('hour', $1::bigint), ('day', $2::bigint)) as t(span, starts_at)
  where (select mine from turn) and (s.bytes > 0 or d.documents > 0)
  order by 1, 2
  on conflict (application_id, span, starts_at) do update set
    bytes_stored = excluded.bytes_stored, documents = excluded.documents, webhooks = excluded.webhooks`

/** Finds applications whose documents were never counted, or long ago and have a quota. */
const uncountedSql = `
  select a.id from applications a left join application_documents d on d.application_id = a.id
  where coalesce(d.counted_at, 0) < $1 and (d.application_id is null or $2::text[] is null or a.id = any($2))
  order by coalesce(d.counted_at, 0), a.id limit ${countedAtOnce}`

const countSql = `
  insert into application_documents (application_id, documents, counted_at)
  select a.id, (select count(*) from documents d where d.application_id = a.id and not d.deleted), $2
  from applications a where a.id = $1
  on conflict (application_id) do update set documents = excluded.documents, counted_at = excluded.counted_at`

export interface HousekeepingOptions {
  pool: pg.Pool
  now: () => number
  log: { warn (fields: object, message: string): void }
}

/** Deletes old usage, and corrects the counters that are otherwise kept by adding up changes. */
export function createHousekeeping ({ pool, now: clock, log }: HousekeepingOptions) {
  /** Counts the documents of an application. */
  async function count (applicationId: string): Promise<void> {
    await pool.query({ name: 'documents_count', text: countSql, values: [applicationId, clock()] })
  }

  return {
    count,

    async measure (): Promise<void> {
      const now = clock()
      await pool.query(measureSql, [now - now % hourMs, now - now % dayMs])
    },

    async expire (): Promise<void> {
      for (const span of ['hour', 'day'] as const) {
        for (let count = rowsAtOnce; count === rowsAtOnce;) {
          count = (await pool.query(expireSql, [span, clock() - usageKept[span]])).rowCount ?? 0
        }
      }
    },

    /**
     * Counts the documents of applications that were never counted, and again those of applications with a quota: the
     * given ones, or, for null, all. A count that fails is logged.
     */
    async countAgain (withQuota: readonly string[] | null): Promise<void> {
      const { rows } = await pool.query<{ id: string }>(uncountedSql, [clock() - countedEveryMs, withQuota])
      for (const { id } of rows) {
        await count(id).catch((err: unknown) => log.warn({ err, applicationId: id }, 'quotas.documents_not_counted'))
      }
    }
  }
}
export type Housekeeping = ReturnType<typeof createHousekeeping>
