import { setTimeout as sleep } from 'node:timers/promises'
import type { ConnectionState } from '../../../schemas/database.ts'
import type { Scope } from '../../../schemas/scope.ts'
import { PublicError } from '../../errors.ts'
import { lossProblems, SourceError, toSourceError, type SourceProblem } from '../source/source.ts'
import { UnstorableError } from '../decoding/failure.ts'
import type { SourceThread } from '../threads/source-thread.ts'
import type { ThreadLease } from '../threads/source-threads.ts'
import { DecodingError, type DecodingFailure } from '../decoding/decoding-error.ts'
import type { ConnectionSettings } from '../source/open-stream.ts'
import { LeaseLostError, type LeaseKey } from '../source/stream-state.ts'
import { readStream, type StreamStatistics } from './read-stream.ts'
import type { ReaderParts } from './reader-parts.ts'
import { PublicationMonitor } from './publication-monitor.ts'

const firstPauseMs = 200
const pauseMaxMs = 5000
/** After a stream has run this long, the next retry starts with a short pause. */
const wellAfterMs = 10_000
const reportEveryMs = 1000
/** How long a stopped reader may take. Then its thread is ended; what was read and not stored is read again. */
const closeMaxMs = 8000

/** The status that a reader reports, stored in `cdc_connections.status`. */
export interface ReaderStatus extends Partial<StreamStatistics> {
  state: ConnectionState
  since: number
  error: { code: SourceProblem, message: string, at: number } | null
}

/**
 * Reads one connected database for as long as this node holds its lease. Reports a failure in the connection's state
 * and retries with increasing pauses. Ends by itself only when another reader has the lease.
 */
export class Reader {
  readonly lease: LeaseKey
  readonly scope: Scope
  readonly #settings: ConnectionSettings
  readonly #parts: ReaderParts
  readonly #stop = new AbortController()
  readonly #running: Promise<void>
  /** Kept between attempts: a thread costs more than a session. */
  #lease: ThreadLease | undefined
  #status: ReaderStatus = { state: 'connecting', since: Date.now(), error: null }
  #statistics: StreamStatistics | undefined
  #carefulUntil = 0n
  /** Where PostgreSQL failed to decode. At the second failure in a row there, the reader skips the transaction. */
  #undecodable: { place: string | null, failure: DecodingFailure, isRepeated: boolean } | undefined
  #saved = ''
  #hasLease = true
  /** Everything that was committed before this time is stored. */
  #behindSince = Date.now()

  constructor (scope: Scope, lease: LeaseKey, settings: ConnectionSettings, parts: ReaderParts) {
    this.scope = scope
    this.lease = lease
    this.#settings = settings
    this.#parts = parts
    const reporting = setInterval(() => {
      this.#measure()
      void this.#save()
    }, reportEveryMs)
    this.#running = this.#run().finally(async () => {
      clearInterval(reporting)
      await this.#lease?.release()
    })
  }

  get state (): ConnectionState { return this.#status.state }
  get problem (): SourceProblem | undefined { return this.#status.error?.code }
  get isDecoding (): boolean { return this.#status.state === 'streaming' && this.#statistics?.decodingSince != null }
  /** False once another reader has the lease. */
  get hasLease (): boolean { return this.#hasLease }

  /** Waits until writes in progress are settled, for at most `closeMaxMs`. The slot is free afterwards. */
  async close (): Promise<void> {
    this.#stop.abort()
    const timer = setTimeout(() => { void this.#lease?.thread.end() }, closeMaxMs)
    await this.#running
    clearTimeout(timer)
    this.#enter('stopped')
    if (this.#hasLease) await this.#save()
    const { metrics } = this.#parts
    for (const gauge of [metrics.cdcLag, metrics.cdcLagBytes, metrics.cdcRetainedBytes]) {
      gauge.remove(this.lease.connectionId)
    }
  }

  async #run (): Promise<void> {
    const { signal } = this.#stop
    const publicationMonitor = new PublicationMonitor({
      ...this.#parts,
      scope: this.scope,
      connectionId: this.lease.connectionId,
      publication: this.#settings.publication
    })
    let pauseMs = firstPauseMs
    while (!signal.aborted) {
      const began = performance.now()
      try {
        await readStream({
          ...this.#parts,
          thread: await this.#thread(),
          scope: this.scope,
          lease: this.lease,
          settings: this.#settings,
          publicationMonitor,
          carefulUntil: this.#carefulUntil,
          undecodable: this.#undecodable?.isRepeated === true ? this.#undecodable.failure : undefined,
          onPassedOver: () => {
            this.#undecodable = undefined
            pauseMs = firstPauseMs
          },
          signal,
          onWaiting: problem => {
            if (this.#status.state === 'connecting' && this.#status.error?.message === problem.message) return
            this.#enter('connecting', problem)
            this.#parts.log.warn(
              { connectionId: this.lease.connectionId, ...this.scope, reason: problem.message }, 'cdc.slot_waits'
            )
          },
          onStreaming: () => {
            this.#enter('streaming')
            this.#parts.log.info({ connectionId: this.lease.connectionId, ...this.scope }, 'cdc.streaming')
            void this.#save()
          },
          onStatistics: statistics => { this.#statistics = statistics }
        })
        this.#settings.gapAccepted = false
      } catch (error) {
        if (this.#hasEnded(error)) return
        if (performance.now() - began > wellAfterMs) pauseMs = firstPauseMs
        // An unstorable change needs no pause: the next attempt starts at once and writes changes one by one.
        if (!(error instanceof UnstorableError)) {
          await sleep(pauseMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {})
        }
        pauseMs = Math.min(pauseMs * 2, pauseMaxMs)
      }
    }
  }

  async #thread (): Promise<SourceThread> {
    if (this.#lease?.thread.isEnded === true) {
      await this.#lease.release()
      this.#lease = undefined
    }
    this.#lease ??= this.#parts.threads.forReader(this.scope.applicationId)
    return this.#lease.thread
  }

  /** Records a failure. Returns whether the reader must end. */
  #hasEnded (error: unknown): boolean {
    const { log, metrics } = this.#parts
    if (this.#stop.signal.aborted) return true
    const { connectionId } = this.lease
    if (error instanceof LeaseLostError) {
      this.#hasLease = false
      log.warn({ connectionId }, 'cdc.lease_lost')
      return true
    }
    if (error instanceof UnstorableError) this.#carefulUntil = error.commitLsn
    if (error instanceof DecodingError) this.#noteUndecodable(error)
    const problem = toProblem(error)
    metrics.cdcReaderFailures.inc({ code: problem.code })
    // A repeated failure is logged once.
    if (this.#status.error?.code !== problem.code) {
      log.error(
        { err: error, connectionId, code: problem.code, ...this.scope },
        lossProblems.has(problem.code) ? 'cdc.changes_lost' : 'cdc.reader_failed'
      )
    }
    this.#enter('error', problem)
    void this.#save()
    return false
  }

  #noteUndecodable ({ place, failure }: DecodingError): void {
    this.#undecodable = { place, failure, isRepeated: place !== null && this.#undecodable?.place === place }
  }

  #enter (state: ConnectionState, problem?: SourceError): void {
    const now = Date.now()
    const since = state === this.#status.state ? this.#status.since : now
    const error = problem === undefined
      ? (state === 'streaming' ? null : this.#status.error)
      : { code: problem.code, message: problem.message, at: now }
    this.#status = { state, since, error }
  }

  /** Measures lag even while nothing is read: it then grows with time, whether or not there are changes. */
  #measure (): void {
    const { metrics } = this.#parts
    const now = Date.now()
    if (this.#status.state === 'streaming') this.#behindSince = this.#statistics?.oldestCommitAt ?? now
    metrics.cdcLag.set(this.lease.connectionId, Math.max(0, now - this.#behindSince) / 1000)
  }

  /**
   * Stores the status; one that cannot be stored is stored with the next. The revision keeps an old reader from
   * overwriting the status of a changed connection.
   */
  async #save (): Promise<void> {
    const text = JSON.stringify({ ...this.#status, ...this.#statistics } satisfies ReaderStatus)
    if (text === this.#saved) return
    this.#saved = text
    const { connectionId, fence } = this.lease
    await this.#parts.pool.query({
      name: 'cdc_report',
      text:
        'update cdc_connections set status = $3 where id = $1 and revision = $4 and exists (select from ' +
          'cdc_positions where connection_id = $1 and fence = $2)',
      values: [connectionId, fence, text, this.#settings.revision]
    }).catch(() => { this.#saved = '' })
  }
}

function toProblem (thrown: unknown): SourceError {
  const error = toSourceError(thrown)
  if (error instanceof SourceError) return error
  if (error instanceof DecodingError) {
    return new SourceError('DECODING_FAILED', `(${placeText(error)}: ${error.failure.reason})`, { cause: error })
  }
  if (error instanceof PublicError && error.status === 503) {
    return new SourceError('PLATFORM_UNAVAILABLE', undefined, { cause: error })
  }
  if (error instanceof PublicError && error.code === 'CDC_POSITION_LOST') {
    return new SourceError('PLATFORM_UNAVAILABLE', '(the position has moved)', { cause: error })
  }
  return new SourceError('READER_FAILED', undefined, { cause: error })
}

const placeText = ({ failure: { transaction, table, lsn } }: DecodingError): string =>
  `${
    transaction === null
      ? `The transaction with the change at ${lsn ?? '?'}`
      : `Transaction ${transaction.xid}, committed at ${transaction.lsn}`
  }${table === null ? '' : `, table ${table}`}`
