import { ValidationError } from '../errors.ts'

export type CursorPart = string | number

/** One page of a list, and what to send back for the next one. */
export interface PageOf<T> {
  items: T[]
  nextCursor: string | undefined
}

/** The key of the last item of a page, opaque to whoever carries it. */
export function encodeCursor (parts: CursorPart[]): string {
  return Buffer.from(JSON.stringify(parts)).toString('base64url')
}

/**
 * The key that `encodeCursor` was given. Cursors come from outside: with `shape`, each part is checked against the
 * type that the query will compare it with. Throws ValidationError for anything that we did not make.
 */
export function decodeCursor (cursor: string, shape?: readonly ('string' | 'number')[]): CursorPart[] {
  const parts = parse(cursor)
  if (
    !Array.isArray(parts) || parts.length === 0 || !parts.every(isCursorPart) ||
    (shape !== undefined && !hasShape(parts, shape))
  ) {
    throw cursorRefused()
  }
  return parts
}

export const cursorRefused = () =>
  new ValidationError(
    'VALIDATION_FAILED',
    'The cursor does not belong to this list: pass the X-Next-Cursor of the page before',
    {
      details: [{ path: '/cursor', message: 'must be the X-Next-Cursor of the page before' }]
    }
  )

/** Cuts a result that was asked for with one row too many: the extra row says that there is another page. */
export function toPage<Row, T> (
  rows: Row[], limit: number, toItem: (row: Row) => T, key: (row: Row) => CursorPart[]
): PageOf<T> {
  const last = rows.length > limit ? rows[limit - 1] : undefined
  return {
    items: rows.slice(0, limit).map(toItem), nextCursor: last === undefined ? undefined : encodeCursor(key(last))
  }
}

/** PostgreSQL refuses NUL in text and fractions in bigint: what cannot be compared was never a key. */
const isCursorPart = (part: unknown): part is CursorPart =>
  typeof part === 'string' ? !part.includes('\0') : Number.isSafeInteger(part)

const hasShape = (parts: CursorPart[], shape: readonly ('string' | 'number')[]) =>
  parts.length === shape.length && parts.every((part, i) => (shape[i] === 'number') === (typeof part === 'number'))

function parse (cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    return undefined
  }
}
