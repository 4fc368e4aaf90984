import type { JsonObject } from './json.ts'
import { LiveDocument, type LiveDocumentParts } from './live-document.ts'
import { documentKey, MemoryOutbox, type Outbox, type OutboxHost } from './outbox.ts'
import { SyncClient } from './sync-client.ts'
import { sendWrite } from './write.ts'

/** Makes the outbox of a client: `offlineQueue()`. */
export type OfflineQueue = (host: OutboxHost) => Outbox

export interface DocumentParts extends Omit<LiveDocumentParts, 'outbox'> {
  offline?: OfflineQueue | undefined
}

/** The live documents of a client: one for each service and id, shared by all who use it. */
export class Documents {
  readonly sync: SyncClient
  readonly outbox: Outbox
  readonly #parts: DocumentParts
  /** A document is kept alive by those who use it, by its subscription and by its writes. */
  readonly #documents = new Map<string, WeakRef<LiveDocument<object>>>()
  readonly #collected = new FinalizationRegistry<string>(key => {
    if (this.#find(key) === undefined) this.#documents.delete(key)
  })

  constructor (parts: DocumentParts) {
    this.#parts = parts
    this.sync = new SyncClient(parts)
    const host: OutboxHost = {
      connection: parts.connection,
      onError: parts.onError,
      send: (write, signal) => sendWrite(parts, write, signal),
      added: write => this.#find(documentKey(write))?.added(write),
      settled: (write, outcome) => this.#find(documentKey(write))?.settled(write, outcome)
    }
    this.outbox = parts.offline?.(host) ?? new MemoryOutbox(host)
  }

  document<Data extends object = JsonObject> (service: string, id: string): LiveDocument<Data> {
    // Without an id, creating it would make another document.
    if (typeof id !== 'string' || id === '') throw new TypeError('A live document needs an id')
    const key = documentKey({ service, id })
    const found = this.#find(key)
    if (found !== undefined) return found as LiveDocument<Data>
    const document = new LiveDocument<Data>({ ...this.#parts, outbox: this.outbox }, service, id)
    this.#documents.set(key, new WeakRef(document))
    this.#collected.register(document, key)
    return document
  }

  #find (key: string): LiveDocument<object> | undefined {
    return this.#documents.get(key)?.deref()
  }
}
