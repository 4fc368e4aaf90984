import { guarded } from '../emitter.ts'
import type { Connection } from '../connection/connection.ts'
import { RealtimeError } from '../errors.ts'
import type { Observable } from '../observable.ts'
import type { PendingWrite, WrittenDocument } from './write.ts'

/** The writes of live documents that the server has not answered, oldest first. */
export interface PendingWrites {
  readonly count: number
  readonly writes: readonly PendingWrite[]
}

/** Either the server's answer, or why there is none. */
export interface WriteOutcome { answer?: WrittenDocument, error?: unknown }

/** The part of a client that an outbox uses. */
export interface OutboxHost {
  connection: Connection
  /** Sends until the server answers. */
  send (write: PendingWrite, signal: AbortSignal): Promise<WrittenDocument>
  /** Shows a write in its document. */
  added (write: PendingWrite): void
  /** Takes the outcome of a write into its document. Called before the next write of the document is sent. */
  settled (write: PendingWrite, outcome: WriteOutcome): void
  /** Reports an error that no caller waits for. */
  onError (error: RealtimeError): void
}

/** Sends the writes of documents: those of one document one after the other, in their order. */
export interface Outbox extends Observable<PendingWrites> {
  /** Shows a write and sends it. Settles with the outcome. */
  add (write: PendingWrite, signal?: AbortSignal): Promise<WrittenDocument>
}

interface Job {
  write: PendingWrite
  signal: AbortSignal
  settle: (outcome: WriteOutcome) => void
}

export const documentKey = ({ service, id }: { service: string, id: string }): string => `${service}/${id}`

/** The list of pending writes, as an observable. */
export class PendingList implements Observable<PendingWrites> {
  readonly #listeners = new Set<() => void>()
  #snapshot: PendingWrites = { count: 0, writes: [] }

  subscribe (listener: () => void): () => void {
    const entry = () => listener()
    this.#listeners.add(entry)
    return () => { this.#listeners.delete(entry) }
  }

  getSnapshot (): PendingWrites { return this.#snapshot }

  add (write: PendingWrite): void {
    this.#change([...this.#snapshot.writes, write])
  }

  /** Adds a write before the first one that is later. */
  insert (write: PendingWrite, isLater: (other: PendingWrite) => boolean): void {
    const { writes } = this.#snapshot
    const at = writes.findIndex(isLater)
    this.#change(at < 0 ? [...writes, write] : [...writes.slice(0, at), write, ...writes.slice(at)])
  }

  /** Returns whether the write was in the list. */
  remove ({ idempotencyKey }: PendingWrite): boolean {
    const { count, writes } = this.#snapshot
    const rest = writes.filter(write => write.idempotencyKey !== idempotencyKey)
    if (rest.length === count) return false
    this.#change(rest)
    return true
  }

  #change (writes: readonly PendingWrite[]): void {
    this.#snapshot = { count: writes.length, writes }
    for (const listener of [...this.#listeners]) guarded(listener)
  }
}

/** Keeps writes in memory. Those that are not answered when the client is disconnected are rejected. */
export class MemoryOutbox extends PendingList implements Outbox {
  readonly #host: OutboxHost
  readonly #lanes = new Map<string, Job[]>()
  #end = new AbortController()

  constructor (host: OutboxHost) {
    super()
    this.#host = host
    host.connection.on('change', ({ state, error }) => {
      if (state !== 'disconnected') return
      this.#end.abort(error ?? new RealtimeError('DISCONNECTED', 'The client was disconnected'))
      this.#end = new AbortController()
    })
  }

  override add (write: PendingWrite, signal?: AbortSignal): Promise<WrittenDocument> {
    return new Promise((resolve, reject) => {
      const end = this.#end.signal
      const both = AbortSignal.any(signal === undefined ? [end] : [signal, end])
      if (both.aborted) return reject(both.reason)
      super.add(write)
      this.#host.added(write)
      const key = documentKey(write)
      const lane = this.#lanes.get(key) ?? []
      const job: Job = {
        write, signal: both,
        settle: outcome => {
          if (!this.remove(write)) return
          both.removeEventListener('abort', giveUp)
          this.#host.settled(write, outcome)
          if (outcome.answer === undefined) reject(outcome.error)
          else resolve(outcome.answer)
        }
      }
      const giveUp = () => {
        // The first is being sent: `send` rejects.
        if (lane[0] === job) return
        lane.splice(lane.indexOf(job), 1)
        job.settle({ error: both.reason })
      }
      both.addEventListener('abort', giveUp)
      if (lane.push(job) > 1) return
      this.#lanes.set(key, lane)
      void this.#run(key, lane)
    })
  }

  async #run (key: string, lane: Job[]): Promise<void> {
    for (let job = lane[0]; job !== undefined; job = lane[0]) {
      let outcome: WriteOutcome
      try {
        outcome = { answer: await this.#host.send(job.write, job.signal) }
      } catch (error) {
        outcome = { error }
      }
      job.settle(outcome)
      lane.shift()
    }
    this.#lanes.delete(key)
  }
}
