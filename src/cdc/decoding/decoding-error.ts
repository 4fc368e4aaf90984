import pg from 'pg'
import { explainForeignError } from '../../foundation/foreign-errors.ts'
import type { TransactionReference } from './tally.ts'

/** An error that PostgreSQL raised while it decoded a transaction, and raises again whenever it gets there. */
export interface DecodingFailure {
  /** The transaction that was being sent; null when the server failed before it sent the start of one. */
  transaction: TransactionReference | null
  /** How many changes of the transaction were sent before the failure. */
  changes: number
  /** The table of the change, if known. */
  table: string | null
  /**
   * The LSN of the change, or of another place in the transaction, from the context of PostgreSQL's error; null if it
   * has none.
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

  /** Where the stream fails; null when nothing identifies the transaction. */
  get place (): string | null {
    return this.failure.transaction?.lsn ?? this.failure.lsn
  }
}

const sqlState = /^[0-9A-Z]{5}$/
/**
 * SQLSTATEs of the connection, the user, the slot, the publication and the server's resources, which do not depend on
 * the transaction.
 */
const circumstances = /^(08|28|3D|40|42501|42704|53|55|57|58)/
const textMax = 2000

export interface DecodingContext {
  transaction: TransactionReference | undefined
  changes: number
  table: string | undefined
}

/** Returns undefined for an error that was not caused by the decoded data. */
export function toDecodingFailure (
  error: unknown, { transaction, changes, table }: DecodingContext
): DecodingFailure | undefined {
  if (
    !(error instanceof pg.DatabaseError) || error.code === undefined || !sqlState.test(error.code) ||
    circumstances.test(error.code)
  ) return undefined
  // The context is `slot "…", output plugin "pgoutput", in the change callback, associated LSN 0/1234`, in the server's
  // language.
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
