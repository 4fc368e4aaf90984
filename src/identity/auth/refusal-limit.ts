import { LRUCache } from 'lru-cache'
import { RateLimitError, type PublicError, type UnauthorizedError } from '../../errors.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import { networkOf } from './network.ts'

const windowMs = 60_000

interface Window { count: number, endsAt: number }

export interface RefusalLimitOptions {
  /** A minute and address; 0 is no limit. */
  max: number
  metrics: Pick<Metrics, 'credentialsLimited'>
  now?: () => number
}

/**
 * Counts refused credentials by address. Too many of them are answered as too many; good credentials from the same
 * address go on, so that one broken client does not lock out the office it sits in.
 */
export class RefusalLimit {
  readonly #windows = new LRUCache<string, Window>({ max: 20_000 })
  readonly #options: RefusalLimitOptions
  readonly #now: () => number

  constructor (options: RefusalLimitOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /**
   * What is answered to an address whose credential was refused: that, or, after too many in a minute, that there are
   * too many.
   */
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
      `More than ${max} credentials from this address were refused; come back in ${retryAfterS} s`,
      { retryAfterS, retryAfterMs, cause: refusal }
    )
  }
}
