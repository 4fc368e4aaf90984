import pg from 'pg'
import { explainForeignError } from '../../foundation/foreign-errors.ts'
import type { TransactionReference } from './tally.ts'

/**
 * An error that PostgreSQL raised while it decoded a transaction. It raises it again each time it comes to that place.
 */
export interface DecodingFailure {
  /** The transaction that was being sent; null when the server failed before it sent its beginning. */
  transaction: TransactionReference | null
  /** How many changes of the transaction were sent before. */
  changes: number
  /** The table of the change, where it is known. */
  table: string | null
  /**
   * The LSN of the change, or another place in the transaction, from PostgreSQL's context of the error; null when there
   * is none.
   */
  lsn: string | null
  /** In our own words, with the SQLSTATE. */
  reason: string
  sqlState: string
  /** PostgreSQL's own text, for the log only. */
  text: string
}

export class DecodingError extends Error {
  readonly failure: DecodingFailure

  constructor (failure: DecodingFailure) {
    super(`PostgreSQL fails to decode a transaction: ${failure.text}`)
    this.failure = failure
  }

  /** Where the stream stops; null when nothing identifies the transaction. */
  get place (): string | null {
    return this.failure.transaction?.lsn ?? this.failure.lsn
  }
}

const sqlState = /^[0-9A-Z]{5}$/
/**
 * Of the connection, the user, the slot, the publication, or the server's resources: none of them depends on the
 * transaction.
 */
const circumstances = /^(08|28|3D|40|42501|42704|53|55|57|58)/
const textMax = 2000

export interface DecodingContext {
  transaction: TransactionReference | undefined
  changes: number
  table: string | undefined
}

/** Undefined for an error that ends a stream for another reason than what is decoded. */
export function toDecodingFailure (
  error: unknown, { transaction, changes, table }: DecodingContext
): DecodingFailure | undefined {
  if (
    !(error instanceof pg.DatabaseError) || error.code === undefined || !sqlState.test(error.code) ||
    circumstances.test(error.code)
  ) return undefined
  // `slot "…", output plugin "pgoutput", in the change callback, associated LSN 0/1234`, in the server's language.
  const lsn = /"pgoutput"|pgoutput/.test(error.where ?? '')
    ? /([0-9A-F]{1,8}\/[0-9A-F]{1,8})\s*$/m.exec(error.where ?? '')?.[1]
    : undefined
  if (transaction === undefined && lsn === undefined) return undefined
  return {
    transaction: transaction === undefined
      ? null
      : { lsn: transaction.lsn, xid: transaction.xid, committedAt: transaction.committedAt },
    changes,
    table: table ?? null,
    lsn: lsn ?? null,
    reason: explainForeignError(error),
    sqlState: error.code,
    text: error.message.slice(0, textMax)
  }
}
