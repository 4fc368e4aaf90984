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

/** The session settings that cross threads; the connection string provides the rest. */
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
  /** The server's WAL position when it last reported it. */
  server: bigint
  /** The end of the last transaction that has arrived completely. */
  received: bigint
  /** Everything before `settled` is processed, and everything before `stored` is committed. */
  settled: bigint
  stored: bigint
  storedCommitLsn: string
  oldestCommitAt: number | null
  isIdle: boolean
  /** Messages since the last report, and how many of them were row changes. */
  messages: number
  inserts: number
  updates: number
  deletes: number
}

/** Methods of a conversation thread that the main thread calls. */
export interface ThreadMethods {
  open (connectionString: string, options: SessionOptions): Promise<number>
  query (
    session: number, text: string, values: unknown[] | undefined
  ): Promise<{ rows: QueryResultRow[], rowCount: number | null }>
  close (session: number): Promise<void>
  /**
   * Resolves when the server streams. Passes nothing on before `runStream`. `stopStream` also ends a stream that has
   * not started.
   */
  startStream (stream: number, session: number, connectionString: string, settings: StreamSettings): Promise<void>
  runStream (stream: number): void
  acknowledge (stream: number, lsn: bigint, isPing: boolean): void
  /** Resolves when the stream has no work in progress. */
  stopStream (stream: number): Promise<void>
}

/** Methods of the main thread that a conversation thread calls. */
export interface MainMethods {
  /** Undefined when the known revision is still current. */
  mappings (
    stream: number, known: number | undefined
  ): Promise<{ revision: number, definitions: readonly ActiveDefinition[] } | undefined>
  /** Resolves to true when the chunk is committed, false when PostgreSQL refuses it. */
  write (stream: number, chunk: DraftedChunk, step: StreamStep, progress: StreamProgress): Promise<boolean>
  progress (stream: number, progress: StreamProgress): void
  truncated (stream: number, truncates: Truncates): void
  ended (stream: number, reason: Failure): void
}
