import { RealtimeError } from '../errors.ts'

/** Fetches a fresh credential. `signal` is aborted after 15 s, when the library no longer waits for it. */
export type TokenFunction = (options: { signal: AbortSignal }) => string | Promise<string>
/** A credential, or a function that fetches a fresh one. */
export type TokenInput = string | TokenFunction

/** The claims of a token that the library reads. API keys and session tokens have none. */
export interface TokenClaims {
  /** When the token expires, in seconds since 1970 (RFC 7519 §4.1.4). */
  exp?: number
  /** When it was issued, in seconds since 1970 (RFC 7519 §4.1.6). */
  iat?: number
  sub?: string
  [claim: string]: unknown
}

/** Returns the claims of a JWT, unverified, or null if the text is not a JWT. */
export function decodeToken (token: string): TokenClaims | null {
  try {
    const body = token.split('.')[1] ?? ''
    const bytes = Uint8Array.from(atob(body.replace(/-/g, '+').replace(/_/g, '/')), char => char.charCodeAt(0))
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof claims === 'object' && claims !== null && !Array.isArray(claims) ? claims as TokenClaims : null
  } catch {
    return null
  }
}

/** Returns the milliseconds until the token expires: 0 if it has expired, Infinity if it does not expire. */
export function getTokenExpiresIn (token: string): number {
  const exp = decodeToken(token)?.exp
  return typeof exp === 'number' ? Math.max(0, exp * 1000 - Date.now()) : Infinity
}

/** Returns whether the token has expired, by the local clock. */
export function isTokenExpired (token: string): boolean {
  return getTokenExpiresIn(token) === 0
}

/** Returns whether the token expires within the time, in milliseconds. */
export function shouldRefreshToken (token: string, withinMs = 60_000): boolean {
  return getTokenExpiresIn(token) <= withinMs
}

/** Returns whether the server has refused a token because it has expired. All refusals of tokens share one code. */
export const isExpiry = ({ message }: RealtimeError): boolean => message.includes('has expired')

const fetchTimeoutMs = 15_000
const minuteMs = 60_000
/** The shortest wait before a function is called again that has failed, or has returned the same token. */
const repeatMs = 5000

/** The client's credential. All parts of a client share one, so that a fresh token is fetched once. */
export class TokenSource {
  #input: TokenInput
  #token: string | undefined
  /** When to fetch a fresh token, and when the token expires. Both in epoch milliseconds of the local clock. */
  #staleAt = Infinity
  #expiresAt = Infinity
  #fetching: Promise<string> | undefined

  constructor (input: TokenInput) { this.#input = input }

  /** Whether a fresh token can be fetched. */
  get isRefreshable (): boolean { return typeof this.#input === 'function' }

  /** Milliseconds until it is time to fetch a fresh token. Infinity if the token lasts, or cannot be refreshed. */
  get staleInMs (): number {
    return this.isRefreshable ? Math.max(0, this.#staleAt - Date.now()) : Infinity
  }

  /** Replaces the credential, or the function that fetches it. Returns a function that restores the one before. */
  set (input: TokenInput): () => void {
    const [before, token, staleAt, expiresAt] = [this.#input, this.#token, this.#staleAt, this.#expiresAt]
    this.#input = input
    this.#token = this.#fetching = undefined
    return () => {
      if (this.#input !== input) return
      this.#input = before
      this.#token = token
      this.#staleAt = staleAt
      this.#expiresAt = expiresAt
    }
  }

  /** Returns the token. Fetches one if there is none, or if it expires soon. */
  async get (): Promise<string> {
    if (typeof this.#input === 'string') return this.#input
    const token = this.#token
    if (token !== undefined && this.staleInMs > 0) return token
    try {
      return await this.refresh()
    } catch (error) {
      if (token === undefined || token !== this.#token || this.#expiresAt < Date.now()) throw error
      this.#staleAt = Date.now() + repeatMs
      return token
    }
  }

  /**
   * Fetches a fresh token. Concurrent calls share one fetch. Throws `TOKEN_UNAVAILABLE` if the function throws, or does
   * not return in time.
   */
  refresh (): Promise<string> {
    const input = this.#input
    if (typeof input === 'string') return Promise.resolve(input)
    const fetching = this.#fetching ??= fetchToken(input).then(token => {
      // The credential was replaced meanwhile.
      if (this.#input !== input) return this.get()
      this.#take(token)
      return token
    }).finally(() => { if (this.#fetching === fetching) this.#fetching = undefined })
    return fetching
  }

  /** Takes the expiry of a credential that is no JWT from the server. */
  learn (token: string, expiresAt: number | null): void {
    if (token !== this.#token || this.#expiresAt !== Infinity || expiresAt === null) return
    // The local clock may be wrong. If this is too late, the server closes the connection, which fetches another.
    this.#staleAt = Math.max(expiresAt - minuteMs, Date.now() + minuteMs)
  }

  /** Forgets a token that the server has refused. */
  forget (token: string): void {
    if (this.#token === token) this.#token = undefined
  }

  #take (token: string): void {
    const now = Date.now()
    const isSame = token === this.#token
    if (!isSame) this.#expiresAt = now + lifeOf(token, this.#token === undefined)
    this.#token = token
    const left = this.#expiresAt - now
    this.#staleAt = now + Math.max(left - Math.min(minuteMs, left / 5), isSame ? repeatMs : 0)
  }
}

/**
 * Returns how long a token that was just fetched lasts, in milliseconds. The local clock may be wrong. If by it the
 * token is not yet valid or has expired, or a second token is not fresh either, the token counts as fresh.
 */
function lifeOf (token: string, isFirst: boolean): number {
  const { exp, iat } = decodeToken(token) ?? {}
  if (typeof exp !== 'number') return Infinity
  if (typeof iat !== 'number') return Math.max(minuteMs, exp * 1000 - Date.now())
  const life = (exp - iat) * 1000
  const age = Date.now() - iat * 1000
  return age >= -2000 && age < (isFirst ? life : life / 2) ? life - age : life
}

async function fetchToken (fetch: TokenFunction): Promise<string> {
  const controller = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  try {
    const token: unknown = await new Promise((resolve, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`the function did not return within ${fetchTimeoutMs / 1000} s`))
        controller.abort()
      }, fetchTimeoutMs)
      Promise.resolve(controller).then(fetch).then(resolve, reject)
    })
    if (typeof token !== 'string' || token === '') throw new TypeError('the function did not return a string')
    return token
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new RealtimeError('TOKEN_UNAVAILABLE', `No token: ${reason}`, { cause })
  } finally {
    clearTimeout(timer)
  }
}
