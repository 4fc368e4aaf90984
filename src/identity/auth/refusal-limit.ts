import { LRUCache } from 'lru-cache'
import { RateLimitError, type PublicError, type UnauthorizedError } from '../../errors.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import { networkOf } from './network.ts'

const windowMs = 60_000

interface Window { count: number, endsAt: number }

export interface RefusalLimitOptions {
  /** Refused credentials a minute and address; 0 disables the limit. */
  max: number
  metrics: Pick<Metrics, 'credentialsLimited'>
  now?: () => number
}

/**
 * Counts refused credentials by address, and replaces the refusal beyond the limit. Valid credentials from the same
 * address still work, so that one broken client does not lock out an office.
 */
export class RefusalLimit {
  readonly #windows = new LRUCache<string, Window>({ max: 20_000 })
  readonly #options: RefusalLimitOptions
  readonly #now: () => number

  constructor (options: RefusalLimitOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /** Counts a refused credential. Returns the error to send: the refusal itself, or RateLimitError beyond the limit. */
  weigh (address: string, refusal: UnauthorizedError): PublicError {
    const { max, metrics } = this.#options
    if (max === 0) return refusal
    const network = networkOf(address)
    const now = this.#now()
    let window = this.#windows.get(network)
    if (window === undefined || window.endsAt <= now) {
      window = { count: 0, endsAt: now + windowMs }
      this.#windows.set(network, window)
    }
    if (++window.count <= max) return refusal
    metrics.credentialsLimited.inc()
    const retryAfterMs = window.endsAt - now
    const retryAfterS = Math.ceil(retryAfterMs / 1000)
    return new RateLimitError(
      'RATE_LIMITED',
      `More than ${max} credentials from this address were refused in a minute. Retry after ${retryAfterS} s`,
      { retryAfterS, retryAfterMs, cause: refusal }
    )
  }
}
