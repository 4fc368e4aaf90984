import type { Connection } from '../connection/connection.ts'
import type { Rest } from '../rest/rest.ts'
import type { JsonObject, Mutation } from './json.ts'
import {
  createWrite, documentPath, documentsPath, sendWrite,
  type CreateOptions, type MergePatch, type PendingWrite, type SyncDocument, type WriteOptions, type WrittenDocument
} from './write.ts'

export interface ListDocumentsOptions {
  /** Default: `asc`. */
  order?: 'asc' | 'desc'
  sort?: 'id' | 'createdAt'
  /** Only documents written after this time. Epoch milliseconds. */
  updatedAfter?: number
  /** Also yields deleted documents, with `deleted: true`. */
  includeDeleted?: boolean
  /** Only ids that contain this text. */
  search?: string
  /** Documents per request. */
  pageSize?: number
  signal?: AbortSignal
}

/**
 * Reads and writes documents over REST, without a live view. Writes are repeated until the server answers, with one
 * idempotency key each; pass a `signal` to give up. Refusals reject with the server's code. A write with
 * `expectedRevision` that comes too late rejects with a ConflictError.
 */
export class SyncClient {
  readonly #parts: { rest: Rest, connection: Connection }

  constructor (parts: { rest: Rest, connection: Connection }) { this.#parts = parts }

  /** Creates a document. Without an id, the server chooses one. Rejects with `DOCUMENT_EXISTS`. */
  async create<Data extends object = JsonObject> (
    service: string, data: Data, id = '', options?: CreateOptions
  ): Promise<SyncDocument<Data>> {
    return await this.#write(service, id, 'create', { data }, options) as SyncDocument<Data>
  }

  /** Returns a document. Rejects with `DOCUMENT_NOT_FOUND`. */
  async get<Data extends object = JsonObject> (
    service: string, id: string, { signal }: { signal?: AbortSignal } = {}
  ): Promise<SyncDocument<Data>> {
    return (await this.#parts.rest.send<SyncDocument<Data>>('GET', documentPath(service, id), { signal })).body
  }

  /** Replaces the data of a document. */
  replace<Data extends object = JsonObject> (
    service: string, id: string, data: Data, options?: WriteOptions
  ): Promise<WrittenDocument<Data>> {
    return this.#write<Data>(service, id, 'replace', { data }, options)
  }

  /** Merges into a document (RFC 7396): null removes a member. */
  merge<Data extends object = JsonObject> (
    service: string, id: string, patch: MergePatch<Data>, options?: WriteOptions
  ): Promise<WrittenDocument<Data>> {
    return this.#write<Data>(service, id, 'merge', { data: patch as object }, options)
  }

  /** Applies mutations in order, all or none: `[{ op: 'increment', path: '/count' }]`. */
  mutate<Data extends object = JsonObject> (
    service: string, id: string, mutations: readonly Mutation[], options?: WriteOptions
  ): Promise<WrittenDocument<Data>> {
    return this.#write<Data>(service, id, 'mutate', { mutations }, options)
  }

  /** Deletes a document and returns its last data. */
  delete<Data extends object = JsonObject> (
    service: string, id: string, options?: WriteOptions
  ): Promise<WrittenDocument<Data>> {
    return this.#write<Data>(service, id, 'delete', {}, options)
  }

  /** Iterates over the documents of a service, page by page. */
  async * list<Data extends object = JsonObject> (
    service: string, { pageSize, signal, ...query }: ListDocumentsOptions = {}
  ): AsyncGenerator<SyncDocument<Data>, void, undefined> {
    let cursor: string | undefined
    do {
      const { body, headers } = await this.#parts.rest.send<SyncDocument<Data>[]>('GET', documentsPath(service), {
        query: { ...query, limit: pageSize, cursor }, signal
      })
      yield * body
      cursor = headers.get('x-next-cursor') ?? undefined
    } while (cursor !== undefined)
  }

  async #write<Data> (
    service: string, id: string, op: PendingWrite['op'], body: PendingWrite['body'], options: WriteOptions = {}
  ): Promise<WrittenDocument<Data>> {
    const write = createWrite(service, id, op, body, options)
    return await sendWrite(this.#parts, write, options.signal) as WrittenDocument<Data>
  }
}
