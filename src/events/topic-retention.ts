import type pg from 'pg'
import { partitionMs } from './partitions.ts'

/** Rows that one statement moves or deletes, so that each stays far below the statement timeout. */
const stepRows = 5000
/** Stored payload bytes of one such statement, which reads payloads to count their bytes. */
const stepBytes = 32 * 1024 * 1024
/** Logs that one statement finds. */
const logsAtOnce = 500

const hourMs = 3_600_000

/** Events of a log that are about to be deleted: those between two offsets, the second included. */
export interface Trim { logId: number, after: number, upTo: number, before: number }

interface PastLog { id: number, before: number }

const bytesSql =
  'octet_length(payload::text) + coalesce(octet_length(diff::text), 0) + coalesce(octet_length(meta::text), 0)'
const columns = `log_id, "offset", application_id, environment, topic, id, type, source, key, payload, diff, meta,
      schema_version, created_at`

/**
 * Finds logs whose oldest event is past their own retention: those of topics with a shorter retention than the
 * server's, and those with rows in `events_kept`, whose topic may have been deleted or shortened since. The logs in
 * `events_kept` are found by skipping from one to the next in its index.
 */
const pastLogsSql = `
  with recursive kept as (
    (select log_id from events_kept order by log_id limit 1)
    union all
    select (select log_id from events_kept where log_id > k.log_id order by log_id limit 1) from kept k
    where k.log_id is not null),
  candidates as (
    select log_id as id from kept where log_id is not null
    union
    select l.id from topics t join topic_logs l
      on l.application_id = t.application_id and l.environment = t.environment and l.topic = t.name
    where t.retention_hours between 1 and $2 / ${hourMs}),
  limits as (
    select c.id, $1::bigint - coalesce(t.retention_hours::bigint * ${hourMs}, $2) as before
    from candidates c
    left join topic_logs l on l.id = c.id
    left join topics t on t.application_id = l.application_id and t.environment = l.environment and t.name = l.topic
    where t.retention_hours is distinct from 0 and c.id > $3)
  select i.id, i.before from limits i
  cross join lateral (select created_at from logged_events where log_id = i.id order by "offset" limit 1) first
  where first.created_at < i.before order by i.id limit ${logsAtOnce}`

/**
 * The oldest rows of a log that one step handles, after the offset of the step before: at least one, if there is any.
 * Without that offset, each step would pass the index entries of the rows that were deleted before.
 */
const oldestSql = (table: string, after: string) => `
  select "offset", created_at from (
    select "offset", created_at, sum(pg_column_size(payload)) over (order by "offset") - pg_column_size(payload) as past
    from (
      select "offset", created_at, payload from ${table}
      where log_id = $1 and "offset" > ${after} order by "offset" limit ${stepRows}) oldest
  ) sized where past < ${stepBytes}`

const pageSql = (table: string) => `
  select max("offset") filter (where created_at < $2) as "upTo", count(*) filter (where created_at < $2)::int as count
  from (${oldestSql(table, '$3')}) page`

/** Deletes the oldest events of a log, and takes their bytes off the account of its application. */
const trimSql = (table: 'events' | 'events_kept') => `
  with gone as (
    delete from ${table} where log_id = $1 and "offset" <= $2 and created_at < $3 and "offset" > $4
    returning application_id, created_at, ${bytesSql} as bytes),
  sums as (
    select application_id, ${table === 'events' ? `created_at - created_at % ${partitionMs}` : '0'} as period,
      sum(bytes) as bytes from gone group by 1, 2)
  update application_bytes b set bytes = greatest(0, b.bytes - s.bytes)
  from sums s where b.application_id = s.application_id and b.period = s.period`

/** Finds logs with rows in a partition that are kept for longer than the server's retention. */
const keptLogsSql = (partition: string) => `
  select l.id from topics t join topic_logs l
    on l.application_id = t.application_id and l.environment = t.environment and l.topic = t.name
  where (t.retention_hours = 0 or t.retention_hours > $1 / ${hourMs})
    and exists (select from ${partition} p where p.log_id = l.id)
  union
  select k.log_id from (
    with recursive kept as (
      (select log_id from events_kept order by log_id limit 1)
      union all
      select (select log_id from events_kept where log_id > k.log_id order by log_id limit 1) from kept k
      where k.log_id is not null)
    select log_id from kept where log_id is not null) k
  where exists (select from ${partition} p where p.log_id = k.log_id)`

/** Moves the oldest events of a log out of a partition. One statement, so that a reader finds each exactly once. */
const moveSql = (partition: string, period: number) => `
  with page as (${oldestSql(partition, '$2')}),
  moved as (
    delete from ${partition} where log_id = $1 and "offset" > $2 and "offset" <= (select max("offset") from page)
    returning ${columns}),
  kept as (insert into events_kept (${columns}) select ${columns} from moved),
  sums as (select application_id, sum(${bytesSql}) as bytes from moved group by application_id),
  less as (
    update application_bytes b set bytes = greatest(0, b.bytes - s.bytes)
    from sums s where b.application_id = s.application_id and b.period = ${period}),
  more as (
    insert into application_bytes as b (application_id, period, bytes)
    select s.application_id, 0, s.bytes from sums s join applications a on a.id = s.application_id
    on conflict (application_id, period) do update set bytes = b.bytes + excluded.bytes)
  select count(*)::int as count, max("offset") as "upTo" from moved`

/** Finds the logs, in order of id, with events past their own retention at a time. */
async function pastLogs (pool: pg.Pool, now: number, retentionMs: number, afterId: number): Promise<PastLog[]> {
  const { rows } = await pool.query<PastLog>(pastLogsSql, [now, retentionMs, afterId])
  return rows
}

export interface TrimOptions {
  pool: pg.Pool
  now: number
  retentionMs: number
  /** Called before each step. False ends the work. */
  mayGoOn: () => Promise<boolean>
  /** Called before events are deleted. */
  save: (trim: Trim) => Promise<void>
}

/**
 * Deletes the events that are past the retention of their topic and that no partition takes with it. Each step deletes
 * the oldest events of one log, so that a log never has a hole. Returns the number of deleted events.
 */
export async function trimLogs ({ pool, now, retentionMs, mayGoOn, save }: TrimOptions): Promise<number> {
  let deleted = 0
  for (let afterId = 0, isDone = false; !isDone;) {
    const logs = await pastLogs(pool, now, retentionMs, afterId)
    for (const { id: logId, before } of logs) {
      // Events of a partition are deleted with it unless the topic's own retention is shorter.
      const tables = before > now - retentionMs ? ['events_kept', 'events'] as const : ['events_kept'] as const
      for (const table of tables) {
        for (let count = 1, after = 0; count > 0;) {
          if (!await mayGoOn()) return deleted
          const { rows: [page] } = await pool.query<{ upTo: number | null, count: number }>(
            pageSql(table), [logId, before, after]
          )
          count = page?.count ?? 0
          if (page === undefined || page.upTo === null) break
          await save({ logId, after, upTo: page.upTo, before })
          await pool.query(trimSql(table), [logId, page.upTo, before, after])
          after = page.upTo
          deleted += count
        }
      }
    }
    afterId = logs.at(-1)?.id ?? afterId
    isDone = logs.length < logsAtOnce
  }
  return deleted
}

export interface PartitionOptions {
  pool: pg.Pool
  /** An expired partition and its first millisecond. */
  partition: string
  period: number
  retentionMs: number
  mayGoOn: () => Promise<boolean>
}

/**
 * Moves the events that are kept for longer than the server's retention to `events_kept`, then drops the partition.
 * After a crash, the next call continues. Returns false if the partition is still needed.
 */
export async function retirePartition (
  { pool, partition, period, retentionMs, mayGoOn }: PartitionOptions
): Promise<boolean> {
  const { rows: logs } = await pool.query<{ id: number }>(keptLogsSql(partition), [retentionMs])
  for (const { id } of logs) {
    for (let count = 1, after = 0; count > 0;) {
      if (!await mayGoOn()) return false
      const { rows: [step] } = await pool.query<{ count: number, upTo: number | null }>(
        moveSql(partition, period), [id, after]
      )
      count = step?.count ?? 0
      after = step?.upTo ?? after
    }
  }
  return await dropUnlessNeeded({ pool, partition, period, retentionMs })
}

/** Looks once more under a lock: the retention of a topic may just have been raised. */
async function dropUnlessNeeded (
  { pool, partition, period, retentionMs }: Omit<PartitionOptions, 'mayGoOn'>
): Promise<boolean> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    await client.query(`lock table ${partition} in exclusive mode`)
    const { rowCount } = await client.query(`${keptLogsSql(partition)} limit 1`, [retentionMs])
    const isNeeded = (rowCount ?? 0) > 0
    if (!isNeeded) {
      await client.query('delete from application_bytes where period = $1', [period])
      await client.query(`drop table ${partition}`)
    }
    await client.query('commit')
    client.release()
    return !isNeeded
  } catch (error) {
    await client.query('rollback').then(() => client.release(), () => client.release(true))
    // Another node dropped it first.
    if ((error as { code?: string }).code === '42P01') return false
    throw error
  }
}
