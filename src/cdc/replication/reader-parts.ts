import type { Kysely } from 'kysely'
import type pg from 'pg'
import type { Database } from '../../../db/tables.ts'
import type { Scope } from '../../../schemas/scope.ts'
import type { Writer } from '../../events/intent.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { DeliveryRow } from '../mappings/mapping-log.ts'
import type { StreamStates } from '../source/stream-state.ts'
import type { SourceThreads } from '../threads/source-threads.ts'

export interface ReaderLog {
  debug (fields: object, message: string): void
  info (fields: object, message: string): void
  warn (fields: object, message: string): void
  error (fields: object, message: string): void
}

/** The parts that every reader of this node uses. */
export interface ReaderParts {
  pool: pg.Pool
  db: Kysely<Database>
  writer: Writer
  threads: SourceThreads
  states: StreamStates
  metrics: Metrics
  log: ReaderLog
  timing: { pingEveryMs: number, careEveryMs: number, silenceMaxMs: number }
  /** How long a server may take to start a stream. */
  startMaxMs: number
  /** A warning is logged when a slot retains more WAL than this. */
  retainedBytesWarning: number
  /** Called for each failed delivery, once that is stored. */
  onMappingFailed?: (scope: Scope, row: DeliveryRow) => void
}
