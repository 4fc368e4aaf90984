import { backoffMs, sleep } from '../backoff.ts'
import type { Connection } from '../connection/connection.ts'
import { RealtimeError } from '../errors.ts'
import { isTemporary, type Rest } from '../rest/rest.ts'
import { applyMutations, isObject, mergePatch, type JsonObject, type Mutation } from './json.ts'

/** A document as the server stores it. Times are in epoch milliseconds. */
export interface SyncDocument<Data = JsonObject> {
  service: string
  id: string
  /** Rises by one with each write. The revisions of a document that is created again continue. */
  revision: number
  data: Data
  createdAt: number
  updatedAt: number
  /** When the server deletes the document. */
  expiresAt?: number
  /** Present in the answer to a deletion, and in lists with `includeDeleted`. */
  deleted?: true
}

/** The answer to a write. A credential that may not read documents gets no data. */
export type WrittenDocument<Data = JsonObject> = Omit<SyncDocument<Data>, 'data'> & { data?: Data }

/** A merge patch (RFC 7396): null removes a member, objects are merged, everything else is replaced. */
export type MergePatch<Data> = Data extends readonly unknown[] ? Data
  : Data extends object ? { [Key in keyof Data]?: MergePatch<Data[Key]> | null }
    : Data

export interface WriteOptions {
  /** Refuse the write with a ConflictError unless the document is at this revision. */
  expectedRevision?: number
  /** 1 to 255 printable ASCII characters. A write with the same key has no second effect for 24 h. Default: random. */
  idempotencyKey?: string
  /**
   * Gives up when aborted, for example `AbortSignal.timeout(10_000)`. Without it, the write is repeated until the
   * server answers. A write that was sent may be carried out nevertheless.
   */
  signal?: AbortSignal
}

export interface CreateOptions extends Omit<WriteOptions, 'expectedRevision'> {
  /** When the server deletes the document. Epoch milliseconds. */
  expiresAt?: number
}

/** A write that the server has not answered. */
export interface PendingWrite {
  readonly service: string
  readonly id: string
  readonly op: 'create' | 'replace' | 'merge' | 'mutate' | 'delete'
  readonly body: {
    readonly data?: object
    readonly mutations?: readonly Mutation[]
    readonly expectedRevision?: number
    readonly expiresAt?: number
  }
  readonly idempotencyKey: string
  /** When it was made. Epoch milliseconds. */
  readonly createdAt: number
  /** When it was first sent. Epoch milliseconds. */
  sentAt?: number
  /** Made before a reload, or in another tab. */
  readonly isRestored?: boolean
}

/** The server remembers idempotency keys for 24 h. After that, a repeated write could take effect twice. */
const repeatableMs = 23 * 3_600_000

const methods = { create: 'POST', replace: 'PUT', merge: 'PATCH', mutate: 'POST', delete: 'DELETE' }

export const documentsPath = (service: string): string => `/api/sync/${encodeURIComponent(service)}/documents`
export const documentPath = (service: string, id: string): string =>
  `${documentsPath(service)}/${encodeURIComponent(id)}`

/** Returns a write with a copy of its body, as JSON would carry it. */
export function createWrite (
  service: string, id: string, op: PendingWrite['op'], body: PendingWrite['body'],
  { expectedRevision, expiresAt, idempotencyKey = crypto.randomUUID() }: WriteOptions & CreateOptions = {}
): PendingWrite {
  return {
    service, id, op, idempotencyKey, createdAt: Date.now(),
    body: JSON.parse(JSON.stringify({ ...body, expectedRevision, expiresAt })) as PendingWrite['body']
  }
}

/** Returns the data after a write; undefined is no document. Throws if the server would refuse the write. */
export function applyWrite (data: JsonObject | undefined, { op, body }: PendingWrite): JsonObject | undefined {
  if ((op === 'create') !== (data === undefined)) throw new RangeError(op)
  if (op === 'delete') return undefined
  let after: unknown = body.data
  if (op === 'merge') after = mergePatch(data, after)
  if (op === 'mutate') after = applyMutations(data, body.mutations ?? [])
  if (!isObject(after)) throw new RangeError(op)
  return after
}

/**
 * Sends a write until the server has answered, with the same idempotency key each time. Rejects with the refusal, with
 * `WRITE_EXPIRED` if repeating it is no longer safe, or with the reason of the signal.
 */
export async function sendWrite (
  { rest, connection }: { rest: Rest, connection: Connection }, write: PendingWrite, signal?: AbortSignal
): Promise<WrittenDocument> {
  const { service, id, op, idempotencyKey, body } = write
  const { expectedRevision, ...fields } = body
  const isDelete = op === 'delete'
  const path = op === 'create'
    ? documentsPath(service)
    : documentPath(service, id) + (op === 'replace' || isDelete ? '' : `/${op}`)
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted()
    if (Date.now() - (write.sentAt ??= Date.now()) > repeatableMs) {
      throw new RealtimeError('WRITE_EXPIRED', `A ${op} of ${service}/${id} was not answered within 23 hours`)
    }
    try {
      const answer = await rest.send<WrittenDocument>(methods[op], path, {
        ...(!isDelete && { body: op === 'create' ? { id: id === '' ? undefined : id, ...fields } : body }),
        ...(isDelete && expectedRevision !== undefined && { headers: { 'if-match': `"${expectedRevision}"` } }),
        idempotencyKey, signal, retries: 0
      })
      return answer.body
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof RealtimeError) || !isTemporary(error)) throw error
      await pause(connection, attempt, error.retryAfterMs, signal)
    }
  }
}

/** Waits before the next attempt. When the connection is back, so is the server. */
async function pause (
  connection: Connection, attempt: number, retryAfterMs = 0, signal?: AbortSignal
): Promise<void> {
  const end = new AbortController()
  const abort = () => end.abort()
  const off = retryAfterMs > 0 ? undefined : connection.on('open', abort)
  signal?.addEventListener('abort', abort)
  await sleep(retryAfterMs + backoffMs(attempt, { baseMs: 300, maxMs: 10_000 }), end.signal).catch(() => {})
  off?.()
  signal?.removeEventListener('abort', abort)
}
