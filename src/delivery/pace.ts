import type { DeliveryLimits } from '../config.ts'
import { RateLimitError } from '../errors.ts'
import type { Metrics } from '../metrics.ts'

/** After so long without a refusal the client is taken to have slowed down. */
const calmMs = 1000
/** Refusals in a row that end the patience early, in bursts: whoever floods is not answered for seconds. */
const refusedBurstsMax = 10

/** Holds up to `burst`, refills at `perSecond`; a rate of 0 is no limit. */
class Bucket {
  readonly #perSecond: number
  readonly #burst: number
  #level: number
  #at = 0

  constructor (perSecond: number, burst: number) {
    this.#perSecond = perSecond
    this.#burst = burst
    this.#level = burst
  }

  /** Takes what is there. Answers 0, or the milliseconds until so much would have been there; then nothing is taken. */
  take (amount: number, now: number): number {
    const missingMs = this.missingMs(amount, now)
    if (missingMs === 0) this.#level -= amount
    return missingMs
  }

  /** Takes what has been used already, on credit up to a burst. */
  spend (amount: number, now: number): void {
    this.#refill(now)
    this.#level = Math.max(this.#level - amount, -this.#burst)
  }

  missingMs (amount: number, now: number): number {
    if (this.#perSecond === 0) return 0
    this.#refill(now)
    return this.#level >= amount ? 0 : Math.ceil((amount - this.#level) / this.#perSecond * 1000)
  }

  #refill (now: number): void {
    this.#level = Math.min(this.#burst, this.#level + (now - this.#at) * this.#perSecond / 1000)
    this.#at = now
  }
}

export interface PaceOptions {
  limits: DeliveryLimits
  metrics: Metrics
  /** Called once, when the client goes on although it was told: the socket is to be closed with 4429. */
  onLasting: () => void
}

/** How fast one client may go, whatever the transport: requests and bytes a second, with bursts. */
export class Pace {
  readonly #options: PaceOptions
  readonly #requests: Bucket
  readonly #bytes: Bucket
  #overSince = 0
  #lastOver = -Infinity
  #refusals = 0
  #hasLasted = false

  constructor (options: PaceOptions) {
    const { requestsPerSecond, requestsBurst, bytesPerSecond, bytesBurst } = options.limits
    this.#options = options
    this.#requests = new Bucket(requestsPerSecond, requestsBurst)
    this.#bytes = new Bucket(bytesPerSecond, bytesBurst)
  }

  /** Counts bytes that have arrived. */
  charge (bytes: number): void {
    const now = Date.now()
    this.#bytes.spend(bytes, now)
    if (this.#bytes.missingMs(0, now) > 0) this.#over('bytes', now)
  }

  /** Counts what is no request, such as a control frame. Answers false when there are too many. */
  tick (): boolean {
    const now = Date.now()
    if (this.#requests.take(1, now) === 0) return true
    this.#over('requests', now)
    return false
  }

  /** Counts a request. Throws RateLimitError `RATE_LIMITED` when it, or the bytes so far, are too many. */
  admit (): void {
    const now = Date.now()
    const bytesMs = this.#bytes.missingMs(0, now)
    if (bytesMs > 0) throw this.#refusal('bytes', bytesMs, now)
    const requestsMs = this.#requests.take(1, now)
    if (requestsMs > 0) throw this.#refusal('requests', requestsMs, now)
  }

  #refusal (limit: 'requests' | 'bytes', retryAfterMs: number, now: number): RateLimitError {
    this.#over(limit, now)
    const { requestsPerSecond, bytesPerSecond } = this.#options.limits
    const rate = limit === 'requests' ? `${requestsPerSecond} requests` : `${bytesPerSecond} bytes`
    return new RateLimitError('RATE_LIMITED', `A connection may send ${rate} a second; come back in ${retryAfterMs} ms`, { retryAfterMs })
  }

  #over (limit: 'requests' | 'bytes', now: number): void {
    const { limits, metrics, onLasting } = this.#options
    metrics.requestsLimited.inc({ limit })
    if (now - this.#lastOver > calmMs) {
      this.#overSince = now
      this.#refusals = 0
    }
    this.#lastOver = now
    this.#refusals++
    if (this.#hasLasted || (now - this.#overSince < limits.overLimitMs && this.#refusals <= refusedBurstsMax * limits.requestsBurst)) return
    this.#hasLasted = true
    onLasting()
  }
}
