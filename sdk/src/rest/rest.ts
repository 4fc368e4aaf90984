import { abortable, backoffMs, sleep } from '../backoff.ts'
import { isExpiry, type TokenSource } from '../connection/token.ts'
import { pathOf } from '../connection/link.ts'
import { isErrorBody, RealtimeError, refusal } from '../errors.ts'

export type Fetch = (url: string, init: RequestInit) => Promise<Response>

export interface RestOptions {
  url: URL
  tokens: TokenSource
  applicationId?: string | undefined
  environment?: string | undefined
  fetch?: Fetch | undefined
}

export interface RestRequest {
  /** Undefined values are left out. */
  query?: Record<string, string | number | boolean | undefined>
  body?: unknown
  /** Makes a write repeatable: the server carries it out once (docs/openapi: `Idempotency-Key`). */
  idempotencyKey?: string | undefined
  headers?: Record<string, string>
  signal?: AbortSignal | undefined
  /** How often a failed request is tried again. Infinity until the signal is aborted. Default: 4. */
  retries?: number
}

export interface RestAnswer<T> { body: T, headers: Headers, status: number }

const attemptTimeoutMs = 30_000
/** A longer wait is left to the caller. */
const waitMaxMs = 60_000
const backoff = { baseMs: 300, maxMs: 10_000 }

/** Sends REST requests with the client's credential, and repeats those that may succeed and that are safe to repeat. */
export class Rest {
  readonly #options: RestOptions

  constructor (options: RestOptions) { this.#options = options }

  /**
   * Sends a request, and resolves with the answer of a 2xx or 304. Rejects with the server's error, with `NETWORK`,
   * `TIMEOUT` after 30 s, or the reason of the signal. GET, and writes with an idempotency key, are repeated after
   * network errors, 429, 502, 503 and 504, with back-off, not before the time in `Retry-After`. Other writes are
   * repeated only if the server has not carried them out: it has refused the credential. A fresh one is fetched once,
   * and more with back-off if each has expired when it arrives: without a limit for writes with an idempotency key.
   */
  async send<T> (method: string, path: string, request: RestRequest = {}): Promise<RestAnswer<T>> {
    const { idempotencyKey, signal, retries = 4 } = request
    const isRepeatable = method === 'GET' || idempotencyKey !== undefined
    const { tokens } = this.#options
    let refused: string | undefined
    for (let attempt = 0; ; attempt++) {
      let token
      try {
        token = await abortable<string>(signal, (resolve, reject) => { tokens.get().then(resolve, reject) })
        return await this.#attempt<T>(method, path, token, request)
      } catch (error) {
        signal?.throwIfAborted()
        if (!(error instanceof RealtimeError)) throw error
        const { code, status, retryAfterMs = 0 } = error
        const isLate = isExpiry(error) && (attempt < retries || idempotencyKey !== undefined)
        if (status === 401 && tokens.isRefreshable && token !== refused && (refused === undefined || isLate)) {
          if (refused !== undefined) await sleep(backoffMs(attempt, backoff), signal)
          refused = token
          continue
        }
        const mayRepeat = isRepeatable ? isTemporary(error) : code === 'TOKEN_UNAVAILABLE'
        if (!mayRepeat || attempt >= retries || (retryAfterMs > waitMaxMs && retries < Infinity)) throw error
        await sleep(retryAfterMs + backoffMs(attempt, backoff), signal)
      }
    }
  }

  async #attempt<T> (method: string, path: string, token: string, request: RestRequest): Promise<RestAnswer<T>> {
    const { url, tokens, applicationId, environment, fetch: send = (url, init) => fetch(url, init) } = this.#options
    const { body, query = {}, idempotencyKey, headers, signal } = request
    const target = new URL(pathOf(url, path), url)
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) target.searchParams.set(name, String(value))
    }
    const timeout = AbortSignal.timeout(attemptTimeoutMs)
    let response, text
    try {
      response = await send(target.href, {
        method,
        headers: {
          authorization: token.startsWith('sess_') ? token : `Bearer ${token}`,
          ...(applicationId !== undefined && { 'x-application-id': applicationId }),
          ...(environment !== undefined && { 'x-environment': environment }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
          ...headers
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout])
      })
      text = await response.text()
    } catch (cause) {
      throw timeout.aborted
        ? new RealtimeError('TIMEOUT', `${method} ${target.pathname} got no answer within 30 s`, { cause })
        : new RealtimeError('NETWORK', `${method} ${target.pathname} failed: ${url.host} cannot be reached`, { cause })
    }
    const { status, headers: answered } = response
    const parsed = parse(text)
    const retryAfterMs = retryAfterOf(answered)
    const wait = retryAfterMs === undefined ? {} : { retryAfterMs }
    if (response.ok || status === 304) {
      if (text === '' || parsed !== undefined) return { body: parsed as T, headers: answered, status }
    } else {
      if (status === 401) tokens.forget(token)
      if (isErrorBody(parsed)) throw refusal({ ...wait, ...parsed }, status)
    }
    throw new RealtimeError(
      'ANSWER_INVALID', `${method} ${target.pathname} got an answer (${status}) that is not the platform's`,
      { status, ...wait }
    )
  }
}

/** Returns whether the same request may succeed later. */
export const isTemporary = ({ code, status = 0, retryAfterMs }: RealtimeError) =>
  ['NETWORK', 'TIMEOUT', 'TOKEN_UNAVAILABLE'].includes(code) || retryAfterMs !== undefined ||
    [429, 502, 503, 504].includes(status)

/** Returns the wait in `Retry-After`, in seconds or as a date (RFC 9110 §10.2.3). */
function retryAfterOf (headers: Headers): number | undefined {
  const value = headers.get('retry-after')
  if (value === null) return undefined
  const ms = /^\d+$/.test(value)
    ? Number(value) * 1000
    // By the server's clock, where CORS shows it.
    : Date.parse(value) - (Date.parse(headers.get('date') ?? '') || Date.now())
  return ms >= 0 ? ms : undefined
}

function parse (text: string): unknown {
  try { return JSON.parse(text) } catch { return undefined }
}
