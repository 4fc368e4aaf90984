import type { Scope } from '../../../schemas/scope.ts'
import { PublicError } from '../../errors.ts'
import { createDeadline, deadlineAfter, unlessAborted } from '../source/deadline.ts'
import { SourceError, toSourceError } from '../source/source.ts'
import type { StreamProgress } from '../threads/methods.ts'
import type { RemoteStream, SourceThread, ThreadClient } from '../threads/source-thread.ts'
import { ActiveMappings } from '../decoding/active-mappings.ts'
import type { StreamStep } from '../decoding/change-pipeline.ts'
import type { DraftedChunk } from '../decoding/chunk.ts'
import type { DecodingFailure } from '../decoding/decoding-error.ts'
import { formatLsn, parseLsn, type LeaseKey, type StreamState } from '../source/stream-state.ts'
import { openStream, type ConnectionSettings } from '../source/open-stream.ts'
import { readSessionMark } from '../source/slot-ownership.ts'
import { Acknowledger } from './acknowledger.ts'
import { passOver } from './pass-over.ts'
import type { ReaderParts } from './reader-parts.ts'
import type { PublicationMonitor } from './publication-monitor.ts'
import { SlotMonitor } from './slot-monitor.ts'
import { writeChunk } from './write-chunk.ts'

export interface StreamStatistics {
  serverLsn: string | null
  receivedLsn: string | null
  storedLsn: string | null
  confirmedLsn: string | null
  lagBytes: number | null
  /** The commit time of the oldest transaction that is received and not stored. */
  oldestCommitAt: number | null
  retainedBytes: number | null
  /** Since when the server has been silent because it decodes a transaction. */
  decodingSince: number | null
}

export interface ReadOptions extends ReaderParts {
  /** The thread that the conversation runs in. */
  thread: SourceThread
  scope: Scope
  lease: LeaseKey
  settings: ConnectionSettings
  publicationMonitor: PublicationMonitor
  carefulUntil: bigint
  /** A transaction to skip before the stream starts. */
  undecodable: DecodingFailure | undefined
  onPassedOver (): void
  signal: AbortSignal
  /** Called while the stream waits for something before it can start, without a failure. */
  onWaiting (problem: SourceError): void
  onStreaming (): void
  onStatistics (statistics: StreamStatistics): void
}

/** How long the server may take to respond after a stop. */
const stopGraceMs = 2000

/**
 * Opens a stream and reads it until it ends. Returns soon after `signal` aborts, whatever the server does; otherwise
 * throws.
 */
export async function readStream (options: ReadOptions): Promise<void> {
  const cutOff = deadlineAfter(
    options.signal, stopGraceMs, new SourceError('SOURCE_UNREACHABLE', '(the reader has been stopped)')
  )
  let client: ThreadClient | undefined
  try {
    client = await options.thread.open(options.settings.connectionString, {}, cutOff.signal)
    await new StreamReading(options, client).run()
  } catch (error) {
    if (!options.signal.aborted) throw toSourceError(error)
  } finally {
    cutOff.clear()
    await client?.close()
  }
}

class StreamReading {
  readonly #options: ReadOptions
  readonly #client: ThreadClient
  readonly #mappings: ActiveMappings
  readonly #acknowledger: Acknowledger
  readonly #slotMonitor: SlotMonitor
  #session = ''
  #stream: RemoteStream | undefined
  #progress: StreamProgress | undefined
  /** The WAL position that the server last reported. */
  #server = 0n
  #isCaring = false
  #fail: (error: unknown) => void = () => {}

  constructor (options: ReadOptions, client: ThreadClient) {
    this.#options = options
    this.#client = client
    this.#mappings = new ActiveMappings(options, options.scope)
    this.#acknowledger = new Acknowledger({
      ...options,
      acknowledge: (lsn, isPing) => this.#stream?.acknowledge(lsn, isPing),
      onFailed: error => this.#fail(error)
    })
    this.#slotMonitor = new SlotMonitor({ ...options, ...options.settings })
  }

  async run (): Promise<void> {
    const { settings, lease, pool, signal, timing } = this.#options
    const session = this.#session = await readSessionMark(pool, lease.connectionId)
    const state = await this.#open(session)
    settings.gapAccepted = false
    if (signal.aborted) return
    this.#acknowledger.start(parseLsn(state.confirmedLsn))
    const failed = new Promise<never>((_resolve, reject) => { this.#fail = reject })
    failed.catch(() => {})
    const ended = new AbortController()
    const stopped = new Promise<void>(resolve =>
      signal.addEventListener('abort', () => resolve(), { once: true, signal: ended.signal })
    )
    let timers: NodeJS.Timeout[] = []
    const stream = this.#stream = this.#start(state, session)
    try {
      await this.#begun(Promise.race([stream.started, stopped, failed]))
      if (signal.aborted) return
      this.#slotMonitor.heard()
      this.#options.onStreaming()
      timers = [
        setInterval(() => this.#ping(), timing.pingEveryMs),
        setInterval(() => {
          void this.#careAgain()
        }, timing.careEveryMs)
      ]
      await this.#careAgain()
      await stream.run()
      await Promise.race([failed, stopped])
    } finally {
      ended.abort()
      for (const timer of timers) clearInterval(timer)
      await stream.stop()
    }
  }

  /** A query has its own limit. The command that starts a stream has none, because the stream has none. */
  async #begun (starting: Promise<void>): Promise<void> {
    const tooLate = createDeadline(
      this.#options.startMaxMs, new SourceError('SOURCE_UNREACHABLE', '(the stream did not start in time)')
    )
    try {
      await unlessAborted(starting, tooLate.signal)
    } finally {
      tooLate.clear()
    }
  }

  async #open (session: string): Promise<StreamState> {
    const {
      settings, lease, states, db, log, publicationMonitor, signal, onWaiting, undecodable, onPassedOver
    } = this.#options
    const state = await openStream({
      client: this.#client,
      settings,
      lease,
      states,
      db,
      log,
      signal,
      onWaiting,
      session,
      careForTables: isNew => publicationMonitor.look(this.#client, this.#mappings, isNew)
    })
    if (undecodable === undefined || signal.aborted) return state
    const next = await passOver({
      ...this.#options,
      client: this.#client,
      mappings: this.#mappings,
      session,
      failure: undecodable
    }, state)
    onPassedOver()
    return next
  }

  #start (state: StreamState, mark: string): RemoteStream {
    const { settings, carefulUntil, lease, log } = this.#options
    return this.#client.stream({
      mark,
      slot: settings.slot,
      publication: settings.publication,
      place: state.place,
      confirmedLsn: this.#acknowledger.confirmed,
      carefulUntil
    }, {
      mappings: async known => {
        const { revision, definitions } = await this.#mappings.current()
        return revision === known ? undefined : { revision, definitions }
      },
      write: async (chunk, step, progress) => {
        this.#follow(progress)
        return await this.#write(chunk, step)
      },
      progress: progress => this.#follow(progress),
      truncated: truncates => log.info({ connectionId: lease.connectionId, ...truncates }, 'cdc.truncate_ignored'),
      ended: reason => this.#fail(reason)
    })
  }

  /**
   * Returns false when the log could not store the chunk. An error that it throws ends the stream; the thread receives
   * no further detail.
   */
  async #write (chunk: DraftedChunk, step: StreamStep): Promise<boolean> {
    try {
      await writeChunk(this.#options, chunk, step)
      return true
    } catch (error) {
      if (error instanceof PublicError && error.status === 500) return false
      this.#fail(error)
      throw error
    }
  }

  #follow (progress: StreamProgress): void {
    const { metrics } = this.#options
    this.#progress = progress
    for (const operation of ['insert', 'update', 'delete'] as const) {
      const count = progress[`${operation}s`]
      if (count > 0) metrics.cdcChanges.inc({ operation }, count)
    }
    if (progress.server > this.#server) this.#server = progress.server
    this.#slotMonitor.follow(progress)
    this.#acknowledger.follow(progress)
  }

  #ping (): void {
    this.#acknowledger.ping()
    this.#report()
  }

  /** Runs one check at a time, so a slow server is queried less often. */
  async #careAgain (): Promise<void> {
    if (this.#isCaring) return
    this.#isCaring = true
    await this.#care().catch(this.#fail)
    this.#isCaring = false
  }

  async #care (): Promise<void> {
    const server = await this.#slotMonitor.look(this.#client, this.#session)
    if (server > this.#server) this.#server = server
    await this.#options.publicationMonitor.look(this.#client, this.#mappings, false)
    this.#report()
  }

  #report (): void {
    const { metrics, lease, onStatistics } = this.#options
    const progress = this.#progress
    const { confirmed } = this.#acknowledger
    const lagBytes = this.#server > confirmed ? Number(this.#server - confirmed) : 0
    metrics.cdcLagBytes.set(lease.connectionId, lagBytes)
    const text = (lsn: bigint) => lsn === 0n ? null : formatLsn(lsn)
    onStatistics({
      serverLsn: text(this.#server),
      receivedLsn: text(progress?.received ?? 0n),
      storedLsn: progress?.storedCommitLsn ?? null,
      confirmedLsn: text(confirmed),
      lagBytes,
      oldestCommitAt: progress?.oldestCommitAt ?? null,
      retainedBytes: this.#slotMonitor.retainedBytes,
      decodingSince: this.#slotMonitor.decodingSince
    })
  }
}
