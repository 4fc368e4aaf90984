import type { Connection } from '../connection/connection.ts'
import { guarded } from '../emitter.ts'
import { RealtimeError } from '../errors.ts'
import type { Observable } from '../observable.ts'
import type { Messages } from '../protocol/protocol.ts'
import type { Rest } from '../rest/rest.ts'
import type { Subscriptions } from '../subscriptions/subscriptions.ts'
import { applyPatch, isObject, share, type JsonObject, type Mutation, type PatchOperation } from './json.ts'
import type { Outbox, WriteOutcome } from './outbox.ts'
import {
  applyWrite, createWrite, documentPath,
  type CreateOptions, type MergePatch, type PendingWrite, type SyncDocument, type WriteOptions, type WrittenDocument
} from './write.ts'

/**
 * - `loading`: not read yet.
 * - `live`: read, and every change arrives.
 * - `stale`: read, but changes do not arrive now: without a connection, without listeners, or because of `error`.
 * - `missing`: the document does not exist, as far as the client has learnt. It becomes live when it is created.
 * - `failed`: the server refuses to return it. `error` has the reason.
 */
export type DocumentStatus = 'loading' | 'live' | 'stale' | 'missing' | 'failed'

/** A document at one moment. The object and its parts stay identical until they change. Do not modify them. */
export interface DocumentSnapshot<Data> {
  /** The data with the pending writes of this client. Undefined if there is none, or if it is not known. */
  readonly data: Data | undefined
  /** The data as the server has confirmed it. */
  readonly confirmed: Data | undefined
  /** The revision of `confirmed`. 0 if the document has never existed, undefined until it is read. */
  readonly revision: number | undefined
  readonly status: DocumentStatus
  /** Why the document could not be read, or why changes do not arrive. */
  readonly error: RealtimeError | undefined
  /** How many writes the server has not answered. */
  readonly pending: number
}

interface State { revision: number, data: JsonObject | undefined }
interface Change { revision: number, diff: readonly PatchOperation[] }

/** From the first listener until the last one is gone. */
interface Session {
  isSubscribed: boolean
  /** The document was read after the subscription began, and nothing is missing since. */
  isRead: boolean
  error: RealtimeError | undefined
  reading: AbortController | undefined
  end: () => void
}

/** How long an early event waits for earlier ones. Creations, updates and deletions arrive in no common order. */
export interface LiveDocumentParts {
  connection: Connection
  subscriptions: Subscriptions
  rest: Rest
  outbox: Outbox
  lingerMs: number
  onError: (error: RealtimeError) => void
}

const holeMs = 1000
const heldMax = 500

/**
 * A document, shared by all who use it in a client. It is live while it has listeners. Its writes show at once, are
 * sent one after the other, and are repeated until the server answers; a refused write is rolled back.
 */
export class LiveDocument<Data extends object = JsonObject> implements Observable<DocumentSnapshot<Data>> {
  readonly service: string
  readonly id: string
  readonly #parts: LiveDocumentParts
  readonly #listeners = new Set<() => void>()
  #confirmed: State | undefined
  /** Events that wait for earlier revisions, or for the answers to own writes, whose effect they may contain. */
  readonly #held = new Map<number, Change>()
  #writes: PendingWrite[] = []
  #error: RealtimeError | undefined
  #session: Session | undefined
  #lingerTimer: ReturnType<typeof setTimeout> | undefined
  #holeTimer: ReturnType<typeof setTimeout> | undefined
  #snapshot: DocumentSnapshot<Data> = {
    data: undefined, confirmed: undefined, revision: undefined, status: 'loading', error: undefined, pending: 0
  }

  constructor (parts: LiveDocumentParts, service: string, id: string) {
    this.#parts = parts
    this.service = service
    this.id = id
    this.#writes = parts.outbox.getSnapshot().writes.filter(write => write.service === service && write.id === id)
    this.#publish()
  }

  get data (): Data | undefined { return this.#snapshot.data }
  get confirmed (): Data | undefined { return this.#snapshot.confirmed }
  get revision (): number | undefined { return this.#snapshot.revision }
  get status (): DocumentStatus { return this.#snapshot.status }
  get error (): RealtimeError | undefined { return this.#snapshot.error }

  getSnapshot (): DocumentSnapshot<Data> { return this.#snapshot }

  /** Calls the listener after each change, and keeps the document live. Returns a function that ends both. */
  subscribe (listener: () => void): () => void {
    const entry = () => listener()
    this.#listeners.add(entry)
    clearTimeout(this.#lingerTimer)
    this.#session ??= this.#start()
    return () => {
      if (!this.#listeners.delete(entry) || this.#listeners.size > 0) return
      this.#lingerTimer = setTimeout(() => this.#stop(), this.#parts.lingerMs)
    }
  }

  /**
   * Returns the data, with the pending writes: at once while the document is live, otherwise after a read. Undefined if
   * the document does not exist. Rejects with the server's refusal.
   */
  async get ({ signal }: { signal?: AbortSignal } = {}): Promise<Data | undefined> {
    if (!this.#isLive) {
      const before = this.#confirmed
      const state = await this.#read(signal)
      if (this.#writes.length === 0 || this.#confirmed === undefined) this.#take(state, before)
      this.#publish()
    }
    return this.data
  }

  /** Creates the document. */
  create (data: Data, options?: CreateOptions): Promise<WrittenDocument<Data>> {
    return this.#write('create', { data }, options)
  }

  /** Replaces the data. */
  replace (data: Data, options?: WriteOptions): Promise<WrittenDocument<Data>> {
    return this.#write('replace', { data }, options)
  }

  /** Merges into the data (RFC 7396): null removes a member. */
  merge (patch: MergePatch<Data>, options?: WriteOptions): Promise<WrittenDocument<Data>> {
    return this.#write('merge', { data: patch as object }, options)
  }

  /** Applies mutations in order, all or none: `[{ op: 'increment', path: '/count' }]`. */
  mutate (mutations: readonly Mutation[], options?: WriteOptions): Promise<WrittenDocument<Data>> {
    return this.#write('mutate', { mutations }, options)
  }

  delete (options?: WriteOptions): Promise<WrittenDocument<Data>> {
    return this.#write('delete', {}, options)
  }

  /** @internal The outbox has taken a write. */
  added (write: PendingWrite): void {
    const { writes } = this.#parts.outbox.getSnapshot()
    const later = new Set(writes.slice(writes.lastIndexOf(write) + 1))
    const at = this.#writes.findIndex(other => later.has(other))
    this.#writes.splice(at < 0 ? this.#writes.length : at, 0, write)
    this.#publish()
  }

  /** @internal A write was answered, refused or given up. */
  settled ({ idempotencyKey }: PendingWrite, { answer, error }: WriteOutcome): void {
    const write = this.#writes.find(write => write.idempotencyKey === idempotencyKey)
    if (write === undefined) return
    this.#writes = this.#writes.filter(other => other !== write)
    const session = this.#session
    if (answer === undefined) {
      // The write may have been carried out.
      const isRefused = error instanceof RealtimeError && error.status !== undefined && error.status < 500
      if (!isRefused && session !== undefined) session.isRead = false
    } else if (!this.#confirm(write, answer) && session !== undefined) session.isRead = false
    this.#settle()
    const isWanted = session?.isRead === false && (session.isSubscribed || this.#confirmed === undefined)
    if (isWanted && this.#writes.length === 0) this.#load(session)
    this.#publish()
  }

  get #isLive (): boolean { return this.#session?.isSubscribed === true && this.#session.isRead }

  async #write (
    op: PendingWrite['op'], body: PendingWrite['body'], options: WriteOptions & CreateOptions = {}
  ): Promise<WrittenDocument<Data>> {
    const write = createWrite(this.service, this.id, op, body, options)
    return await this.#parts.outbox.add(write, options.signal) as WrittenDocument<Data>
  }

  /** Takes the server's answer as the confirmed state. Returns whether the state is known. */
  #confirm (write: PendingWrite, { revision, data, deleted }: WrittenDocument): boolean {
    const before = this.#confirmed
    if (before !== undefined && revision <= before.revision) return false
    if (data !== undefined || deleted === true) {
      this.#confirmed = { revision, data: deleted === true ? undefined : share(before?.data, data) }
      return true
    }
    // The credential may not read. If nothing was written in between, the result is that of the same write here.
    if (revision - 1 !== before?.revision) return false
    try {
      this.#confirmed = { revision, data: applyWrite(before.data, write) }
      return true
    } catch {
      return false
    }
  }

  #start (): Session {
    const { connection, subscriptions } = this.#parts
    const session: Session = {
      isSubscribed: false, isRead: false, error: undefined, reading: undefined,
      end: () => {
        for (const off of offs) off()
        session.reading?.abort()
        subscription.unsubscribe()
      }
    }
    const retry = () => { if ((session.error ?? this.#error) !== undefined) this.#restart() }
    const offs = [
      connection.on('lost', () => {
        session.isSubscribed = false
        this.#publish()
      }),
      connection.on('open', retry),
      connection.on('refreshed', retry)
    ]
    const subscription = subscriptions.subscribe(
      { topic: `sync.${this.service}.*`, filter: { id: this.id }, returnMode: 'diff' }, {},
      {
        handler: event => this.#receive(event),
        onBegun: () => {
          session.isSubscribed = true
          if (!session.isRead) this.#load(session)
          this.#publish()
        },
        onGap: () => this.#load(session),
        onError: error => {
          session.isSubscribed = false
          session.error = error
          if (!session.isRead) this.#load(session)
          this.#publish()
        },
        store: undefined, stopOnError: false, bufferMax: Infinity
      }
    )
    // Otherwise the subscription begins first, so that no change is missed.
    if (!connection.isConnected) queueMicrotask(() => this.#load(session))
    return session
  }

  #stop (): void {
    clearTimeout(this.#holeTimer)
    this.#session?.end()
    this.#session = undefined
    this.#held.clear()
    this.#publish()
  }

  #restart (): void {
    this.#stop()
    this.#error = undefined
    this.#session = this.#start()
  }

  /** Reads the document, until it succeeds or is refused. Replaces a read under way. */
  #load (session: Session): void {
    session.reading?.abort()
    session.isRead = false
    // A read now would not show which writes it contains. `settled` loads when all are answered.
    if (this.#isHolding || session !== this.#session) return
    const { signal } = session.reading = new AbortController()
    void (async () => {
      // Calls in one turn share a read.
      await Promise.resolve()
      if (signal.aborted) return
      const isAfterBegin = session.isSubscribed
      const before = this.#confirmed
      const early = [...this.#held.keys()]
      try {
        const state = await this.#read(signal, Infinity)
        if (signal.aborted || this.#isHolding) return
        if (!this.#take(state, before)) return this.#load(session)
        // The state contains what had arrived before it was read.
        for (const revision of early) this.#held.delete(revision)
        session.isRead = isAfterBegin
        this.#error = undefined
      } catch (error) {
        if (signal.aborted) return
        this.#error = error as RealtimeError
      }
      this.#settle()
      this.#publish()
    })()
  }

  /** Returns the state at the server. */
  async #read (signal: AbortSignal | undefined, retries?: number): Promise<State> {
    try {
      const { body } = await this.#parts.rest.send<SyncDocument>('GET', documentPath(this.service, this.id), {
        signal, ...(retries !== undefined && { retries })
      })
      return { revision: body.revision, data: body.data }
    } catch (error) {
      if ((error as RealtimeError).code !== 'DOCUMENT_NOT_FOUND') throw error
      return { revision: -1, data: undefined }
    }
  }

  /**
   * Takes a state that was read when `before` was confirmed, unless a later one has come first. Returns false if that
   * cannot be decided, because the document did not exist and has no revision.
   */
  #take ({ revision, data }: State, before: State | undefined): boolean {
    const now = this.#confirmed
    if (now !== before && now !== undefined && revision < now.revision) return revision >= 0
    this.#confirmed = {
      revision: revision >= 0 ? revision : now?.revision ?? 0,
      data: share(now?.data, data)
    }
    this.#settle()
    return true
  }

  #receive ({ payload }: Messages['event']): void {
    const change = payload as Change
    this.#held.set(change.revision, change)
    if (this.#held.size > heldMax) {
      this.#held.clear()
      if (this.#session !== undefined) this.#load(this.#session)
    }
    this.#settle()
    this.#publish()
  }

  /** While a write is not answered, an event may be its own: shown beside the write, it would show twice. */
  get #isHolding (): boolean {
    return this.#writes.length > 0 &&
      (this.#confirmed !== undefined || this.#writes.some(({ isRestored }) => isRestored !== true))
  }

  /** Applies the events that are next in the order of revisions. */
  #settle (): void {
    clearTimeout(this.#holeTimer)
    let state = this.#confirmed
    if (state === undefined || this.#isHolding) return
    for (;;) {
      const { revision, data }: State = state
      for (const early of this.#held.keys()) if (early <= revision) this.#held.delete(early)
      // A creation, deletion or replacement of the whole needs no state before it.
      const next: Change | undefined = this.#held.get(revision + 1) ??
        [...this.#held.values()].find(({ diff }) => diff[0]?.path === '')
      if (next === undefined) break
      try {
        const after = applyPatch(data, next.diff)
        this.#confirmed = state = {
          revision: next.revision, data: isObject(after) ? share(data, after) : undefined
        }
      } catch {
        if (this.#session !== undefined) this.#load(this.#session)
        return
      }
    }
    if (this.#held.size === 0) return
    this.#holeTimer = setTimeout(() => { if (this.#session !== undefined) this.#load(this.#session) }, holeMs)
  }

  #status (error: RealtimeError | undefined): DocumentStatus {
    if (this.#confirmed === undefined) return error === undefined ? 'loading' : 'failed'
    if (this.#confirmed.data === undefined) return 'missing'
    return this.#isLive ? 'live' : 'stale'
  }

  #publish (): void {
    const { revision } = this.#confirmed ?? {}
    let data = this.#confirmed?.data
    let at = revision
    for (const write of this.#writes) {
      const { op, body: { expectedRevision, data: whole } } = write
      if (at === undefined && data === undefined) {
        // Without a state, only a whole document can be shown.
        if (op === 'create' || op === 'replace') data = whole as JsonObject
        continue
      }
      if (at !== undefined && expectedRevision !== undefined && expectedRevision !== at) continue
      // The server decides about a write that does not apply here.
      try { data = applyWrite(data, write) } catch { continue }
      if (at !== undefined) at++
    }
    const error = this.#error ?? this.#session?.error
    const before = this.#snapshot
    data = share(before.data, data)
    if (this.#confirmed !== undefined && this.#writes.length === 0) this.#confirmed.data = data
    const next: DocumentSnapshot<Data> = {
      data: data as Data | undefined,
      confirmed: this.#confirmed?.data as Data | undefined,
      revision,
      status: this.#status(error),
      error,
      pending: this.#writes.length
    }
    if (Object.entries(next).every(([key, value]) => before[key as keyof typeof next] === value)) return
    this.#snapshot = next
    for (const listener of [...this.#listeners]) guarded(listener)
  }
}
