import type { Operation } from '../../../schemas/database.ts'

/**
 * A value that the stream did not carry: an unchanged TOASTed value without the old row, a column outside the replica
 * identity, or a generated column.
 */
export const unavailable = Symbol('unavailable')
/** The value of a column that does not exist. */
export const missing = Symbol('missing')

/** The values of one row by column, as JSON. */
export interface Values {
  get (column: string): unknown
  /** Returns whether the value is known to be SQL NULL. A JSON null in a `json` column is not. */
  isNull (column: string): boolean
  readonly columns: readonly string[]
}

/** A change of one row, from the stream or from a preview. */
export interface RowChange {
  readonly operation: Operation
  /** The current row; for a delete, the known values of the deleted row. */
  readonly row: Values
  /** The row before an update or delete; undefined for an insert, or if nothing of it is known. */
  readonly old: Values | undefined
  /**
   * Returns whether the column has a new value; undefined when that is unknown. An insert or delete changes every
   * column.
   */
  changed (column: string): boolean | undefined
  readonly event: Record<EventField, string | number>
}

export const eventFields = ['operation', 'table', 'schema', 'lsn', 'xid', 'committedAt'] as const
export type EventField = typeof eventFields[number]

/** Wraps a row from a preview request. */
export function givenValues (row: Record<string, unknown>): Values {
  return {
    get: column => Object.hasOwn(row, column) ? row[column] : missing, isNull: column => row[column] === null,
    columns: Object.keys(row)
  }
}
