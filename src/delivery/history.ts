import type { HistoryQuery } from '../../schemas/events.ts'
import { historyScanMax } from '../../schemas/events.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { EventLog } from '../events/log.ts'
import { requireExactNumbers } from '../foundation/exact-numbers.ts'
import { invalid, isPlainObject } from '../foundation/json.ts'
import { createSemaphore } from '../foundation/limits/semaphore.ts'
import type { EventFact } from '../identity/access/reading.ts'
import { acceptFilter, matches, type Filter } from './matching/filter.ts'

/** Limits the payload bytes that one request reads to evaluate a filter. */
const scannedBytesMax = 8 * 1024 * 1024
/** Limits of one read for a filter, so that parsing payloads never blocks other requests for long. */
const readEvents = 500
const readBytesMax = 1024 * 1024
/** Requests with a key or a filter that read at once. Others wait, so that they do not take the whole database pool. */
const scansAtOnce = 4

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
  const scanning = createSemaphore(scansAtOnce)

  async function readAll (scope: Scope, topic: string, { isSeen, ...range }: Selection): Promise<Found> {
    const { events, hasMore } = await log.slice(scope, topic, range)
    return { events: events.filter(isSeen), next: hasMore ? events.at(-1)?.offset : undefined }
  }

  /** Reads on until the page is full, the part is read, or the request has read its share. */
  async function readSelected (scope: Scope, topic: string, selection: Selection): Promise<Found> {
    const { order, limit, key, filter, isSeen } = selection
    const { head, earliest } = await log.position(scope, topic)
    let [first, last] = [Math.max(selection.first, earliest), Math.min(selection.last, head)]
    const events: LoggedEvent[] = []
    let offsetsLeft = historyScanMax
    let bytesLeft = scannedBytesMax
    while (first <= last && offsetsLeft > 0 && bytesLeft > 0 && events.length < limit) {
      const length = Math.min(key === undefined ? readEvents : offsetsLeft, offsetsLeft, last - first + 1)
      const part = order === 'asc' ? { first, last: first + length - 1 } : { first: last - length + 1, last }
      const slice = await log.slice(scope, topic, { ...part, order, key, limit: readEvents, bytesMax: readBytesMax })
      let end = order === 'asc' ? part.last : part.first
      if (slice.hasMore) end = slice.events.at(-1)?.offset ?? end
      for (const event of slice.events) {
        bytesLeft -= event.payload.length
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
     * for an invalid filter, and NotFoundError `TOPIC_NOT_FOUND`.
     */
    async read (
      scope: Scope, topic: string, query: HistoryQuery, isSeen: (event: EventFact) => boolean = () => true
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
          ? await readAll(scope, topic, selection)
          : await scanning(() => readSelected(scope, topic, selection))
      return {
        json: `[${events.map(event => event.json()).join(',')}]`,
        nextCursor: next === undefined ? undefined : String(next)
      }
    }
  }
}
export type History = ReturnType<typeof createHistory>

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
