import type pg from 'pg'
import type { Trace, TraceQuery, TraceSummary } from '../../schemas/debugger.ts'
import type { Environment, Scope } from '../../schemas/scope.ts'
import type { EventTracesTable } from '../../db/tables.ts'
import { TopicPatterns } from '../foundation/topic-pattern.ts'
import { NotFoundError } from '../errors.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { EventLog } from '../events/log.ts'
import { runOf } from '../foundation/ids.ts'
import { decodeCursor, encodeCursor, type PageOf } from '../foundation/paging.ts'
import type { Asker } from './asker.ts'
import type { PartDetail, RefusalDetail, RunDetail } from './tracing/detail.ts'
import { toTrace } from './to-trace.ts'
import { eventsOf, noWebhooks, toNodePart, TracedEvent, type StoredRun, type WebhookCounts } from './traced-event.ts'
import type { WebhookTraces, WebhookView } from './webhook-traces.ts'

/** Rows per statement, and events that one request examines: beyond that the page ends early. */
const rowsAtOnce = 50
const eventsScannedMax = 20_000

/** Events that are processed together, unless one row has more. */
const eventsAtOnce = 1000

export interface TraceReaderOptions {
  pool: pg.Pool
  log: EventLog
  webhooks: WebhookTraces
  retentionMs: number
  /** Stores the traces that this node has collected, so that they can be read. */
  flush (): Promise<unknown>
}

/** The scope of a reader and what it may see. */
export type Looker = Pick<Asker, 'scope' | 'within' | 'maySee'>

export type TraceFilter = Omit<TraceQuery, 'limit' | 'cursor'>

export interface Row {
  id: string
  created_at: number
  node: string
  n: number
  application_id: string
  environment: Environment
  topic: string
  outcome: EventTracesTable['outcome']
  first_offset: number | null
  detail: string
}
export const rowColumns = 'id, created_at, node, n, application_id, environment, topic, outcome, first_offset, detail'

const pageOf = (outcomes: string) => `
  select ${rowColumns} from event_traces
  where application_id = $1 and environment = $2 and created_at >= $3 and created_at <= $4
    and (created_at, node, n) <= ($5, $6, $7)
    and ($8::text is null or topic = $8) and ($9::text is null or source in ($9, 'mixed')) and ${outcomes}
      and ($11::text is null or id = $11)
  order by created_at desc, node desc, n desc limit $12`
const pageSql = pageOf('outcome = any($10)')
/** The same statement with its own text, so that its plan can use the index on rejected events. */
const refusedSql = pageOf("outcome = any($10) and outcome <> 'stored'")

const findSql =
  `select ${rowColumns} from event_traces where id = any($1) and application_id = $2 and environment = $3
    and created_at >= $4 and outcome <> 'dropped'`

const partsSql = `
  select id, node, detail from event_trace_parts
  where id = any($1) and application_id = $2 and environment = $3 and created_at >= $4 and created_at <= $5`

/** The last event of a page; the next page starts after it. */
interface Mark { createdAt: number, node: string, n: number, index: number }

const nodeMax = '\u007f'

/** Reads the trace store and combines what several nodes recorded about an event. */
export class TraceReader {
  readonly #options: TraceReaderOptions

  constructor (options: TraceReaderOptions) {
    this.#options = options
  }

  /**
   * Lists traces, newest first. If few events match the filter, a page may be shorter than its limit although more
   * pages follow.
   */
  async list (asker: Looker, { limit = 100, cursor, ...filter }: TraceQuery): Promise<PageOf<TraceSummary>> {
    const { scope, maySee } = asker
    await Promise.all([this.#options.flush(), this.#options.webhooks.catchUp()])
    const items: TraceSummary[] = []
    let mark = cursor === undefined ? undefined : markOf(cursor)
    let scanned = 0
    for (;;) {
      const rows = await this.#page(scope, filter, mark)
      for (const events of inPieces(rows.map(eventsOf))) {
        for (const [event, webhooks] of await this.withWebhooks(asker, events)) {
          if (mark !== undefined && isBefore(event, mark)) continue
          if (scanned >= eventsScannedMax || items.length === limit) {
            return { items, nextCursor: mark === undefined ? undefined : toCursor(mark) }
          }
          scanned++
          mark = markAt(event)
          const isSeen = maySee(event.stored.topic)
          if (passesFilter(event, webhooks, filter, isSeen)) items.push(event.toSummary(webhooks, isSeen))
        }
      }
      if (rows.length < rowsAtOnce) return { items, nextCursor: undefined }
    }
  }

  /** Throws NotFoundError `TRACE_NOT_FOUND` for an event that never existed, was not sampled, or is past retention. */
  async get ({ scope, within, maySee }: Looker, eventId: string): Promise<Trace> {
    const found = await this.find(scope, eventId)
    if (found === undefined) throw traceNotFound(eventId)
    await this.#options.webhooks.catchUp()
    const [deliveries, counts, event] = await Promise.all([
      this.#options.webhooks.deliveries({ scope, within }, eventId),
      this.#options.webhooks.counts({ scope, within }, [eventId]),
      this.logged(found)
    ])
    return toTrace(found, {
      deliveries, counts: counts.get(eventId) ?? noWebhooks, event, isSeen: maySee(found.stored.topic)
    })
  }

  async find (scope: Scope, eventId: string): Promise<TracedEvent | undefined> {
    return (await this.findAll(scope, [eventId])).get(eventId)
  }

  /** Returns traced events by ID. Omits events without a trace. */
  async findAll (scope: Scope, eventIds: readonly string[]): Promise<Map<string, TracedEvent>> {
    await this.#options.flush()
    const places = new Map(eventIds.flatMap(id => {
      const place = runOf(id)
      return place === undefined ? [] : [[id, place] as const]
    }))
    const runs = [...new Set([...places.values()].map(({ run }) => run))]
    const stored = new Map((await this.runs(scope, runs)).map(run => [run.id, run]))
    const found = new Map<string, TracedEvent>()
    for (const [id, { run, ordinal }] of places) {
      const row = stored.get(run)
      const index = row === undefined ? -1 : indexOf(row, ordinal)
      if (row !== undefined && index !== -1) found.set(id, new TracedEvent(row, index))
    }
    return found
  }

  /** Returns the event itself, while the log contains it. */
  async logged ({ stored, offset, id }: TracedEvent): Promise<LoggedEvent | undefined> {
    if (offset === null) return undefined
    const [event] = await this.#options.log.page(stored.scope, stored.topic, { after: offset - 1, limit: 1 })
    return event?.id === id ? event : undefined
  }

  /** Returns the events of rows of the store, oldest first. */
  async expand (scope: Scope, rows: readonly Row[]): Promise<TracedEvent[]> {
    return (await this.#assemble(scope, rows)).flatMap(run => eventsOf(run).reverse())
  }

  /** Returns runs by ID. Omits runs that are not stored (yet). */
  async runs (scope: Scope, ids: readonly string[]): Promise<StoredRun[]> {
    const { rows } = await this.#options.pool.query<Row>({
      name: 'traces_find',
      text: findSql,
      values: [ids, scope.applicationId, scope.environment, Date.now() - this.#options.retentionMs]
    })
    return await this.#assemble(scope, rows)
  }

  /** Resolves once the webhook deliveries of everything committed before the call are visible. */
  catchUp (): Promise<void> { return this.#options.webhooks.catchUp() }

  /** Adds the state of the events' webhook deliveries as of the last `catchUp`. */
  async withWebhooks (from: WebhookView, events: readonly TracedEvent[]): Promise<[TracedEvent, WebhookCounts][]> {
    if (events.length === 0) return []
    const counts = await this.#options.webhooks.counts(from, events.map(({ id }) => id))
    return events.map(event => [event, counts.get(event.id) ?? noWebhooks])
  }

  async #page (
    scope: Scope, { topic, source, status, eventId, from = 0, to = Number.MAX_SAFE_INTEGER }: TraceFilter,
    mark: Mark | undefined
  ): Promise<StoredRun[]> {
    const isRefused = status === 'rejected'
    const outcomes = isRefused
      ? ['rejected']
      : status === undefined
        ? ['stored', 'rejected', 'failed']
        : status === 'failed'
          ? ['stored', 'failed']
          : ['stored']
    const { rows } = await this.#options.pool.query<Row>({
      name: isRefused ? 'traces_refused' : 'traces_page',
      text: isRefused ? refusedSql : pageSql,
      values: [
        scope.applicationId, scope.environment, Math.max(from, Date.now() - this.#options.retentionMs), to,
        mark?.createdAt ?? Number.MAX_SAFE_INTEGER, mark?.node ?? nodeMax, mark?.n ?? Number.MAX_SAFE_INTEGER,
        topic === undefined || topic.includes('*') ? null : topic, source ?? null, outcomes,
        eventId === undefined ? null : runOf(eventId)?.run ?? '', rowsAtOnce
      ]
    })
    return await this.#assemble(scope, rows)
  }

  async #assemble (scope: Scope, rows: readonly Row[]): Promise<StoredRun[]> {
    const runs = rows.map(toStoredRun)
    if (runs.length === 0) return runs
    const times = runs.map(({ createdAt }) => createdAt)
    const { rows: parts } = await this.#options.pool.query<{ id: string, node: string, detail: string }>({
      name: 'traces_parts',
      text: partsSql,
      values: [runs.map(({ id }) => id), scope.applicationId, scope.environment, Math.min(...times), Math.max(...times)]
    })
    const byId = new Map(runs.map(run => [run.id, run]))
    for (const { id, node, detail } of parts) {
      byId.get(id)?.parts.push(toNodePart(node, JSON.parse(detail) as PartDetail))
    }
    return runs
  }
}

export const traceNotFound = (eventId: string): NotFoundError =>
  new NotFoundError(
    'TRACE_NOT_FOUND',
    `Trace not found: ${eventId}. The event does not exist, was not sampled, or its trace has expired`
  )

/** Whether an event matches the filter. */
export function passesFilter (
  event: TracedEvent, webhooks: WebhookCounts, { topic, source, status, eventId, from, to }: TraceFilter,
  isSeen: boolean
): boolean {
  const { createdAt } = event.stored
  return (eventId === undefined || event.id === eventId) &&
    (from === undefined || createdAt >= from) && (to === undefined || createdAt <= to) &&
    (source === undefined || event.source === source) &&
    (topic === undefined ||
      (topic.includes('*') ? new TopicPatterns([topic]).covers(event.stored.topic) : topic === event.stored.topic)) &&
    (status === undefined || event.statusWith(webhooks, isSeen) === status)
}

/** Joins consecutive lists into pieces of similar length. */
function inPieces (lists: readonly TracedEvent[][]): TracedEvent[][] {
  const pieces: TracedEvent[][] = []
  for (const list of lists) {
    const last = pieces.at(-1)
    if (last !== undefined && last.length + list.length <= eventsAtOnce) last.push(...list)
    else pieces.push([...list])
  }
  return pieces
}

function toStoredRun (row: Row): StoredRun {
  const isStored = row.outcome === 'stored'
  const detail = JSON.parse(row.detail) as unknown
  const run = isStored ? detail as RunDetail : undefined
  return {
    id: row.id,
    createdAt: row.created_at,
    node: row.node,
    n: row.n,
    scope: { applicationId: row.application_id, environment: row.environment },
    topic: row.topic,
    outcome: row.outcome,
    firstOffset: row.first_offset,
    run,
    refusal: isStored ? undefined : detail as RefusalDetail,
    parts: run?.part === undefined ? [] : [toNodePart(row.node, run.part)]
  }
}

function indexOf ({ run }: StoredRun, place: number): number {
  if (run?.places !== undefined) return run.places.indexOf(place)
  return place < (run?.count ?? 1) ? place : -1
}

const markAt = ({ stored: { createdAt, node, n }, index }: TracedEvent): Mark => ({ createdAt, node, n, index })
const toCursor = ({ createdAt, node, n, index }: Mark): string => encodeCursor([createdAt, node, n, index])

/** Whether an earlier page contained the event: it is in the marked row, at or before the mark. */
const isBefore = ({ stored, index }: TracedEvent, mark: Mark): boolean =>
  stored.createdAt === mark.createdAt && stored.node === mark.node && stored.n === mark.n && index >= mark.index

function markOf (cursor: string): Mark {
  const [createdAt, node, n, index] = decodeCursor(cursor, ['number', 'string', 'number', 'number']) as [
    number, string, number, number
  ]
  return { createdAt, node, n, index }
}
