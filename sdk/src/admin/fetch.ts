import { backoffMs, sleep } from '../backoff.ts'
import type { TokenSource } from '../connection/token.ts'
import { RealtimeError } from '../errors.ts'
import { isErrorBody, retryAfterMs } from './response.ts'

export interface FetchParts {
  tokens: TokenSource
  send: (request: Request) => Promise<Response>
  /** Whether the request has no second effect. */
  isRepeatable: (request: Request) => boolean
  retries: number
  retryAfterMaxMs: number
}

/** Statuses of a server or a proxy after which a repeated request may succeed. */
const temporary = new Set([502, 503, 504])

/** Returns a `fetch` that sends the credential, and repeats requests as `createAdminClient` describes. */
export function createFetch ({ tokens, send, isRepeatable, retries, retryAfterMaxMs }: FetchParts) {
  /** Sends a copy, because a body can be read only once. */
  async function attempt (request: Request, token: string): Promise<Response | RealtimeError> {
    const copy = request.clone()
    if (!copy.headers.has('authorization')) copy.headers.set('authorization', `Bearer ${token}`)
    try {
      return await send(copy)
    } catch (cause) {
      request.signal.throwIfAborted()
      const { method, url } = request
      return new RealtimeError('NETWORK', `${method} ${new URL(url).pathname} failed: the server cannot be reached`, {
        cause
      })
    }
  }

  /** Returns how long to wait before a repetition, or undefined if the outcome stands. */
  function waitAfter (outcome: Response | RealtimeError, request: Request): number | undefined {
    const wait = outcome instanceof Response ? retryAfterMs(outcome.headers) : undefined
    if (wait !== undefined && wait > retryAfterMaxMs) return undefined
    // Without Retry-After, it is a limit that does not pass with time, such as the number of webhooks.
    if (outcome.status === 429) return wait
    const mayPass = outcome.status === undefined || temporary.has(outcome.status)
    return mayPass && isRepeatable(request) ? wait ?? 0 : undefined
  }

  return async function fetch (request: Request): Promise<Response> {
    let hasRefreshed = false
    for (let attempts = 0; ; attempts++) {
      const token = await tokens.get()
      const outcome = await attempt(request, token)
      if (!hasRefreshed && tokens.isRefreshable && await isCredentialRefused(outcome)) {
        hasRefreshed = true
        tokens.forget(token)
        continue
      }
      const wait = attempts < retries ? waitAfter(outcome, request) : undefined
      if (wait !== undefined) {
        await sleep(wait + backoffMs(attempts, { baseMs: 300, maxMs: 10_000 }), request.signal)
      } else if (outcome instanceof Response) return outcome
      else throw outcome
    }
  }
}

/** A login with a wrong password is a 401 as well. */
async function isCredentialRefused (outcome: Response | RealtimeError): Promise<boolean> {
  if (!(outcome instanceof Response) || outcome.status !== 401) return false
  const body: unknown = await outcome.clone().json().catch(() => undefined)
  return isErrorBody(body) && body.code.startsWith('CREDENTIAL_')
}
