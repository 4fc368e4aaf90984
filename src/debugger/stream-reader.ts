import type pg from 'pg'
import type { StreamQuery } from '../../schemas/debugger.ts'
import type { Scope } from '../../schemas/scope.ts'
import { rowColumns, passesFilter, type Looker, type Row, type TraceReader } from './trace-reader.ts'
import { placesOf, type PartDetail } from './tracing/detail.ts'
import { StreamCursor } from './stream-cursor.ts'
import { eventsOf, type TracedEvent } from './traced-event.ts'

const rowsAtOnce = 100
/**
 * Limit for the nodes in a cursor, which clients send as a header. Beyond it, nodes silent for `goneMs` are dropped.
 */
const nodesMax = 30
const goneMs = 3_600_000
/** A node silent for this long before a stream begins writes no more rows. */
const silentMs = 60_000

const startSql = `
  select t.id, greatest(
    coalesce((select max(n) from event_traces e where e.application_id = $1 and e.environment = $2
      and e.node = t.id), 0),
    coalesce((select max(n) from event_trace_parts p where p.application_id = $1 and p.environment = $2
      and p.node = t.id), 0)) as n
  from trace_nodes t where t.seen_at > $3`

/** Reads both tables in one snapshot, so that every row below a visible number is visible. */
const sinceSql = `
  with nodes as (
    select t.id, coalesce(k.n, 0) as n from trace_nodes t
    left join unnest($3::text[], $4::bigint[]) as k(id, n) on k.id = t.id
    where k.id is not null or t.started_at >= $5)
  select r.* from nodes cross join lateral (
    (select true as is_run, events, ${rowColumns} from event_traces e
      where e.application_id = $1 and e.environment = $2 and e.node = nodes.id and e.n > nodes.n
        order by e.n limit ${rowsAtOnce})
    union all
    (select false, 0, id, created_at, node, n, application_id, environment, '', '', null, detail
      from event_trace_parts p
      where p.application_id = $1 and p.environment = $2 and p.node = nodes.id and p.n > nodes.n
        order by p.n limit ${rowsAtOnce})
    order by n limit ${rowsAtOnce}) r
  order by r.node, r.n`

/** A message of the stream: a trace, or the number of traces dropped at this point. */
export interface StreamMessage { id: string, event: 'trace' | 'dropped', data: object }

interface Entry extends Row { is_run: boolean, events: number }

export interface StreamReaderOptions { pool: pg.Pool, reader: TraceReader, retentionMs: number }

/** Reads new traces of a scope as the nodes store them. */
export function createStreamReader ({ pool, reader, retentionMs }: StreamReaderOptions) {
  async function entriesSince (scope: Scope, { read, since }: StreamCursor): Promise<Entry[]> {
    const { rows } = await pool.query<Entry>({
      name: 'traces_since',
      text: sinceSql,
      values: [scope.applicationId, scope.environment, [...read.keys()], [...read.values()], since]
    })
    return rows
  }

  async function * messagesOf (
    entry: Entry, follower: Looker, filter: StreamQuery, cursor: StreamCursor, batch: ReadonlySet<string>
  ): AsyncGenerator<StreamMessage> {
    if (entry.is_run && entry.outcome === 'dropped') {
      cursor.pass(entry.node, entry.n)
      const { steps = 0 } = JSON.parse(entry.detail) as { steps?: number }
      yield {
        id: cursor.toString(), event: 'dropped',
        data: { events: entry.events, steps, reason: 'The trace store could not keep up', at: entry.created_at }
      }
      return
    }
    const { scope, maySee } = follower
    const events = entry.is_run
      ? await reader.expand(scope, [entry])
      : batch.has(entry.id)
        ? []
        : await partEvents(scope, entry)
    const skipped = cursor.skipped(entry.node, entry.n)
    const counted = await reader.withWebhooks(follower, events.slice(skipped))
    for (const [i, [event, webhooks]] of counted.entries()) {
      if (i === counted.length - 1) cursor.pass(entry.node, entry.n)
      else cursor.partial = { node: entry.node, n: entry.n, events: skipped + i + 1 }
      const isSeen = maySee(event.stored.topic)
      if (passesFilter(event, webhooks, filter, isSeen)) {
        yield { id: cursor.toString(), event: 'trace', data: event.toSummary(webhooks, isSeen) }
      }
    }
    cursor.pass(entry.node, entry.n)
  }

  /** Returns the events that a node has added details to since they were first sent. */
  async function partEvents (scope: Scope, { id, detail }: Entry): Promise<TracedEvent[]> {
    const places = placesOf(JSON.parse(detail) as PartDetail)
    return (await reader.runs(scope, [id])).flatMap(run => eventsOf(run).reverse()).filter(({ place }) =>
      places.has(place)
    )
  }

  /**
   * Drops silent nodes from the cursor. Call once everything has been read. A node whose first rows are not visible yet
   * started within the last minute.
   */
  async function forgetNodes (cursor: StreamCursor): Promise<void> {
    const now = Date.now()
    const { rows } = await pool.query<{ id: string }>('select id from trace_nodes where seen_at > $1', [now - goneMs])
    cursor.rebase(now - silentMs, rows.map(({ id }) => id))
  }

  return {
    /** Returns a cursor after everything that is stored now. */
    async start (scope: Scope): Promise<StreamCursor> {
      const now = Date.now()
      const { rows } = await pool.query<{ id: string, n: number }>({
        name: 'traces_stream_start', text: startSql, values: [scope.applicationId, scope.environment, now - silentMs]
      })
      return new StreamCursor(now, now, rows.map(({ id, n }) => [id, n] as const))
    },

    /** Yields everything stored after the cursor, which advances with each message. */
    async * since (follower: Looker, filter: StreamQuery, cursor: StreamCursor): AsyncGenerator<StreamMessage> {
      for (;;) {
        const entries = await entriesSince(follower.scope, cursor)
        if (entries.length > 0) await reader.catchUp()
        const batch = new Set(entries.filter(entry => entry.is_run).map(({ id }) => id))
        for (const entry of entries) yield * messagesOf(entry, follower, filter, cursor, batch)
        if (entries.length >= rowsAtOnce) continue
        if (cursor.read.size > nodesMax) await forgetNodes(cursor)
        return
      }
    },

    /** Returns whether retention has dropped traces that a client with this cursor has not seen. */
    isTooOld: (cursor: StreamCursor): boolean => cursor.at < Date.now() - retentionMs
  }
}
export type StreamReader = ReturnType<typeof createStreamReader>
