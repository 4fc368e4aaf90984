import { ValidationError } from '../errors.ts'

export type CursorPart = string | number | null
/** The type of a part of a cursor; with `?`, it may be null. */
export type CursorType = 'string' | 'number' | 'string?' | 'number?'

/** One page of a list, and the cursor of the next page. */
export interface PageOf<T> {
  items: T[]
  nextCursor: string | undefined
}

/** Encodes the key of the last item of a page as an opaque cursor. */
export function encodeCursor (parts: CursorPart[]): string {
  return Buffer.from(JSON.stringify(parts)).toString('base64url')
}

/**
 * Returns the key of a cursor. Cursors are untrusted: each shape gives the types of the parts that the query compares.
 * Throws ValidationError for any text that `encodeCursor` did not return.
 */
export function decodeCursor (cursor: string, ...shapes: (readonly CursorType[])[]): CursorPart[] {
  const parts = parse(cursor)
  if (
    !Array.isArray(parts) || parts.length === 0 || !parts.every(isCursorPart) ||
    !(shapes.length === 0 ? parts.every(part => part !== null) : shapes.some(shape => hasShape(parts, shape)))
  ) {
    throw cursorRefused()
  }
  return parts
}

export const cursorRefused = () =>
  new ValidationError(
    'VALIDATION_FAILED',
    'The cursor does not belong to this list. Pass the X-Next-Cursor of the previous page',
    {
      details: [{ path: '/cursor', message: 'must be the X-Next-Cursor of the previous page' }]
    }
  )

/** Makes a page of a result that was queried with one extra row, which shows that there is another page. */
export function toPage<Row, T> (
  rows: Row[], limit: number, toItem: (row: Row) => T, key: (row: Row) => CursorPart[]
): PageOf<T> {
  const last = rows.length > limit ? rows[limit - 1] : undefined
  return {
    items: rows.slice(0, limit).map(toItem), nextCursor: last === undefined ? undefined : encodeCursor(key(last))
  }
}

/** PostgreSQL rejects NUL in text and fractions in bigint, so such values were never keys. */
const isCursorPart = (part: unknown): part is CursorPart =>
  typeof part === 'string' ? !part.includes('\0') : part === null || Number.isSafeInteger(part)

const hasShape = (parts: CursorPart[], shape: readonly CursorType[]) =>
  parts.length === shape.length &&
  parts.every((part, i) => part === null ? shape[i]?.endsWith('?') : shape[i]?.startsWith(typeof part))

function parse (cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    return undefined
  }
}
