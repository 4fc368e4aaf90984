import type { ErrorBody } from './protocol/protocol.ts'

/** Codes of errors that arise in the client. All other codes are the server's (docs/ERRORS.md). */
export type ClientErrorCode =
  /** The connection ended before the answer. The request may have been carried out. */
  | 'CONNECTION_LOST'
  /** The client is disconnected, and will not connect by itself. */
  | 'DISCONNECTED'
  /** The server could not be reached over HTTP, or the answer broke off. */
  | 'NETWORK'
  /** The server did not answer in time. */
  | 'TIMEOUT'
  /** The function that returns tokens threw. `cause` is its error. */
  | 'TOKEN_UNAVAILABLE'
  /** An event handler threw. `cause` is its error. */
  | 'HANDLER_FAILED'
  /** A store of positions or of pending writes failed. `cause` is its error. */
  | 'STORE_FAILED'
  /** The queue of offline writes is full. */
  | 'QUEUE_FULL_LOCALLY'
  /** A write was sent, but not answered for so long that the server may have forgotten its idempotency key. */
  | 'WRITE_EXPIRED'
  /** A write of an offline queue was settled by a tab that ended before it passed on the outcome. */
  | 'OUTCOME_UNKNOWN'
  /** The answer is not of this platform, for example a page of a proxy. */
  | 'ANSWER_INVALID'
  /** There is no WebSocket in this environment, or it refuses the URL. */
  | 'WEBSOCKET_MISSING'

/** One problem of a request: where it is (a JSON Pointer), what it is, and fields that help to correct it. */
export interface ErrorDetail { path?: string, message?: string, [more: string]: unknown }

export interface ErrorInfo {
  /** The HTTP status, where the error came over REST. */
  status?: number
  details?: readonly ErrorDetail[]
  /** How long to wait before a retry, in milliseconds. Present if a retry can succeed. */
  retryAfterMs?: number
  /** The id of the request in the server's log. Present for refusals that the REST client has received. */
  requestId?: string
  cause?: unknown
}

/** Every error of the library. Compare `code`, which is stable; `message` is for people. */
export class RealtimeError extends Error {
  override name = 'RealtimeError'
  readonly code: string
  declare readonly status: number | undefined
  declare readonly details: readonly ErrorDetail[] | undefined
  declare readonly retryAfterMs: number | undefined
  declare readonly requestId: string | undefined

  constructor (code: string, message: string, { cause, ...info }: ErrorInfo = {}) {
    super(message, { cause })
    this.code = code
    Object.assign(this, info)
  }
}

/** A write was refused because the document, or another resource, has changed in the meantime (409 and 412). */
export class ConflictError extends RealtimeError {
  override name = 'ConflictError'
  /** The document's revision at the server. Undefined if the conflict is not about a document. */
  readonly revision: number | undefined

  constructor (code: string, message: string, info: ErrorInfo = {}) {
    super(code, message, info)
    const revision = info.details?.[0]?.['revision']
    this.revision = typeof revision === 'number' ? revision : undefined
  }
}

/** Returns the error that a refusal of the server stands for. */
export function refusal (
  { error, code, message, details, retryAfterMs }: ErrorBody, status?: number, requestId?: string | null
): RealtimeError {
  const Refusal = status === 409 || status === 412 || error === 'ConflictError' ? ConflictError : RealtimeError
  return new Refusal(code, message, {
    ...(status !== undefined && { status }),
    ...(details !== undefined && { details }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(typeof requestId === 'string' && { requestId })
  })
}

/** Returns whether a value is the server's body of a refusal. */
export const isErrorBody = (value: unknown): value is ErrorBody =>
  typeof value === 'object' && value !== null && 'code' in value && typeof value.code === 'string' &&
    'message' in value && typeof value.message === 'string'
