import type { Pgoutput } from 'pg-logical-replication'
import { UnstorableError } from './failure.ts'
import type { PositionStep, StreamPlace } from '../../events/intent.ts'
import { Chunk, type DraftedChunk } from './chunk.ts'
import { DecodedChange, type RowMessage, type Transaction } from './decoded-change.ts'
import { formatLsn, parseLsn } from '../source/stream-state.ts'
import type { MappingSnapshot } from './mapping-snapshot.ts'
import type { OverlongChange, StreamMessage } from './pgoutput-parser.ts'
import type { Relations } from './relations.ts'

/** The position after the last change of a transaction. */
export const wholeTransaction = Number.MAX_SAFE_INTEGER

/**
 * The number of row changes in one intent. It adapts so that a commit takes about `commitMs`, because other writers of
 * the scope wait that long.
 */
const chunkChanges = { first: 500, min: 100, max: 1000 }
const commitMs = { low: 15, high: 35 }
/** Bytes in the stream. */
const chunkBytesMax = 512 * 1024
/** Limits for queued changes. Above them the stream pauses until half of the queue is processed. */
const queueChangesMax = 4000
const queueBytesMax = 4 * 1024 * 1024
/** One chunk is computed while another commits. */
const inFlightMax = 2

type Item =
  | { kind: 'change', message: RowMessage | OverlongChange, transaction: Transaction, ordinal: number, bytes: number }
  | { kind: 'commit', transaction: Transaction, endLsn: bigint, bytes: number }

export type StreamStep = Pick<PositionStep, 'from' | 'to' | 'confirmedLsn'>

export interface PipelineOptions {
  /** The stored position. The stream starts before it, and changes up to it are skipped. */
  place: StreamPlace
  confirmedLsn: bigint
  mappings: { current (): Promise<MappingSnapshot> }
  relations: Relations
  /**
   * Resolves to true when the chunk is committed, false when PostgreSQL refuses it permanently. Rejects when the write
   * may be retried.
   */
  write (chunk: DraftedChunk, step: StreamStep): Promise<boolean>
  /** Up to this commit each change is written by itself, because PostgreSQL refused one of them. */
  carefulUntil: bigint
  onPressure (isHigh: boolean): void
  /** Called in order: everything up to `lsn` is processed, and committed if `isStored`. */
  onSettled (lsn: bigint, isStored: boolean): void
  onTruncate (message: Pgoutput.MessageTruncate, transaction: Transaction): void
}

/**
 * Turns messages of the stream into events of the log, in order and in bounded memory. Reads the mappings after the
 * changes that they apply to have arrived. Any failure ends it; the next reader starts at the stored position.
 */
export class ChangePipeline {
  readonly #options: PipelineOptions
  readonly #stored: { commitLsn: bigint, changeIndex: number }
  #place: StreamPlace
  #confirmedLsn: bigint
  #queue: Item[] = []
  #queueBytes = 0
  #isHigh = false
  #transaction: Transaction | undefined
  #ordinal = 0
  #isFinishing = false
  #inFlight = 0
  #chunkChangesMax = chunkChanges.first
  #settledAt = 0
  #settling: Promise<void> = Promise.resolve()
  /** Received and not settled, oldest first. */
  readonly #open: Transaction[] = []
  #wake = () => {}
  #failure: { error: unknown } | undefined

  constructor (options: PipelineOptions) {
    this.#options = options
    this.#stored = { commitLsn: parseLsn(options.place.commitLsn), changeIndex: options.place.changeIndex }
    this.#place = options.place
    this.#confirmedLsn = options.confirmedLsn
  }

  /** Whether everything received is processed and no transaction is partly received. */
  get isIdle (): boolean {
    return this.#transaction === undefined && this.#open.length === 0
  }

  get oldestOpen (): Transaction | undefined {
    return this.#open[0]
  }

  /** The transaction that is partly received, and how many of its changes were. */
  get unfinished (): { transaction: Transaction, changes: number } | undefined {
    return this.#transaction && { transaction: this.#transaction, changes: this.#ordinal }
  }

  /** The position of the chunk that was handed over last. */
  get place (): StreamPlace {
    return this.#place
  }

  /** Takes a message. Never waits. */
  take (message: StreamMessage, bytes: number): void {
    switch (message.tag) {
      case 'begin': {
        const commitLsn = parseLsn(message.commitLsn ?? '0/0')
        this.#transaction = {
          commitLsn, lsn: formatLsn(commitLsn), committedAt: Number((message.commitTime as bigint) / 1000n),
          xid: message.xid >>> 0
        }
        this.#ordinal = 0
        this.#open.push(this.#transaction)
        return
      }
      case 'insert': case 'update': case 'delete': case 'overlong': {
        const transaction = this.#current()
        const ordinal = this.#ordinal++
        if (!this.#isStored(transaction.commitLsn, ordinal)) {
          this.#push({ kind: 'change', message, transaction, ordinal, bytes })
        }
        return
      }
      case 'truncate':
        this.#ordinal++
        return this.#options.onTruncate(message, this.#current())
      case 'commit': {
        const transaction = this.#current()
        this.#transaction = undefined
        this.#push({ kind: 'commit', transaction, endLsn: parseLsn(message.commitEndLsn ?? '0/0'), bytes })
      }
    }
  }

  /** Lets `run` end once everything taken is stored. Call it after the last `take`. */
  finish (): void {
    this.#isFinishing = true
    this.#wake()
  }

  /** Processes what was taken, until something fails, `signal` aborts, or nothing is left after `finish`. */
  async run (signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#wake(), { once: true })
    while (await this.#until(() => this.#queue.length > 0 || this.#isFinishing, signal)) {
      if (this.#queue.length === 0) {
        if (await this.#until(() => this.#inFlight === 0, signal)) await this.#settling
        return
      }
      const items = this.#dequeue()
      const { mappings, relations } = this.#options
      const [snapshot] = await Promise.all([mappings.current(), relations.prepare(relationsOf(items))])
      const chunk = this.#toChunk(items, snapshot)
      const isCareful = items.some(item => item.transaction.commitLsn <= this.#options.carefulUntil)
      if (await this.#until(() => this.#inFlight < (isCareful ? 1 : inFlightMax), signal)) this.#hand(chunk, items)
    }
  }

  /**
   * Waits until the condition holds. Returns false if `signal` aborts first; throws if a write has failed. Awaits one
   * wake-up at a time: racing a promise that lives as long as the stream would leak memory in each round.
   */
  async #until (isReady: () => boolean, signal: AbortSignal): Promise<boolean> {
    for (;;) {
      if (signal.aborted) return false
      if (this.#failure !== undefined) throw this.#failure.error
      if (isReady()) return true
      await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }

  #fail (error: unknown): void {
    this.#failure ??= { error }
    this.#wake()
  }

  /** Resolves when no write is in progress. A failed write does not reject it. */
  async drained (): Promise<void> {
    await this.#settling.catch(() => {})
  }

  #current (): Transaction {
    if (this.#transaction === undefined) throw new Error('the stream has a change outside a transaction')
    return this.#transaction
  }

  #isStored (commitLsn: bigint, ordinal: number): boolean {
    return commitLsn < this.#stored.commitLsn ||
      (commitLsn === this.#stored.commitLsn && ordinal < this.#stored.changeIndex)
  }

  #push (item: Item): void {
    this.#queue.push(item)
    this.#queueBytes += item.bytes
    if (!this.#isHigh && (this.#queue.length >= queueChangesMax || this.#queueBytes >= queueBytesMax)) {
      this.#isHigh = true
      this.#options.onPressure(true)
    }
    this.#wake()
  }

  #dequeue (): Item[] {
    let count = 0
    let changes = 0
    let bytes = 0
    for (const item of this.#queue) {
      const isCareful = item.transaction.commitLsn <= this.#options.carefulUntil
      if (item.kind === 'change' && changes >= (isCareful ? 1 : this.#chunkChangesMax)) break
      if (count > 0 && bytes + item.bytes > chunkBytesMax) break
      if (item.kind === 'change') changes++
      bytes += item.bytes
      count++
    }
    const items = this.#queue.splice(0, count)
    this.#queueBytes -= bytes
    if (this.#isHigh && this.#queue.length < queueChangesMax / 2 && this.#queueBytes < queueBytesMax / 2) {
      this.#isHigh = false
      this.#options.onPressure(false)
    }
    return items
  }

  #toChunk (items: readonly Item[], { byTable }: MappingSnapshot): Chunk {
    const chunk = new Chunk()
    for (const item of items) {
      if (item.kind === 'commit') {
        chunk.endLsn = item.endLsn
        chunk.transactions++
        continue
      }
      chunk.changes++
      const relation = this.#options.relations.of(item.message.relation)
      const mappings = byTable.get(relation.key)
      if (mappings === undefined) continue
      if (item.message.tag === 'overlong') {
        for (const mapping of mappings) chunk.refuse(item.message, mapping, item.transaction)
        continue
      }
      const change = new DecodedChange(item.message, relation, item.transaction)
      for (const mapping of mappings) chunk.add(change, mapping, item.transaction)
    }
    return chunk
  }

  #hand (chunk: Chunk, items: readonly Item[]): void {
    const last = items.at(-1) as Item
    if (chunk.endLsn !== undefined) this.#confirmedLsn = chunk.endLsn
    if (chunk.isEmpty) {
      this.#settling = this.#settling.then(() => this.#settled(chunk, false))
      return
    }
    const from = this.#place
    this.#place = {
      commitLsn: last.transaction.lsn, changeIndex: last.kind === 'commit' ? wholeTransaction : last.ordinal + 1
    }
    this.#inFlight++
    const handedAt = performance.now()
    const written = this.#write(
      chunk, { from, to: this.#place, confirmedLsn: formatLsn(this.#confirmedLsn) }, last.transaction.commitLsn
    )
    written.catch(error => this.#fail(error))
    this.#settling = Promise.all([this.#settling, written]).then(() => {
      this.#inFlight--
      this.#pace(chunk, performance.now() - Math.max(handedAt, this.#settledAt))
      this.#settled(chunk, true)
      this.#wake()
    })
    this.#settling.catch(() => {})
  }

  async #write (chunk: Chunk, step: StreamStep, commitLsn: bigint): Promise<void> {
    const { write, carefulUntil } = this.#options
    if (await write(chunk.drafted(), step)) return
    if (chunk.changes > 1 || commitLsn > carefulUntil) throw new UnstorableError(commitLsn)
    chunk.giveUp('PostgreSQL refuses to store the event')
    if (!await write(chunk.drafted(), step)) throw new UnstorableError(commitLsn)
  }

  /** Makes chunks smaller when commits are slow and larger when they are fast. */
  #pace (chunk: Chunk, elapsedMs: number): void {
    this.#settledAt = performance.now()
    const max = this.#chunkChangesMax
    if (elapsedMs > commitMs.high) this.#chunkChangesMax = Math.max(chunkChanges.min, Math.floor(max * 0.7))
    else if (elapsedMs < commitMs.low && chunk.changes >= max / 2) {
      this.#chunkChangesMax = Math.min(chunkChanges.max, Math.ceil(max * 1.25))
    }
  }

  #settled (chunk: Chunk, isStored: boolean): void {
    this.#open.splice(0, chunk.transactions)
    if (chunk.endLsn !== undefined) this.#options.onSettled(chunk.endLsn, isStored)
  }
}

function * relationsOf (items: readonly Item[]): Iterable<Pgoutput.MessageRelation> {
  for (const item of items) if (item.kind === 'change') yield item.message.relation
}
