import type { HistoryQuery } from '../../schemas/events.ts'
import { historyScanMax } from '../../schemas/events.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import { pageBytesMax, type EventLog } from '../events/log.ts'
import { ServiceUnavailableError } from '../errors.ts'
import { requireExactNumbers } from '../foundation/exact-numbers.ts'
import { invalid, isPlainObject } from '../foundation/json.ts'
import { Turns, type Refusal } from '../foundation/limits/turns.ts'
import type { EventFact } from '../identity/access/reading.ts'
import { acceptFilter, matches, type Filter } from './matching/filter.ts'

/** Limits the payload bytes that one request reads to evaluate a filter. */
const scannedBytesMax = 8 * 1024 * 1024
/** Limits of one read for a filter, so that parsing payloads never blocks other requests for long. */
const readEventsMax = 500
const readBytesMax = 1024 * 1024
/**
 * Events of the first read of a request, before it has seen how large they are. PostgreSQL decompresses all events that
 * a read may return, to count their bytes.
 */
const firstReadEvents = 100

/**
 * Limits the requests with a key or a filter: those that read at once, so that they do not take the whole database
 * pool, and those that wait.
 */
export const scansMax = { running: 4, runningOfApplication: 3, waiting: 200, waitingOfApplication: 20 }
const scanWaitMsMax = 10_000
const retryAfterS = 5

export interface HistoryOptions {
  log: EventLog
  /** Throws NotFoundError `TOPIC_NOT_FOUND` unless the topic is registered or built in. */
  requireTopic (scope: Scope, topic: string): Promise<void>
}

export interface HistoryPage {
  /** A JSON array of events. */
  json: string
  /** The offset to continue at, as `after` or, in descending order, as `before`. Undefined on the last page. */
  nextCursor: string | undefined
}

export interface ReadOptions {
  /** Decides which events the reader may see. */
  isSeen?: (event: EventFact) => boolean
  /** Aborts when the client has left. */
  signal?: AbortSignal
}

/** The offsets to read, and the conditions on their events. */
interface Selection {
  first: number
  last: number
  order: 'asc' | 'desc'
  limit: number
  key: string | undefined
  filter: Filter | undefined
  isSeen: (event: EventFact) => boolean
}

interface Found { events: LoggedEvent[], next: number | undefined }

/** Reads logs for clients, by offset and time, and by key and filter. */
export function createHistory ({ log, requireTopic }: HistoryOptions) {
  const scans = new Turns({
    runningMax: scansMax.running,
    runningOfOwnerMax: scansMax.runningOfApplication,
    waiting: {
      max: scansMax.waiting, ofOwnerMax: scansMax.waitingOfApplication, msMax: scanWaitMsMax, refusal: overloaded
    }
  })

  /** Reads a page in parts, each of a size that suits the events of the part before. */
  async function readAll (
    scope: Scope, topic: string, { first, last, order, limit, isSeen }: Selection, signal: AbortSignal | undefined
  ): Promise<Found> {
    const events: LoggedEvent[] = []
    let range = { first, last }
    let readEvents = firstReadEvents
    let bytesLeft = pageBytesMax
    for (;;) {
      signal?.throwIfAborted()
      const slice = await log.slice(scope, topic, {
        ...range, order, limit: Math.min(readEvents, limit - events.length), bytesMax: bytesLeft
      })
      events.push(...slice.events)
      const end = slice.events.at(-1)?.offset
      const bytes = slice.events.reduce((sum, { payload }) => sum + Buffer.byteLength(payload), 0)
      bytesLeft -= bytes
      if (!slice.hasMore || end === undefined) return { events: events.filter(isSeen), next: undefined }
      if (events.length >= limit || bytesLeft <= 0) return { events: events.filter(isSeen), next: end }
      range = order === 'asc' ? { first: end + 1, last } : { first, last: end - 1 }
      readEvents = nextReadEvents(readEvents, slice.events.length, bytes)
    }
  }

  /** Reads on until the page is full, the part is read, or the request has read its share. */
  async function readSelected (
    scope: Scope, topic: string, selection: Selection, signal: AbortSignal | undefined
  ): Promise<Found> {
    const { order, limit, key, filter, isSeen } = selection
    signal?.throwIfAborted()
    const { head, earliest } = await log.position(scope, topic)
    let [first, last] = [Math.max(selection.first, earliest), Math.min(selection.last, head)]
    const events: LoggedEvent[] = []
    let offsetsLeft = historyScanMax
    let bytesLeft = scannedBytesMax
    let readEvents = firstReadEvents
    while (first <= last && offsetsLeft > 0 && bytesLeft > 0 && events.length < limit) {
      signal?.throwIfAborted()
      const length = Math.min(key === undefined ? readEvents : offsetsLeft, offsetsLeft, last - first + 1)
      const part = order === 'asc' ? { first, last: first + length - 1 } : { first: last - length + 1, last }
      const slice = await log.slice(scope, topic, { ...part, order, key, limit: readEvents, bytesMax: readBytesMax })
      let end = order === 'asc' ? part.last : part.first
      if (slice.hasMore) end = slice.events.at(-1)?.offset ?? end
      const bytes = slice.events.reduce((sum, { payload }) => sum + payload.length, 0)
      bytesLeft -= bytes
      readEvents = nextReadEvents(readEvents, slice.events.length, bytes)
      for (const event of slice.events) {
        if (!isSeen(event) || (filter !== undefined && !matches(filter, event.value))) continue
        events.push(event)
        if (events.length < limit) continue
        end = event.offset
        break
      }
      offsetsLeft -= Math.abs(end - (order === 'asc' ? first : last)) + 1
      if (order === 'asc') first = end + 1
      else last = end - 1
    }
    return { events, next: first > last ? undefined : order === 'asc' ? first - 1 : last + 1 }
  }

  return {
    /**
     * Returns a page of the retained events of a topic. Throws ValidationError for bounds that exclude each other and
     * for an invalid filter, NotFoundError `TOPIC_NOT_FOUND`, and ServiceUnavailableError `OVERLOADED` if too many
     * requests with a key or a filter wait. Stops reading and rejects when the signal aborts.
     */
    async read (
      scope: Scope, topic: string, query: HistoryQuery, { isSeen = () => true, signal }: ReadOptions = {}
    ): Promise<HistoryPage> {
      const { order = 'asc', after = 0, before, from, to, limit = 100, key } = query
      if (before !== undefined && before <= after) throw invalid('/before', `must be greater than /after, ${after}`)
      if (from !== undefined && to !== undefined && from > to) throw invalid('/from', 'must not be later than /to')
      const filter = acceptFilter(parseFilterText(query.filter))
      await requireTopic(scope, topic)
      const [start, end] = await Promise.all([
        from === undefined ? undefined : log.at(scope, topic, from),
        to === undefined ? undefined : log.at(scope, topic, to + 1)
      ])
      const first = Math.max(after + 1, start?.offset ?? 0)
      const last = Math.min((before ?? Number.MAX_SAFE_INTEGER) - 1, (end?.offset ?? Number.MAX_SAFE_INTEGER) - 1)
      const selection = { first, last, order, limit, key, filter, isSeen }
      const { events, next } = first > last
        ? { events: [], next: undefined }
        : key === undefined && filter === undefined
          ? await readAll(scope, topic, selection, signal)
          : await scans.take(scope.applicationId, () => readSelected(scope, topic, selection, signal), signal)
      return {
        json: `[${events.map(event => event.json()).join(',')}]`,
        nextCursor: next === undefined ? undefined : String(next)
      }
    }
  }
}
export type History = ReturnType<typeof createHistory>

/** Returns how many events of the size of those just read make up one read. Grows step by step. */
function nextReadEvents (readEvents: number, count: number, bytes: number): number {
  const fitting = Math.ceil(readBytesMax * count / Math.max(1, bytes))
  return Math.min(readEventsMax, readEvents * 4, count === 0 ? readEventsMax : fitting)
}

const reasons: Record<Refusal, string> = {
  owner: `${scansMax.waitingOfApplication} requests of the application with a key or a filter are waiting`,
  all: `${scansMax.waiting} requests with a key or a filter are waiting`,
  time: 'Other requests with a key or a filter take too long'
}

const overloaded = (reason: Refusal): ServiceUnavailableError =>
  new ServiceUnavailableError('OVERLOADED', `${reasons[reason]}. Retry after ${retryAfterS} s`, { retryAfterS })

function parseFilterText (text: string | undefined): Record<string, unknown> | undefined {
  if (text === undefined) return undefined
  let filter: unknown
  try {
    filter = JSON.parse(text)
  } catch {
    throw invalid('/filter', 'must be JSON')
  }
  if (!isPlainObject(filter)) throw invalid('/filter', 'must be a JSON object')
  requireExactNumbers(`{"filter":${text}}`)
  return filter
}
