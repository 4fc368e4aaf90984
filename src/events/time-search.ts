import type pg from 'pg'
import { scopeKey, type Scope } from '../../schemas/scope.ts'
import { createBatchLoader } from '../foundation/batching/batch-loader.ts'
import type { EpochOf } from './epochs.ts'
import { partitionMs } from './partitions.ts'

/** A place in a log by time. */
export interface LogTime {
  epoch: string
  head: number
  /** The lowest retained offset, or `head + 1` if no event is retained. */
  earliest: number
  /** The offset of the first retained event at or after the time, or `head + 1` if there is none. */
  offset: number
  /** Whether every event at or after the time is retained. */
  isComplete: boolean
}

/**
 * The times of a log never decrease (statements.ts), so a partition of the table holds successive offsets of it. The
 * first offsets of two partitions are the bounds, between which a binary search reads one row of one partition at a
 * time. A row that is missing counts as later. `events_kept` is one more partition, with the oldest events of a log.
 *
 * `head_at` is 0 if all events of a log had been dropped before migration 0023: the time of its last one is unknown.
 */
const searchSql = `
  with recursive asked as materialized (
    select k.ordinal, k.time, k.time - k.time % ${partitionMs} as start, l.id, l.epoch, l.head_offset as head,
      l.head_at,
      coalesce((select min("offset") from logged_events where log_id = l.id), l.head_offset + 1) as earliest,
      coalesce((
        select created_at >= k.time from events_kept where log_id = l.id order by "offset" desc limit 1), false)
        as is_kept
    from unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
      with ordinality as k(application_id, environment, topic, time, ordinal)
    join topic_logs l using (application_id, environment, topic)),
  search as (
    select ordinal, time, start, id, is_kept,
      case when is_kept then (select min("offset") from events_kept where log_id = a.id) else coalesce((
        select min("offset") from events where log_id = a.id and created_at >= a.start), head + 1) end as low,
      case when is_kept then (select max("offset") from events_kept where log_id = a.id) else coalesce((
        select min("offset") from events where log_id = a.id and created_at >= a.start + ${partitionMs}),
        head + 1) end as high
    from asked a
    union all
    select s.ordinal, s.time, s.start, s.id, s.is_kept,
      case when probe.created_at < s.time then middle + 1 else s.low end,
      case when probe.created_at < s.time then s.high else middle end
    from search s
    cross join lateral (select (s.low + s.high) / 2 as middle) m
    left join lateral (
      select created_at from events
      where not s.is_kept and log_id = s.id and "offset" = m.middle and created_at >= s.start
        and created_at < s.start + ${partitionMs}
      union all
      select created_at from events_kept where s.is_kept and log_id = s.id and "offset" = m.middle
      limit 1) probe on true
    where s.low < s.high)
  select ordinal::int, epoch, head, earliest, low as "offset",
    low > earliest or earliest = 1 or (earliest > head and head_at > 0 and head_at < asked.time) as "isComplete"
  from asked join search using (ordinal) where low = high`

/** Returns a function that finds a place in a log by time. Look-ups that are made together share one statement. */
export function createTimeSearch ({ pool, epochOf }: { pool: pg.Pool, epochOf: EpochOf }) {
  const search = createBatchLoader<{ scope: Scope, topic: string, time: number }, LogTime>({
    nameOf: ({ scope, topic, time }) => `${scopeKey(scope)}/${topic}@${time}`,
    async load (places) {
      const { rows } = await pool.query<LogTime & { ordinal: number }>({
        name: 'log_times',
        text: searchSql,
        values: [
          places.map(({ scope }) => scope.applicationId), places.map(({ scope }) => scope.environment),
          places.map(({ topic }) => topic), places.map(({ time }) => time)
        ]
      })
      const found = new Map(rows.map(({ ordinal, ...place }) => [ordinal, place]))
      return places.map(({ scope, topic }, i) =>
        found.get(i + 1) ?? { epoch: epochOf(scope, topic), head: 0, earliest: 1, offset: 1, isComplete: true }
      )
    }
  })
  return (scope: Scope, topic: string, time: number): Promise<LogTime> => search({ scope, topic, time })
}
