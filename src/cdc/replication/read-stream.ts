import type { Scope } from '../../../schemas/scope.ts'
import { PublicError } from '../../errors.ts'
import { mappingFailureOf } from '../../foundation/observability/metric-labels.ts'
import { createDeadline, deadlineAfter, unlessAborted } from '../source/deadline.ts'
import type { DeliveryRow } from '../mappings/mapping-log.ts'
import { SourceError, toSourceError } from '../source/source.ts'
import type { StreamProgress } from '../threads/methods.ts'
import type { RemoteStream, SourceThread, ThreadClient } from '../threads/source-thread.ts'
import { ActiveMappings } from '../decoding/active-mappings.ts'
import type { StreamStep } from '../decoding/change-pipeline.ts'
import { toIntent } from './chunk-intent.ts'
import type { DraftedChunk } from '../decoding/chunk.ts'
import type { DecodingFailure } from '../decoding/decoding-error.ts'
import { formatLsn, parseLsn, type LeaseKey, type StreamState } from '../source/stream-state.ts'
import { openStream, type ConnectionSettings } from '../source/open-stream.ts'
import { readSessionMark } from '../source/slot-ownership.ts'
import { passOver } from './pass-over.ts'
import type { ReaderParts } from './reader-parts.ts'
import type { PublicationMonitor } from './publication-monitor.ts'

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
  #stream: RemoteStream | undefined
  #progress: StreamProgress | undefined
  /**
   * The LSNs that were acknowledged, that are settled and due for acknowledgement, and that the server last reported.
   */
  #confirmed = 0n
  #settled = 0n
  #server = 0n
  #retained: number | null = null
  #isWarned = false
  #decodingSince: number | null = null
  #session = ''
  #heardAt = 0
  #isConfirming = false
  #isCaring = false
  #fail: (error: unknown) => void = () => {}

  constructor (options: ReadOptions, client: ThreadClient) {
    this.#options = options
    this.#client = client
    this.#mappings = new ActiveMappings(options, options.scope)
  }

  async run (): Promise<void> {
    const { settings, lease, pool, signal, timing } = this.#options
    const session = this.#session = await readSessionMark(pool, lease.connectionId)
    const state = await this.#open(session)
    settings.gapAccepted = false
    if (signal.aborted) return
    this.#confirmed = this.#settled = parseLsn(state.confirmedLsn)
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
      this.#heardAt = performance.now()
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
      confirmedLsn: this.#confirmed,
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

  /** An error that it throws ends the stream; the thread receives no further detail. */
  async #write (chunk: DraftedChunk, step: StreamStep): Promise<boolean> {
    const { scope, lease, writer, metrics, log, onMappingFailed } = this.#options
    let rows: DeliveryRow[]
    try {
      rows = await writer.submit(toIntent(chunk, scope, { ...lease, ...step }))
    } catch (error) {
      if (error instanceof PublicError && error.status === 500) return false
      this.#fail(error)
      throw error
    }
    for (const row of rows) {
      if (row.status === 'delivered') continue
      metrics.cdcMappingFailures.inc({ code: mappingFailureOf(row.code) }, row.events)
      onMappingFailed?.(scope, row)
      log.warn({
        connectionId: lease.connectionId, mappingId: row.mappingId, topic: row.topic, table: row.table,
        changes: row.events, code: row.code, lsn: row.lsn
      }, 'cdc.mapping_failed')
    }
    log.debug(
      { connectionId: lease.connectionId, changes: chunk.changes, transactions: chunk.transactions }, 'cdc.written'
    )
    return true
  }

  #follow (progress: StreamProgress): void {
    const { metrics } = this.#options
    this.#progress = progress
    if (progress.messages > 0) this.#heardAt = performance.now()
    for (const operation of ['insert', 'update', 'delete'] as const) {
      const count = progress[`${operation}s`]
      if (count > 0) metrics.cdcChanges.inc({ operation }, count)
    }
    if (progress.server > this.#server) this.#server = progress.server
    if (progress.settled > this.#settled) this.#settled = progress.settled
    if (progress.stored > this.#confirmed) this.#confirmed = progress.stored
    if (this.#settled > this.#confirmed) void this.#confirm()
  }

  /**
   * Stores the position before it is acknowledged: a slot beyond the stored position was advanced by another program.
   */
  async #confirm (): Promise<void> {
    if (this.#isConfirming) return
    this.#isConfirming = true
    try {
      const lsn = this.#settled
      await this.#options.states.confirm(this.#options.lease, formatLsn(lsn))
      if (lsn > this.#confirmed) this.#confirmed = lsn
      this.#stream?.acknowledge(this.#confirmed, false)
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#isConfirming = false
    }
  }

  #ping (): void {
    this.#stream?.acknowledge(this.#confirmed, true)
    if (this.#settled > this.#confirmed) void this.#confirm()
    this.#report()
  }

  /** Runs one check at a time, so a slow server is queried less often. */
  async #careAgain (): Promise<void> {
    if (this.#isCaring) return
    this.#isCaring = true
    await this.#care().catch(this.#fail)
    this.#isCaring = false
  }

  /**
   * Checks what the stream does not report: a dropped publication, retained WAL, tables missing from the publication.
   */
  async #care (): Promise<void> {
    const { settings, lease, log, retainedBytesWarning, metrics, publicationMonitor } = this.#options
    const { rows: [row] } = await this.#client.query<
      { retained: number, wal_status: string, server: string, publication_oid: number | null, sent: string | null }
    >(
      `
      select pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::float8 as retained, s.wal_status,
        pg_current_wal_lsn()::text as server,
        (select oid::bigint::float8 from pg_publication where pubname = $2) as publication_oid,
        (select r.sent_lsn::text from pg_stat_replication r
          where r.pid = s.active_pid and r.application_name like '% ' || $3) as sent
      from pg_replication_slots s where s.slot_name = $1`, [settings.slot, settings.publication, this.#session])
    if (row === undefined) throw new SourceError('SLOT_LOST')
    this.#requireLife(row.sent)
    const state = await this.#options.states.read(lease)
    if (row.publication_oid !== state.publicationOid) throw new SourceError('PUBLICATION_LOST')
    if (parseLsn(row.server) > this.#server) this.#server = parseLsn(row.server)
    this.#retained = row.retained
    metrics.cdcRetainedBytes.set(lease.connectionId, row.retained)
    const isAlarming = row.retained > retainedBytesWarning || row.wal_status === 'unreserved' ||
      row.wal_status === 'lost'
    if (isAlarming && !this.#isWarned) {
      log.warn(
        { connectionId: lease.connectionId, retainedBytes: row.retained, walStatus: row.wal_status }, 'cdc.wal_retained'
      )
    }
    this.#isWarned = isAlarming
    await publicationMonitor.look(this.#client, this.#mappings, false)
    this.#report()
  }

  /**
   * Throws when the stream is silent and its session no longer holds the slot, as after the server's
   * `wal_sender_timeout`. A silent server whose session still holds the slot is decoding.
   */
  #requireLife (sent: string | null): void {
    const { timing, lease, log } = this.#options
    const silentMs = performance.now() - this.#heardAt
    const isSilent = silentMs > timing.silenceMaxMs
    if (isSilent && sent === null) throw new SourceError('SOURCE_UNREACHABLE', '(the stream is silent)')
    // While this node holds up the stream, silence does not mean that the server decodes.
    const isDecoding = isSilent && this.#progress?.isIdle !== false
    if (isDecoding && this.#decodingSince === null) {
      log.info(
        { connectionId: lease.connectionId, sentLsn: sent, retainedBytes: this.#retained }, 'cdc.source_decodes'
      )
    }
    this.#decodingSince = isDecoding ? this.#decodingSince ?? Date.now() - Math.round(silentMs) : null
  }

  #report (): void {
    const { metrics, lease, onStatistics } = this.#options
    const progress = this.#progress
    const lagBytes = this.#server > this.#confirmed ? Number(this.#server - this.#confirmed) : 0
    metrics.cdcLagBytes.set(lease.connectionId, lagBytes)
    const text = (lsn: bigint) => lsn === 0n ? null : formatLsn(lsn)
    onStatistics({
      serverLsn: text(this.#server),
      receivedLsn: text(progress?.received ?? 0n),
      storedLsn: progress?.storedCommitLsn ?? null,
      confirmedLsn: text(this.#confirmed),
      lagBytes,
      oldestCommitAt: progress?.oldestCommitAt ?? null,
      retainedBytes: this.#retained,
      decodingSince: this.#decodingSince
    })
  }
}
