import type { Pgoutput } from 'pg-logical-replication'
import type { Scope } from '../../../schemas/scope.ts'
import { openSource, SourceError, toSourceError, type SourceClient } from '../source.ts'
import { tableText } from '../table-name.ts'
import { ActiveMappings } from './active-mappings.ts'
import { ChangePipeline } from './change-pipeline.ts'
import { formatLsn, parseLsn } from './lsn.ts'
import { openStream, type ConnectionSettings } from './open-stream.ts'
import { readSessionMark } from './ownership.ts'
import type { ReaderParts } from './reader.ts'
import { Relations } from './relations.ts'
import { ReplicationStream } from './replication-stream.ts'
import type { LeaseKey } from './stream-state.ts'
import type { TableCare } from './table-care.ts'

/** How often the server is asked where it is, so that an idle database keeps no WAL for us. */
const pingEveryMs = 2000
/** A stream that says nothing for so long, though it was asked, is dead. */
const silenceMaxMs = 30_000
/** How often slot, publication and tables are looked at. */
const careEveryMs = 5000

export interface StreamStatistics {
  serverLsn: string | null
  receivedLsn: string | null
  storedLsn: string | null
  confirmedLsn: string | null
  lagBytes: number | null
  /** When the oldest transaction that is received and not stored was committed. */
  oldestCommitAt: number | null
  retainedBytes: number | null
}

export interface ReadOptions extends ReaderParts {
  scope: Scope
  lease: LeaseKey
  settings: ConnectionSettings
  tableCare: TableCare
  carefulUntil: bigint
  signal: AbortSignal
  /** Nothing has failed, but something is waited for before it can begin. */
  onWaiting (problem: SourceError): void
  onStreaming (): void
  onStatistics (statistics: StreamStatistics): void
}

/** One life of a stream, from opening it to whatever ends it. Returns when `signal` asks for it, throws otherwise. */
export async function readStream (options: ReadOptions): Promise<void> {
  const client = await openSource(options.settings.connectionString)
  try {
    await new StreamReading(options, client).run()
  } catch (error) {
    if (!options.signal.aborted) throw toSourceError(error)
  } finally {
    await client.close()
  }
}

class StreamReading {
  readonly #options: ReadOptions
  readonly #client: SourceClient
  readonly #mappings: ActiveMappings
  #pipeline: ChangePipeline | undefined
  #stream: ReplicationStream | undefined
  /** Acknowledged; settled and to be acknowledged; where the server was when it last spoke while nothing was open. */
  #confirmed = 0n
  #settled = 0n
  #received = 0n
  #server = 0n
  #retained: number | null = null
  #isWarned = false
  #heardAt = 0
  #isConfirming = false
  #fail: (error: unknown) => void = () => {}

  constructor (options: ReadOptions, client: SourceClient) {
    this.#options = options
    this.#client = client
    this.#mappings = new ActiveMappings(options, options.scope)
  }

  async run (): Promise<void> {
    const { settings, lease, states, db, pool, log, tableCare, signal, onWaiting } = this.#options
    const session = await readSessionMark(pool, lease.connectionId)
    const state = await openStream({
      client: this.#client, settings, lease, states, db, log, signal, onWaiting, session, careForTables: isNew => tableCare.look(this.#client, this.#mappings, isNew)
    })
    settings.gapAccepted = false
    if (signal.aborted) return
    this.#confirmed = this.#settled = parseLsn(state.confirmedLsn)
    const ending = new AbortController()
    const failed = new Promise<never>((_resolve, reject) => { this.#fail = reject })
    failed.catch(() => {})
    const stopped = new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
    const pipeline = this.#pipeline = this.#createPipeline(state)
    const stream = this.#stream = new ReplicationStream({
      connectionString: settings.connectionString,
      mark: session,
      slot: settings.slot,
      publication: settings.publication,
      onMessage: (message, bytes) => this.#take(message, bytes),
      onKeepalive: (walEnd, isReplyWanted) => this.#keepalive(walEnd, isReplyWanted)
    })
    let timers: NodeJS.Timeout[] = []
    try {
      const over = stream.ended.then(reason => { throw reason ?? new Error('the stream has ended') })
      over.catch(() => {})
      await Promise.race([stream.start(), stopped])
      if (signal.aborted) return
      this.#heardAt = performance.now()
      this.#options.onStreaming()
      timers = [setInterval(() => this.#ping(), pingEveryMs), setInterval(() => { void this.#care().catch(this.#fail) }, careEveryMs)]
      await this.#care()
      const working = pipeline.run(ending.signal)
      working.catch(() => {})
      await Promise.race([working, over, failed, stopped])
    } finally {
      ending.abort()
      for (const timer of timers) clearInterval(timer)
      await stream.stop()
      await pipeline.drained()
    }
  }

  #createPipeline (state: Awaited<ReturnType<typeof openStream>>): ChangePipeline {
    const { scope, lease, writer, carefulUntil, metrics, log } = this.#options
    return new ChangePipeline({
      scope,
      lease,
      place: state.place,
      confirmedLsn: this.#confirmed,
      mappings: this.#mappings,
      relations: new Relations(this.#client),
      writer,
      carefulUntil,
      onPressure: isHigh => isHigh ? this.#stream?.pause() : this.#stream?.resume(),
      onSettled: (lsn, isStored) => this.#advance(lsn, isStored),
      onWritten: (rows, chunk) => {
        for (const row of rows) {
          if (row.status === 'delivered') continue
          metrics.cdcMappingFailures.inc({ code: row.code ?? row.status }, row.events)
          this.#options.onMappingFailed?.(scope, row)
          log.warn({ connectionId: lease.connectionId, mappingId: row.mappingId, topic: row.topic, table: row.table, changes: row.events, code: row.code, lsn: row.lsn }, 'cdc.mapping_failed')
        }
        log.debug({ connectionId: lease.connectionId, changes: chunk.changes, transactions: chunk.transactions }, 'cdc.written')
      },
      onTruncate: ({ relations }, { lsn }) => {
        log.info({ connectionId: lease.connectionId, tables: relations.map(tableText), lsn }, 'cdc.truncate_ignored')
      }
    })
  }

  #take (message: Pgoutput.Message, bytes: number): void {
    this.#heardAt = performance.now()
    if (message.tag === 'insert' || message.tag === 'update' || message.tag === 'delete') this.#options.metrics.cdcChanges.inc({ operation: message.tag })
    if (message.tag === 'commit' && message.commitEndLsn !== null) this.#received = parseLsn(message.commitEndLsn)
    this.#pipeline?.take(message, bytes)
  }

  /** The server's end counts as dealt with only when nothing that came before it is open. */
  #keepalive (walEnd: bigint, isReplyWanted: boolean): void {
    this.#heardAt = performance.now()
    if (walEnd > this.#server) this.#server = walEnd
    if (this.#pipeline?.isIdle === true && walEnd > this.#settled) this.#settled = walEnd
    if (isReplyWanted) this.#stream?.acknowledge(this.#confirmed, false)
    if (this.#settled > this.#confirmed) void this.#confirm()
  }

  #advance (lsn: bigint, isStored: boolean): void {
    if (lsn > this.#settled) this.#settled = lsn
    if (!isStored || lsn <= this.#confirmed) return
    this.#confirmed = lsn
    this.#stream?.acknowledge(lsn, false)
  }

  /** Stored before it is acknowledged: a slot beyond what is stored is one that somebody else has moved. */
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
    // While the stream is held up by us, the server's silence says nothing.
    if (performance.now() - this.#heardAt > silenceMaxMs && this.#pipeline?.isIdle === true) {
      return this.#fail(new SourceError('SOURCE_UNREACHABLE', '(the stream is silent)'))
    }
    this.#stream?.acknowledge(this.#confirmed, true)
    if (this.#settled > this.#confirmed) void this.#confirm()
    this.#report()
  }

  /** What a stream does not say of itself: a publication that was dropped, WAL that piles up, tables that are missing. */
  async #care (): Promise<void> {
    const { settings, lease, log, retainedBytesWarning, metrics, tableCare } = this.#options
    const { rows: [row] } = await this.#client.query<{ retained: number, wal_status: string, server: string, publication_oid: number | null }>(`
      select pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::float8 as retained, s.wal_status, pg_current_wal_lsn()::text as server,
        (select oid::bigint::float8 from pg_publication where pubname = $2) as publication_oid
      from pg_replication_slots s where s.slot_name = $1`, [settings.slot, settings.publication])
    if (row === undefined) throw new SourceError('SLOT_LOST')
    const state = await this.#options.states.read(lease)
    if (row.publication_oid !== state.publicationOid) throw new SourceError('PUBLICATION_LOST')
    if (parseLsn(row.server) > this.#server) this.#server = parseLsn(row.server)
    this.#retained = row.retained
    metrics.cdcRetainedBytes.set(lease.connectionId, row.retained)
    const isAlarming = row.retained > retainedBytesWarning || row.wal_status === 'unreserved' || row.wal_status === 'lost'
    if (isAlarming && !this.#isWarned) log.warn({ connectionId: lease.connectionId, retainedBytes: row.retained, walStatus: row.wal_status }, 'cdc.wal_retained')
    this.#isWarned = isAlarming
    await tableCare.look(this.#client, this.#mappings, false)
    this.#report()
  }

  #report (): void {
    const { metrics, lease, onStatistics } = this.#options
    const open = this.#pipeline?.oldestOpen
    const lagBytes = this.#server > this.#confirmed ? Number(this.#server - this.#confirmed) : 0
    metrics.cdcLagBytes.set(lease.connectionId, lagBytes)
    const text = (lsn: bigint) => lsn === 0n ? null : formatLsn(lsn)
    onStatistics({
      serverLsn: text(this.#server),
      receivedLsn: text(this.#received),
      storedLsn: this.#pipeline?.place.commitLsn ?? null,
      confirmedLsn: text(this.#confirmed),
      lagBytes,
      oldestCommitAt: open?.committedAt ?? null,
      retainedBytes: this.#retained
    })
  }
}
