import type { QueryResultRow } from 'pg'
import type { StreamPlace } from '../../events/intent.ts'
import type { ActiveDefinition } from '../decoding/mapping-snapshot.ts'
import type { StreamStep } from '../decoding/change-pipeline.ts'
import type { DraftedChunk } from '../decoding/chunk.ts'
import type { SessionConfig } from '../source/source.ts'
import type { WireLimits } from '../wire/conversation.ts'
import type { Failure } from '../decoding/failure.ts'
import type { Truncates } from './truncate-reports.ts'

export interface ThreadSettings { limits: WireLimits }

/** What crosses threads of the configuration of a session: everything else follows from the connection string. */
export type SessionOptions = Pick<
  SessionConfig,
  'replication' | 'statement_timeout' | 'lock_timeout' | 'query_timeout' | 'mark'
>

export interface StreamSettings {
  /** Ends the session's application name. */
  mark: string
  slot: string
  publication: string
  place: StreamPlace
  confirmedLsn: bigint
  carefulUntil: bigint
}

export interface StreamProgress {
  /** Where the server was when it last said so. */
  server: bigint
  /** The end of the last transaction that has arrived whole. */
  received: bigint
  /** Everything before it is dealt with; of that, `stored` is committed. */
  settled: bigint
  stored: bigint
  storedCommitLsn: string
  oldestCommitAt: number | null
  isIdle: boolean
  /** Messages since the last report, and those of row changes. */
  messages: number
  inserts: number
  updates: number
  deletes: number
}

/** What a conversation thread does for the main thread. */
export interface ThreadMethods {
  open (connectionString: string, options: SessionOptions): Promise<number>
  query (
    session: number, text: string, values: unknown[] | undefined
  ): Promise<{ rows: QueryResultRow[], rowCount: number | null }>
  close (session: number): Promise<void>
  /**
   * Resolves when the server streams. Nothing is handed on before `runStream`; `stopStream` also ends one that has not
   * begun.
   */
  startStream (stream: number, session: number, connectionString: string, settings: StreamSettings): Promise<void>
  runStream (stream: number): void
  acknowledge (stream: number, lsn: bigint, isPing: boolean): void
  /** Resolves when nothing of the stream is under way any more. */
  stopStream (stream: number): Promise<void>
}

/** What the main thread does for a conversation thread. */
export interface MainMethods {
  /** Undefined when the revision is still the known one. */
  mappings (
    stream: number, known: number | undefined
  ): Promise<{ revision: number, definitions: readonly ActiveDefinition[] } | undefined>
  /** Resolves to whether the chunk is committed; false: PostgreSQL refuses it. */
  write (stream: number, chunk: DraftedChunk, step: StreamStep, progress: StreamProgress): Promise<boolean>
  progress (stream: number, progress: StreamProgress): void
  truncated (stream: number, truncates: Truncates): void
  ended (stream: number, reason: Failure): void
}
