import pg from 'pg'
import { DecodingError, type DecodingFailure } from './decoding-error.ts'
import { SourceError, StatementError, toSourceError, type SourceProblem } from '../source/source.ts'

/** An error in a form that can cross threads. */
export type Failure =
  | { kind: 'source', code: SourceProblem, message: string }
  | { kind: 'statement', message: string, code: string | undefined, severity: string | undefined }
  | { kind: 'unstorable', commitLsn: bigint }
  | { kind: 'decoding', failure: DecodingFailure }
  | { kind: 'other', message: string }

/**
 * Thrown when PostgreSQL refuses to store the events of some changes up to this commit, although it can be written to.
 */
export class UnstorableError extends Error {
  readonly commitLsn: bigint
  constructor (commitLsn: bigint) {
    super('a change could not be stored')
    this.commitLsn = commitLsn
  }
}

const messageMax = 2000
/** Enough for an SQLSTATE, which has five characters. */
const codeMax = 20

export function toFailure (thrown: unknown): Failure {
  if (thrown instanceof UnstorableError) return { kind: 'unstorable', commitLsn: thrown.commitLsn }
  if (thrown instanceof DecodingError) return { kind: 'decoding', failure: thrown.failure }
  if (thrown instanceof pg.DatabaseError) {
    return {
      kind: 'statement', message: thrown.message.slice(0, messageMax), code: thrown.code?.slice(0, codeMax),
      severity: thrown.severity?.slice(0, codeMax)
    }
  }
  const error = toSourceError(thrown)
  if (error instanceof SourceError) return { kind: 'source', code: error.code, message: error.message }
  return { kind: 'other', message: String((error as Error | undefined)?.message ?? error).slice(0, messageMax) }
}

export function fromFailure (failure: Failure): Error {
  switch (failure.kind) {
    case 'source': return SourceError.of(failure.code, failure.message)
    case 'unstorable': return new UnstorableError(failure.commitLsn)
    case 'decoding': return new DecodingError(failure.failure)
    case 'statement': return new StatementError(failure.message, failure.code, failure.severity)
    case 'other': return new Error(failure.message)
  }
}
