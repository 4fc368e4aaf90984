import type { Operation } from '../../../schemas/database.ts'

/**
 * A value that the stream did not carry: an unchanged TOAST value without the old row, a column outside of the replica
 * identity, a generated one.
 */
export const unavailable = Symbol('unavailable')
/** There is no such column. */
export const missing = Symbol('missing')

/** The values of one row by column, as JSON. */
export interface Values {
  get (column: string): unknown
  /** Whether it is known to be SQL's NULL, which JSON's null in a column of JSON is not. */
  isNull (column: string): boolean
  readonly columns: readonly string[]
}

/** What happened to one row, whether a stream told it or somebody supposes it. */
export interface RowChange {
  readonly operation: Operation
  /** As it is now; of a deleted row, as far as it is known, what it was. */
  readonly row: Values
  /** As it was before an update or delete; undefined when nothing of it is known, or there was nothing. */
  readonly old: Values | undefined
  /**
   * Whether the column has another value than before; undefined when that cannot be known. A row that comes or goes
   * changes every column.
   */
  changed (column: string): boolean | undefined
  readonly event: Record<EventField, string | number>
}

export const eventFields = ['operation', 'table', 'schema', 'lsn', 'xid', 'committedAt'] as const
export type EventField = typeof eventFields[number]

/** A row that somebody wrote down. */
export function givenValues (row: Record<string, unknown>): Values {
  return {
    get: column => Object.hasOwn(row, column) ? row[column] : missing, isNull: column => row[column] === null,
    columns: Object.keys(row)
  }
}
