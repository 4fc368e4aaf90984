import { guarded } from '../emitter.ts'
import { ConflictError, RealtimeError } from '../errors.ts'
import type { OfflineQueue } from './documents.ts'
import { documentKey, PendingList, type Outbox, type OutboxHost, type WriteOutcome } from './outbox.ts'
import { databaseStorage, memoryStorage, type WriteStorage } from './write-storage.ts'
import type { PendingWrite, WrittenDocument } from './write.ts'

export interface OfflineQueueOptions {
  /**
   * Names the queue, which all tabs of an origin share. Use one for each user and application: the writes are sent with
   * the credential of the client that sends them.
   */
  name: string
  /** How many writes may wait. One more rejects with `QUEUE_FULL_LOCALLY`. Default: 1000. */
  max?: number
  /** Where writes wait. Default: IndexedDB, or memory where there is none, as in Node. */
  storage?: WriteStorage
  /**
   * Called for each write that the server has refused or that has expired, in the tab that sent it. Without it, a write
   * that no caller waits for, because it was made before a reload, is reported as an `error` of the client.
   */
  onRefused?: (write: PendingWrite, error: RealtimeError) => void
}

/**
 * Returns the `offline` option of a client. Writes of live documents are stored before they are sent, so that they
 * survive the loss of the network and reloads. One tab sends for all (Web Locks). The writes of a document are sent in
 * their order. A write that was sent but not answered for 23 hours rejects with `WRITE_EXPIRED`, because the server
 * forgets its idempotency key; a write that was never sent does not expire. Writes by `client.sync` are not queued.
 */
export function offlineQueue (options: OfflineQueueOptions): OfflineQueue {
  return host => new OfflineOutbox(host, options)
}

/** The form of an error between tabs. */
type SentError = Pick<RealtimeError, 'code' | 'message' | 'status' | 'details'> & { isConflict: boolean }
type TabMessage = { added: PendingWrite } |
  { settled: PendingWrite, answer: WrittenDocument | undefined, error: SentError | undefined }

interface Waiter { resolve: (answer: WrittenDocument) => void, reject: (error: unknown) => void }

class OfflineOutbox extends PendingList implements Outbox {
  readonly #host: OutboxHost
  readonly #options: OfflineQueueOptions
  readonly #storage: WriteStorage
  readonly #name: string
  readonly #tabs: BroadcastChannel | undefined
  readonly #waiters = new Map<string, Waiter>()
  /** Idempotency keys of writes that are stored, and so may be sent. */
  readonly #stored = new Set<string>()
  /** Idempotency keys of writes that were settled, which a list that was read before may still contain. */
  readonly #settled = new Set<string>()
  /** Documents one of whose writes is being sent. */
  readonly #busy = new Set<string>()
  /** Operations on the storage run one after the other, so that writes are stored in their order. */
  #tail: Promise<unknown> = Promise.resolve()
  /** While this tab sends, or waits to be the one that sends. */
  #turn: AbortController | undefined
  #isLeader = false

  constructor (host: OutboxHost, options: OfflineQueueOptions) {
    super()
    this.#host = host
    this.#options = options
    this.#name = `realtime-platform:${options.name}`
    const hasDatabase = typeof indexedDB !== 'undefined'
    this.#storage = options.storage ?? (hasDatabase ? databaseStorage(this.#name) : memoryStorage())
    if (options.storage !== undefined || hasDatabase) this.#tabs = this.#openTabs()
    this.#reconcile()
    if (host.connection.state !== 'disconnected') this.#lead()
    host.connection.on('change', ({ state }) => {
      if (state !== 'disconnected') return this.#lead()
      this.#turn?.abort()
      this.#turn = undefined
      this.#isLeader = false
    })
  }

  override add (write: PendingWrite, signal?: AbortSignal): Promise<WrittenDocument> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason)
      this.#waiters.set(write.idempotencyKey, { resolve, reject })
      super.add(write)
      this.#host.added(write)
      signal?.addEventListener('abort', () => {
        // A write that was sent stays pending until its outcome is known.
        if (write.sentAt === undefined) this.#finish(write, { error: signal.reason }, true)
        else reject(signal.reason)
      }, { once: true })
      this.#store(async () => {
        if (!await this.#storage.add(write, this.#options.max ?? 1000)) {
          throw new RealtimeError('QUEUE_FULL_LOCALLY', 'The queue of offline writes is full')
        }
        this.#tell({ added: write })
        this.#send(write)
      }, error => this.#finish(write, { error }))
    })
  }

  /** Runs an operation on the storage after the earlier ones. */
  #store (act: () => Promise<void>, fail = (error: RealtimeError) => this.#host.onError(error)): void {
    this.#tail = this.#tail.then(act).catch((cause: unknown) => fail(
      cause instanceof RealtimeError
        ? cause
        : new RealtimeError('STORE_FAILED', `The queue of offline writes failed: ${String(cause)}`, { cause })
    ))
  }

  /** Shows writes that are stored but not known here, and ends those that another tab has settled meanwhile. */
  #reconcile (): void {
    const known = this.getSnapshot().writes
    this.#store(async () => {
      const stored = await this.#storage.list()
      for (const write of stored) this.#restore(write)
      const keys = new Set(stored.map(({ idempotencyKey }) => idempotencyKey))
      for (const write of known.filter(({ idempotencyKey }) => !keys.has(idempotencyKey))) {
        const error = new RealtimeError('OUTCOME_UNKNOWN', 'The write was settled by a tab that has ended since')
        this.#finish(write, { error })
      }
    })
  }

  #restore (write: PendingWrite): void {
    if (this.#settled.has(write.idempotencyKey)) return
    const known = this.getSnapshot().writes.find(({ idempotencyKey }) => idempotencyKey === write.idempotencyKey)
    if (known === undefined) {
      const restored = { ...write, isRestored: true }
      // Writes that are not stored yet come after it.
      this.insert(restored, ({ idempotencyKey }) => !this.#stored.has(idempotencyKey))
      this.#host.added(restored)
    } else if (write.sentAt !== undefined) known.sentAt ??= write.sentAt
    this.#send(write)
  }

  #lead (): void {
    if (this.#turn !== undefined) return
    const { signal } = this.#turn = new AbortController()
    const lead = async () => {
      if (signal.aborted) return
      this.#isLeader = true
      this.#reconcile()
      await new Promise(resolve => signal.addEventListener('abort', resolve))
    }
    const { locks } = (globalThis.navigator as Navigator | undefined) ?? {}
    if (locks === undefined || this.#tabs === undefined) void lead()
    // Rejects when the signal is aborted.
    else locks.request(this.#name, { signal }, lead).catch(() => {})
  }

  /** Marks a write as stored. If this tab leads, sends the writes of the document until none is left. */
  #send (write: PendingWrite): void {
    this.#stored.add(write.idempotencyKey)
    const key = documentKey(write)
    const signal = this.#turn?.signal
    if (!this.#isLeader || signal === undefined || this.#busy.has(key)) return
    this.#busy.add(key)
    void (async () => {
      for (;;) {
        const next = this.getSnapshot().writes.find(write => documentKey(write) === key)
        if (next === undefined || !this.#stored.has(next.idempotencyKey) || signal.aborted) break
        await this.#sendOne(next, signal)
      }
      this.#busy.delete(key)
    })()
  }

  async #sendOne (write: PendingWrite, signal: AbortSignal): Promise<void> {
    if (write.sentAt === undefined) {
      write.sentAt = Date.now()
      // Before it is sent: after a crash, it is known when repeating it stops to be safe.
      this.#store(() => this.#storage.update(write))
      await this.#tail
      if (signal.aborted) return
    }
    try {
      this.#finish(write, { answer: await this.#host.send(write, AbortSignal.any([signal])) }, true)
    } catch (error) {
      if (signal.aborted) return
      if ((error as RealtimeError).status !== 401) return this.#finish(write, { error }, true)
      // The credential was refused, not the write. It is sent again with the next one.
      this.#host.onError(error as RealtimeError)
      await new Promise<void>(resolve => {
        const end = () => {
          for (const off of offs) off()
          resolve()
        }
        const { connection } = this.#host
        const offs = [connection.on('open', end), connection.on('refreshed', end)]
        signal.addEventListener('abort', end, { once: true })
      })
    }
  }

  /** Ends a write here, and with `isOwn` in the storage and the other tabs. */
  #finish (write: PendingWrite, outcome: WriteOutcome, isOwn = false): void {
    const { idempotencyKey } = write
    const { answer, error } = outcome
    this.#settled.add(idempotencyKey)
    if (!this.remove(write)) return
    this.#stored.delete(idempotencyKey)
    if (isOwn) {
      const message = { settled: write, answer, error: error instanceof RealtimeError ? toMessage(error) : undefined }
      // In this order, a tab that opens meanwhile either finds no write or receives its outcome.
      this.#store(() => this.#storage.remove(idempotencyKey).finally(() => this.#tell(message)))
    }
    this.#host.settled(write, outcome)
    const waiter = this.#waiters.get(idempotencyKey)
    this.#waiters.delete(idempotencyKey)
    if (answer !== undefined) return waiter?.resolve(answer)
    waiter?.reject(error)
    if (!isOwn || !(error instanceof RealtimeError)) return
    const { onRefused } = this.#options
    if (onRefused !== undefined) guarded(onRefused, write, error)
    else if (waiter === undefined) this.#host.onError(error)
  }

  #openTabs (): BroadcastChannel | undefined {
    if (typeof BroadcastChannel === 'undefined') return undefined
    const tabs: BroadcastChannel & { unref?: () => void } = new BroadcastChannel(this.#name)
    // A queue does not keep a process of Node running.
    tabs.unref?.()
    tabs.onmessage = ({ data }: { data: unknown }) => {
      const message = data as TabMessage
      // After the writes that are being read from the storage.
      if ('added' in message) return this.#store(async () => this.#restore(message.added))
      const { settled, answer, error } = message
      this.#finish(settled, answer === undefined ? { error: error && fromMessage(error) } : { answer })
    }
    return tabs
  }

  #tell (message: TabMessage): void {
    this.#tabs?.postMessage(message)
  }
}

const toMessage = (error: RealtimeError): SentError => {
  const { code, message, status, details } = error
  return { code, message, status, details, isConflict: error instanceof ConflictError }
}

function fromMessage ({ code, message, status, details, isConflict }: SentError): RealtimeError {
  return new (isConflict ? ConflictError : RealtimeError)(code, message, {
    ...(status !== undefined && { status }),
    ...(details !== undefined && { details })
  })
}
