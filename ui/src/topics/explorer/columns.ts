import type { RealtimeEvent } from '@realtime-platform/client'
import type { TimeMode } from '../../app/preferences.ts'
import { formatTime } from '../../components/time.tsx'
import { valueAt } from './filter.ts'

/* The columns of the explorer after offset and time. They are named in the URL and in saved views. */

export interface EventColumn {
  id: string
  header: string
  /** A track of the grid. */
  width: string
  align?: 'right'
  /** The text of the cell. Empty for the status, which StatusCell reads from the debugger. */
  text: (event: RealtimeEvent) => string
  value: (event: RealtimeEvent) => unknown
}

const payloadPrefix = 'payload.'

/** The id of the column of a path in the payload. */
export const payloadColumn = (path: string): string => payloadPrefix + path

/** The path of a column of the payload; undefined for other columns. */
export const pathOfColumn = (id: string): string | undefined =>
  id.startsWith(payloadPrefix) ? id.slice(payloadPrefix.length) : undefined

/** The columns of the envelope, in the order in which they stand. `payload` is the beginning of the payload. */
export const envelopeColumns: readonly EventColumn[] = [
  { id: 'key', header: 'Key', width: 'minmax(5rem, 9rem)', text: event => event.key ?? '', value: ({ key }) => key },
  { id: 'type', header: 'Type', width: '8rem', text: event => event.type, value: ({ type }) => type },
  { id: 'source', header: 'Source', width: '5rem', text: event => event.source, value: ({ source }) => source },
  {
    id: 'schema',
    header: 'Schema',
    width: '4rem',
    text: ({ schemaVersion }) => (schemaVersion === null ? '' : `v${schemaVersion}`),
    value: ({ schemaVersion }) => schemaVersion
  },
  {
    id: 'payload',
    header: 'Payload',
    width: 'minmax(12rem, 4fr)',
    text: ({ payload }) => preview(payload),
    value: ({ payload }) => payload
  },
  { id: 'status', header: 'Status', width: '10rem', text: () => '', value: () => undefined }
]

export const defaultColumns: readonly string[] = ['key', 'type', 'payload', 'status']

/** Returns the columns of ids: those of the payload stand before the preview and the status. */
export function columnsOf (ids: readonly string[]): EventColumn[] {
  const known = envelopeColumns.filter(({ id }) => ids.includes(id))
  const paths = ids.flatMap(id => pathOfColumn(id) ?? [])
  const isLast = ({ id }: EventColumn) => id === 'payload' || id === 'status'
  return [...known.filter(column => !isLast(column)), ...paths.map(ofPath), ...known.filter(isLast)]
}

const pathColumns = new Map<string, EventColumn>()

function ofPath (path: string): EventColumn {
  const known = pathColumns.get(path)
  if (known !== undefined) return known
  const value = ({ payload }: RealtimeEvent) => valueAt(payload, path)
  const column: EventColumn = {
    id: payloadColumn(path),
    header: path,
    width: 'minmax(5rem, 1fr)',
    value,
    text: event => {
      const found = value(event)
      return found === undefined ? '' : typeof found === 'string' ? found : preview(found)
    }
  }
  pathColumns.set(path, column)
  return column
}

const previewLength = 160

/** Returns the beginning of a value as JSON, without writing all of a large one. */
export function preview (value: unknown): string {
  let left = previewLength
  const write = (item: unknown): string => {
    if (left <= 0) return '…'
    if (typeof item === 'string') {
      left -= item.length + 2
      return JSON.stringify(item.length > previewLength ? `${item.slice(0, previewLength)}…` : item)
    }
    if (typeof item !== 'object' || item === null) {
      left -= 4
      return String(item)
    }
    const isArray = Array.isArray(item)
    const parts: string[] = []
    for (const name in item) {
      if (left <= 0) {
        parts.push('…')
        break
      }
      const inner = (item as Record<string, unknown>)[name]
      left -= isArray ? 1 : name.length + 4
      parts.push(isArray ? write(inner) : `${name}: ${write(inner)}`)
    }
    return isArray ? `[${parts.join(', ')}]` : `{ ${parts.join(', ')} }`
  }
  return write(value)
}

/** The day of a time, in the zone of the mode. */
export const dayOf = (ms: number, mode: TimeMode): string =>
  formatTime(ms, mode === 'utc' ? 'utc' : 'local').slice(0, 10)

/** The time of an event: of today without its date. */
export function eventTime (ms: number, mode: TimeMode, today: string): string {
  if (mode === 'epoch') return String(ms)
  const text = formatTime(ms, mode === 'utc' ? 'utc' : 'local')
  return text.startsWith(today) ? text.slice(11) : text.slice(5)
}

/** Returns the width below which the list scrolls sideways: the least widths of its tracks, gaps and padding. */
export function leastWidth (tracks: readonly string[]): string {
  const least = tracks.map(track => /^minmax\(([^,]+),/.exec(track)?.[1] ?? track)
  return `calc(${least.join(' + ')} + ${tracks.length * 12 + 36}px)`
}
