import { ChangePipeline } from '../decoding/change-pipeline.ts'
import { DecodingError, toDecodingFailure } from '../decoding/decoding-error.ts'
import { parseLsn } from '../source/stream-state.ts'
import { toSnapshot, type MappingSnapshot } from '../decoding/mapping-snapshot.ts'
import type { StreamMessage } from '../decoding/pgoutput-parser.ts'
import { Relations } from '../decoding/relations.ts'
import { ReplicationStream } from '../decoding/replication-stream.ts'
import type { SourceClient } from '../source/source.ts'
import { tableText } from '../mappings/table-name.ts'
import type { Calls } from './calls.ts'
import { toFailure } from '../decoding/failure.ts'
import type { MainMethods, StreamProgress, StreamSettings } from './methods.ts'
import { TruncateReports } from './truncate-reports.ts'

/** The interval between reports, so that a flood of keepalives does not load the main thread. */
const reportEveryMs = 50

export interface ThreadStreamOptions {
  id: number
  client: SourceClient
  connectionString: string
  settings: StreamSettings
  main: Calls<MainMethods>
}

/** A replication stream within its thread, from the socket to drafts of events. */
export class ThreadStream {
  readonly #id: number
  readonly #main: Calls<MainMethods>
  readonly #stream: ReplicationStream
  readonly #pipeline: ChangePipeline
  readonly #truncates: TruncateReports
  readonly #ending = new AbortController()
  /** A failure of PostgreSQL to decode; reported once everything before it is stored. */
  #undecodable: DecodingError | undefined
  /** The table of the last message, if that was a description: a change of the table comes next. */
  #announced: string | undefined
  #snapshot: MappingSnapshot | undefined
  #server = 0n
  #received = 0n
  #settled: bigint
  /** The server is never sent an acknowledgement beyond this. */
  #stored: bigint
  #counts = { messages: 0, inserts: 0, updates: 0, deletes: 0 }
  #reporting: NodeJS.Timeout | undefined
  #isReported = true

  constructor ({ id, client, connectionString, settings, main }: ThreadStreamOptions) {
    const { mark, slot, publication, place, confirmedLsn, carefulUntil } = settings
    this.#id = id
    this.#main = main
    this.#settled = this.#stored = confirmedLsn
    this.#truncates = new TruncateReports(truncates => main.call('truncated', id, truncates))
    this.#pipeline = new ChangePipeline({
      place,
      confirmedLsn,
      carefulUntil,
      mappings: { current: () => this.#currentMappings() },
      relations: new Relations(client),
      write: (chunk, step) => main.call('write', id, chunk, step, this.#progress()),
      onPressure: isHigh => isHigh ? this.#stream.pause() : this.#stream.resume(),
      onSettled: (lsn, isStored) => this.#advance(lsn, isStored),
      onTruncate: (message, { lsn }) => this.#truncates.add(message, lsn)
    })
    this.#stream = new ReplicationStream({
      connectionString,
      mark,
      slot,
      publication,
      place,
      onMessage: (message, bytes) => this.#take(message, bytes),
      onKeepalive: (walEnd, isReplyWanted) => this.#keepalive(walEnd, isReplyWanted)
    })
  }

  async start (): Promise<void> {
    await this.#stream.start()
    if (this.#ending.signal.aborted) return
    void this.#stream.ended.then(reason => this.#ended(reason ?? new Error('Connection terminated')))
    this.#report()
  }

  run (): void {
    this.#pipeline.run(this.#ending.signal).then(() => {
      if (this.#undecodable !== undefined) this.#end(this.#undecodable)
    }, (error: unknown) => this.#end(error))
  }

  /** With `isPing`, the server responds with its position. */
  acknowledge (lsn: bigint, isPing: boolean): void {
    if (lsn > this.#stored) this.#stored = lsn
    this.#stream.acknowledge(this.#stored, isPing)
  }

  async stop (): Promise<void> {
    this.#ending.abort()
    clearTimeout(this.#reporting)
    this.#truncates.stop()
    await this.#stream.stop()
    await this.#pipeline.drained()
  }

  #ended (reason: unknown): void {
    const { transaction, changes = 0 } = this.#pipeline.unfinished ?? {}
    const failure = toDecodingFailure(reason, { transaction, changes, table: this.#announced })
    if (failure === undefined) return this.#end(reason)
    this.#undecodable = new DecodingError(failure)
    this.#pipeline.finish()
  }

  #end (reason: unknown): void {
    if (this.#ending.signal.aborted) return
    this.#ending.abort()
    this.#tell(this.#main.call('ended', this.#id, toFailure(reason)))
  }

  #take (message: StreamMessage, bytes: number): void {
    this.#counts.messages++
    const operation = message.tag === 'overlong' ? message.operation : message.tag
    if (operation === 'insert') this.#counts.inserts++
    else if (operation === 'update') this.#counts.updates++
    else if (operation === 'delete') this.#counts.deletes++
    else if (message.tag === 'commit' && message.commitEndLsn !== null) this.#received = parseLsn(message.commitEndLsn)
    this.#announced = message.tag === 'relation' ? tableText(message) : undefined
    this.#pipeline.take(message, bytes)
    this.#report()
  }

  /** Counts the server's end as processed only when nothing before it is pending. */
  #keepalive (walEnd: bigint, isReplyWanted: boolean): void {
    this.#counts.messages++
    if (walEnd > this.#server) this.#server = walEnd
    if (this.#pipeline.isIdle && walEnd > this.#settled) this.#settled = walEnd
    if (isReplyWanted) this.#stream.acknowledge(this.#stored, false)
    this.#report()
  }

  #advance (lsn: bigint, isStored: boolean): void {
    if (lsn > this.#settled) this.#settled = lsn
    if (isStored) this.acknowledge(lsn, false)
    this.#report()
  }

  async #currentMappings (): Promise<MappingSnapshot> {
    const changed = await this.#main.call('mappings', this.#id, this.#snapshot?.revision)
    if (changed !== undefined) this.#snapshot = toSnapshot(changed.revision, changed.definitions)
    return this.#snapshot as MappingSnapshot
  }

  /** Sends a report, unless one is in progress. */
  #report (): void {
    this.#isReported = false
    this.#reporting ??= setTimeout(() => {
      this.#isReported = true
      this.#main.call('progress', this.#id, this.#progress()).catch(() => {}).finally(() => {
        this.#reporting = undefined
        if (!this.#isReported && !this.#ending.signal.aborted) this.#report()
      })
    }, reportEveryMs)
  }

  #progress (): StreamProgress {
    const counts = this.#counts
    this.#counts = { messages: 0, inserts: 0, updates: 0, deletes: 0 }
    return {
      server: this.#server,
      received: this.#received,
      settled: this.#settled,
      stored: this.#stored,
      storedCommitLsn: this.#pipeline.place.commitLsn,
      oldestCommitAt: this.#pipeline.oldestOpen?.committedAt ?? null,
      isIdle: this.#pipeline.isIdle,
      ...counts
    }
  }

  /** Ignores a failed call: the main thread has ended this thread, or is about to. */
  #tell (call: Promise<unknown>): void {
    call.catch(() => {})
  }
}
