import { RateLimitError } from '../../errors.ts'
import type { Metrics } from '../observability/metrics.ts'

/** After this time without a refusal, a client counts as slowed down. */
const calmMs = 1000
/**
 * Consecutive refusals, in bursts, after which the connection is closed before `overLimitMs` is over: a flood is not
 * answered for seconds.
 */
const refusedBurstsMax = 10
/** After the close, frames that are still in flight may be five times as many. This many bytes count as one frame. */
const unheardFactor = 5
const unheardFrameBytes = 4096
/** Without a request limit, a client above its byte limit gets as many refusals as with this burst. */
const defaultBurst = 200

/*
 * The whole state of a limit is one time: until when its use is paid for at its rate (the generic cell rate algorithm,
 * ITU-T I.371). A burst may be taken ahead of that time. A rate of 0 per second is no limit.
 */

const costMs = (amount: number, perSecond: number) => amount * 1000 / perSecond

/** Returns the milliseconds until `amount` may be taken, 0 if it may be now. */
export function missingMs (paidUntil: number, amount: number, perSecond: number, burst: number, now: number): number {
  if (perSecond === 0) return 0
  return Math.max(0, Math.ceil(Math.max(paidUntil, now) + costMs(amount - burst, perSecond) - now))
}

/** Returns the new paid-until time after `amount` is taken, at most one burst on credit. */
export function take (paidUntil: number, amount: number, perSecond: number, burst: number, now: number): number {
  if (perSecond === 0) return 0
  return Math.min(Math.max(paidUntil, now) + costMs(amount, perSecond), now + costMs(2 * burst, perSecond))
}

export interface PaceLimits {
  /** Limits of a connection's requests and received bytes; 0 per second is no limit. */
  requestsPerSecond: number
  requestsBurst: number
  bytesPerSecond: number
  bytesBurst: number
  /** How long a connection may stay above its limit before it is closed. */
  overLimitMs: number
}

export interface PaceOptions { limits: PaceLimits, metrics: Metrics }

export interface PacedClient {
  /** Called once, when the client continues after refusals. Closes the socket with 4429. */
  keptOn (): void
  /** Called when the client continues after the close. Destroys the socket. */
  wentOn (): void
}

/** Limits requests and bytes per second of one client, with bursts, on any transport. */
export class Pace {
  readonly #options: PaceOptions
  readonly #client: PacedClient
  #requestsUntil = 0
  #bytesUntil = 0
  /**
   * State of a client above its limit: since when, when last, how often, whether its socket is being closed, and
   * whether it was destroyed.
   */
  #excess: { since: number, last: number, refusals: number, isEnding: boolean, hasEnded: boolean } | undefined

  constructor (options: PaceOptions, client: PacedClient) {
    this.#options = options
    this.#client = client
  }

  /** Counts bytes that were received, or that a response takes. */
  charge (bytes: number): void {
    const { bytesPerSecond, bytesBurst } = this.#options.limits
    const now = Date.now()
    this.#bytesUntil = take(this.#bytesUntil, bytes, bytesPerSecond, bytesBurst, now)
    if (this.#bytesMissingMs(now) > 0) this.#over('bytes', now, bytes)
  }

  /** Counts a frame that is no request, such as a control frame. Returns false above the limit. */
  tick (): boolean {
    const now = Date.now()
    if (this.#takeRequest(now) === 0) return true
    this.#over('requests', now)
    return false
  }

  /** Counts a request. Returns RateLimitError `RATE_LIMITED` when the client is above its request or byte limit. */
  refusal (): RateLimitError | undefined {
    const now = Date.now()
    const bytesMs = this.#bytesMissingMs(now)
    if (bytesMs > 0) return this.#refuse('bytes', bytesMs, now)
    const requestsMs = this.#takeRequest(now)
    return requestsMs > 0 ? this.#refuse('requests', requestsMs, now) : undefined
  }

  /** Counts a request. Throws the error that `refusal` would return. */
  admit (): void {
    const refusal = this.refusal()
    if (refusal !== undefined) throw refusal
  }

  #bytesMissingMs (now: number): number {
    const { bytesPerSecond, bytesBurst } = this.#options.limits
    return missingMs(this.#bytesUntil, 0, bytesPerSecond, bytesBurst, now)
  }

  /** Takes one request and returns 0, or returns the milliseconds until one is allowed. */
  #takeRequest (now: number): number {
    const { requestsPerSecond, requestsBurst } = this.#options.limits
    const ms = missingMs(this.#requestsUntil, 1, requestsPerSecond, requestsBurst, now)
    if (ms === 0) this.#requestsUntil = take(this.#requestsUntil, 1, requestsPerSecond, requestsBurst, now)
    return ms
  }

  #refuse (limit: 'requests' | 'bytes', retryAfterMs: number, now: number): RateLimitError {
    this.#over(limit, now)
    const { requestsPerSecond, bytesPerSecond } = this.#options.limits
    const rate = limit === 'requests' ? `${requestsPerSecond} requests` : `${bytesPerSecond} bytes`
    return new RateLimitError(
      'RATE_LIMITED',
      `A connection may send ${rate} per second. Retry in ${retryAfterMs} ms`,
      { retryAfterMs }
    )
  }

  #over (limit: 'requests' | 'bytes', now: number, bytes = 0): void {
    const { limits, metrics } = this.#options
    this.#excess ??= { since: now, last: now, refusals: 0, isEnding: false, hasEnded: false }
    const excess = this.#excess
    // The rest of what was read with the last frame.
    if (excess.hasEnded) return
    metrics.requestsLimited.inc({ limit })
    if (now - excess.last > calmMs) {
      excess.since = now
      excess.refusals = 0
    }
    excess.last = now
    excess.refusals++
    const refusalsMax = refusedBurstsMax * (limits.requestsBurst || defaultBurst)
    if (excess.isEnding) {
      excess.refusals += Math.floor(bytes / unheardFrameBytes)
      excess.hasEnded = excess.refusals > refusalsMax * unheardFactor
      if (excess.hasEnded) this.#client.wentOn()
      return
    }
    if (now - excess.since < limits.overLimitMs && excess.refusals <= refusalsMax) return
    excess.isEnding = true
    excess.refusals = 0
    this.#client.keptOn()
  }
}
