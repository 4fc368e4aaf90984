import type pg from 'pg'
import type { EventSource, EventType } from '../../schemas/events.ts'
import { scopeKey, type Environment, type Scope } from '../../schemas/scope.ts'
import { createBatchLoader } from '../foundation/batching/batch-loader.ts'
import { LoggedEvent } from './envelope.ts'
import type { EpochOf } from './epochs.ts'
import { createTimeSearch } from './time-search.ts'

interface EventRow {
  id: string
  offset: number
  type: EventType
  source: EventSource
  key: string | null
  payload: string
  diff: string | null
  meta: string | null
  schema_version: number | null
  created_at: number
  epoch: string
  head: number
}

interface Sizes { stored_before: number, bytes_before: number }

/** The position of a topic's log. `earliest` is the lowest retained offset, or `head + 1` if no event is retained. */
export interface LogPosition {
  epoch: string
  head: number
  earliest: number
}

export interface PageRange {
  after?: number | undefined
  limit: number
  /** Limits the payload bytes of the page. The page always has at least one event. */
  bytesMax?: number
}

/** A part of a log, by its first and last offset, and the direction in which it is read. */
export interface SliceRange {
  first: number
  last: number
  order: 'asc' | 'desc'
  /** Only events with this key. */
  key?: string | undefined
  limit: number
  bytesMax?: number
}

export interface Slice {
  events: LoggedEvent[]
  /** Whether the slice has more events than were read. */
  hasMore: boolean
}

/** The inclusive bounds of a part of a log, by offset, time, or both. */
export interface SpanBounds {
  fromOffset?: number | undefined
  toOffset?: number | undefined
  from?: number | undefined
  to?: number | undefined
}

export interface LogHead { epoch: string, head: number }

/** A topic that has a log, and its head. Logs created later usually have higher ids. */
export interface TopicLog extends LogHead { topic: string, id: number }

/** Limits the payload bytes of a page, so that one response cannot exhaust the memory of the process. */
export const pageBytesMax = 4 * 1024 * 1024

/**
 * The log's id as a scalar. With a join, the planner does not use the index order: it would read and sort all events
 * after the offset.
 */
const logIdSql = '(select id from topic_logs where application_id = $1 and environment = $2 and topic = $3)'

/** The sum of a number over the rows before a row, in an order of offsets. */
const before = (number: string, order: 'asc' | 'desc') =>
  `coalesce(sum(${number}) over (order by "offset" ${order} rows between unbounded preceding and 1 preceding), 0)`

/**
 * The stored sizes of the payloads before a row: a lower bound of their bytes, because a stored value is compressed or
 * plain, and has a header of at most four bytes. PostgreSQL has it without reading the payloads, which it has to
 * decompress and copy to count their bytes. So it filters the rows first.
 */
const storedBefore = (order: 'asc' | 'desc') => before('pg_column_size(payload) - 4', order)
const bytesBefore = (order: 'asc' | 'desc') => before('octet_length(payload::text)', order)

const pageSql = `
  select * from (
    select stored.*, ${bytesBefore('asc')} as bytes_before
    from (
      select e.*, l.epoch, l.head_offset as head, ${storedBefore('asc')} as stored_before
      from (
        select id, "offset", type, source, key, payload, diff, meta, schema_version, created_at from logged_events
        where log_id = ${logIdSql} and "offset" > $4
        order by "offset" limit $5) e
      cross join (
        select epoch, head_offset from topic_logs where application_id = $1 and environment = $2 and topic = $3) l
    ) stored
    where stored_before < $6) page
  where bytes_before < $6
  order by "offset"`

const positionsSql = `
  select k.ordinal::int, l.epoch, l.head_offset as head,
    coalesce((select min(e."offset") from logged_events e where e.log_id = l.id), l.head_offset + 1) as earliest
  from unnest($1::text[], $2::text[], $3::text[]) with ordinality as k(application_id, environment, topic, ordinal)
  join topic_logs l using (application_id, environment, topic)`

const topicsSql = `
  select topic, epoch, head_offset as head, id from topic_logs where application_id = $1 and environment = $2`

const madeSql = `
  select application_id, environment, topic, epoch, head_offset as head, id from topic_logs
  where id > $1 and (application_id, environment) in (select * from unnest($2::text[], $3::text[]))`

const headsSql = `
  select k.ordinal, l.epoch, l.head_offset as head
  from unnest($1::text[], $2::text[], $3::text[]) with ordinality as k(application_id, environment, topic, ordinal)
  join topic_logs l using (application_id, environment, topic)`

const pickSql = `
  select l.topic, e.id, e."offset", e.type, e.source, e.key, e.payload, e.diff, e.meta,
    e.schema_version, e.created_at, l.epoch, l.head_offset as head
  from unnest($3::text[], $4::bigint[]) with ordinality as k(topic, "offset", ordinal)
  join topic_logs l on l.application_id = $1 and l.environment = $2 and l.topic = k.topic
  cross join lateral (select * from logged_events where log_id = l.id and "offset" = k."offset" limit 1) e
  order by k.ordinal`

/** Reads one more event than the limit, to find out whether there are more. */
const sliceSql = (order: 'asc' | 'desc', hasKey: boolean) => `
  select * from (
    select stored.*, ${bytesBefore(order)} as bytes_before
    from (
      select e.*, l.epoch, l.head_offset as head, count(*) over () as found,
        row_number() over (order by "offset" ${order}) as place, ${storedBefore(order)} as stored_before
      from (
        select id, "offset", type, source, key, payload, diff, meta, schema_version, created_at from logged_events
        where log_id = ${logIdSql} and "offset" between $4 and $5${hasKey ? ' and key = $8' : ''}
        order by "offset" ${order} limit $6::bigint + 1) e
      cross join (
        select epoch, head_offset from topic_logs where application_id = $1 and environment = $2 and topic = $3) l
    ) stored
    where stored_before < $7 and place <= $6) slice
  where bytes_before < $7
  order by "offset" ${order}`

/**
 * Reads the log. Offsets have no gaps and become visible in order: a page after n that is not empty starts with n + 1,
 * unless retention has dropped that event.
 */
export function createEventLog ({ pool, epochOf }: { pool: pg.Pool, epochOf: EpochOf }) {
  const loadPosition = createBatchLoader<ScopedTopic, LogPosition>({
    nameOf: ({ scope, topic }) => `${scopeKey(scope)}/${topic}`,
    async load (topics) {
      const found = await readPositions(topics)
      return topics.map(({ scope, topic }, i) => found[i] ?? { epoch: epochOf(scope, topic), head: 0, earliest: 1 })
    }
  })

  const at = createTimeSearch({ pool, epochOf })

  async function readPositions (topics: ScopedTopic[]): Promise<(LogPosition | undefined)[]> {
    const { rows } = await pool.query<LogPosition & { ordinal: number }>({
      name: 'log_positions', text: positionsSql, values: keysOf(topics)
    })
    const positions = new Array<LogPosition | undefined>(topics.length).fill(undefined)
    for (const { ordinal, ...position } of rows) positions[ordinal - 1] = position
    return positions
  }

  async function readRows (
    scope: Scope, topic: string, { after = 0, limit, bytesMax = pageBytesMax }: PageRange
  ): Promise<EventRow[]> {
    const { rows } = await pool.query<EventRow & Sizes>({
      name: 'log_page', text: pageSql, values: [scope.applicationId, scope.environment, topic, after, limit, bytesMax]
    })
    return rows
  }

  return {
    /** Returns events above `after`, ascending: at most `limit`, and fewer if they are large. */
    async page (scope: Scope, topic: string, range: PageRange): Promise<LoggedEvent[]> {
      return (await readRows(scope, topic, range)).map(row => toEvent(scope, topic, row))
    },

    /**
     * Returns events of a part of the log in either order: at most `limit`, and fewer if they are large, but at least
     * one if there is any.
     */
    async slice (
      scope: Scope, topic: string, { first, last, order, key, limit, bytesMax = pageBytesMax }: SliceRange
    ): Promise<Slice> {
      const hasKey = key !== undefined
      const { rows } = await pool.query<EventRow & Sizes & { found: number, place: number }>({
        name: `log_slice_${order}${hasKey ? '_key' : ''}`,
        text: sliceSql(order, hasKey),
        values: [
          scope.applicationId, scope.environment, topic, first, last, limit, bytesMax, ...hasKey ? [key] : []
        ]
      })
      return { events: rows.map(row => toEvent(scope, topic, row)), hasMore: (rows[0]?.found ?? 0) > rows.length }
    },

    /** Returns single events in the given order. Omits events that the log no longer has. */
    async pick (scope: Scope, places: readonly { topic: string, offset: number }[]): Promise<LoggedEvent[]> {
      const { rows } = await pool.query<EventRow & { topic: string }>({
        name: 'log_pick',
        text: pickSql,
        values: [
          scope.applicationId, scope.environment, places.map(({ topic }) => topic), places.map(({ offset }) => offset)
        ]
      })
      return rows.map(row => toEvent(scope, row.topic, row))
    },

    /** Returns the count and the first and last offset of a topic's retained events within the bounds. */
    async span (
      scope: Scope, topic: string, { fromOffset = 1, toOffset = Number.MAX_SAFE_INTEGER, from = 0, to }: SpanBounds
    ): Promise<{ count: number, first: number, last: number }> {
      const [start, end] = await Promise.all([
        at(scope, topic, from), to === undefined ? undefined : at(scope, topic, to + 1)
      ])
      const first = Math.max(fromOffset, start.offset)
      const last = Math.min(toOffset, end === undefined ? start.head : end.offset - 1)
      return first > last ? { count: 0, first: 0, last: 0 } : { count: last - first + 1, first, last }
    },

    /** Finds the first event at or after a time. The times of a log never decrease. */
    at,

    /** Returns the position of a log. Its head is 0 if it has no event yet. */
    position: (scope: Scope, topic: string): Promise<LogPosition> => loadPosition({ scope, topic }),

    /** Returns every topic of the scope that has a log. */
    async topics (scope: Scope): Promise<TopicLog[]> {
      const { rows } = await pool.query<TopicLog>({
        name: 'log_topics', text: topicsSql, values: [scope.applicationId, scope.environment]
      })
      return rows
    },

    /**
     * Returns the logs of some scopes with ids above `afterId`. An id is assigned before its transaction commits, so
     * lower ids may appear later: pass an id that is old enough.
     */
    async made (scopes: Scope[], afterId: number): Promise<(TopicLog & { scope: Scope })[]> {
      const { rows } = await pool.query<TopicLog & { application_id: string, environment: Environment }>({
        name: 'log_made',
        text: madeSql,
        values: [afterId, scopes.map(scope => scope.applicationId), scopes.map(scope => scope.environment)]
      })
      return rows.map(({ application_id: applicationId, environment, ...log }) => ({
        ...log,
        scope: { applicationId, environment }
      }))
    },

    /** Returns the heads of many topics. Crosses tenants on purpose, for the hub, which separates scopes itself. */
    async heads (topics: ScopedTopic[]): Promise<(LogHead | undefined)[]> {
      const { rows } = await pool.query<LogHead & { ordinal: number }>({
        name: 'log_heads', text: headsSql, values: keysOf(topics)
      })
      const heads = new Array<LogHead | undefined>(topics.length)
      for (const row of rows) heads[row.ordinal - 1] = { epoch: row.epoch, head: row.head }
      return heads
    }
  }
}
export type EventLog = ReturnType<typeof createEventLog>

interface ScopedTopic { scope: Scope, topic: string }

const keysOf = (
  topics: ScopedTopic[]
) => [
  topics.map(({ scope }) => scope.applicationId), topics.map(({ scope }) => scope.environment),
  topics.map(({ topic }) => topic)
]

function toEvent (scope: Scope, topic: string, row: EventRow): LoggedEvent {
  return new LoggedEvent(scope, {
    topic,
    type: row.type,
    source: row.source,
    key: row.key,
    payload: row.payload,
    diff: row.diff ?? undefined,
    meta: row.meta ?? undefined,
    schemaVersion: row.schema_version
  }, { id: row.id, offset: row.offset, epoch: row.epoch, timestamp: row.created_at })
}
