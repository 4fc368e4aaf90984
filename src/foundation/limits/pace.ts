import { RateLimitError } from '../../errors.ts'
import type { Metrics } from '../observability/metrics.ts'

/** After so long without a refusal the client is taken to have slowed down. */
const calmMs = 1000
/** Refusals in a row that end the patience early, in bursts: whoever floods is not answered for seconds. */
const refusedBurstsMax = 10
/**
 * After that, what is on its way when the client hears of the end may be five times as much; so many bytes count as one
 * frame.
 */
const unheardFactor = 5
const unheardFrameBytes = 4096
/** Without a limit on requests, a client above its bytes has as many refusals as with this burst. */
const defaultBurst = 200

/*
 * A limit's whole state is one time: until when what was taken is paid for at its rate (the generic cell rate
 * algorithm, ITU-T I.371). A burst is what may be taken ahead of that. A rate of 0 a second is no limit.
 */

const costMs = (amount: number, perSecond: number) => amount * 1000 / perSecond

/** Returns 0, or the milliseconds until so much more may be taken. */
export function missingMs (paidUntil: number, amount: number, perSecond: number, burst: number, now: number): number {
  if (perSecond === 0) return 0
  return Math.max(0, Math.ceil(Math.max(paidUntil, now) + costMs(amount - burst, perSecond) - now))
}

/** Returns the time that is paid until once so much is taken, on credit of a burst at most. */
export function take (paidUntil: number, amount: number, perSecond: number, burst: number, now: number): number {
  if (perSecond === 0) return 0
  return Math.min(Math.max(paidUntil, now) + costMs(amount, perSecond), now + costMs(2 * burst, perSecond))
}

export interface PaceLimits {
  /** Requests that a connection may make, and bytes that it may send; 0 a second is no limit. */
  requestsPerSecond: number
  requestsBurst: number
  bytesPerSecond: number
  bytesBurst: number
  /** How long a connection may go on above its pace before it is closed. */
  overLimitMs: number
}

export interface PaceOptions { limits: PaceLimits, metrics: Metrics }

export interface PacedClient {
  /** Called once, when the client goes on after it was refused: close the socket with 4429. */
  keptOn (): void
  /** Called when it goes on sending even after that: destroy the socket. */
  wentOn (): void
}

/** How fast one client may go, whatever the transport: requests and bytes a second, with bursts. */
export class Pace {
  readonly #options: PaceOptions
  readonly #client: PacedClient
  #requestsUntil = 0
  #bytesUntil = 0
  /**
   * Of a client that has gone faster: since when, when last, how often, whether it is being closed, and whether it was
   * destroyed.
   */
  #excess: { since: number, last: number, refusals: number, isEnding: boolean, hasEnded: boolean } | undefined

  constructor (options: PaceOptions, client: PacedClient) {
    this.#options = options
    this.#client = client
  }

  /** Counts bytes that have arrived, or that an answer takes. */
  charge (bytes: number): void {
    const { bytesPerSecond, bytesBurst } = this.#options.limits
    const now = Date.now()
    this.#bytesUntil = take(this.#bytesUntil, bytes, bytesPerSecond, bytesBurst, now)
    if (this.#bytesMissingMs(now) > 0) this.#over('bytes', now, bytes)
  }

  /** Counts what is no request, such as a control frame. Answers false when there are too many. */
  tick (): boolean {
    const now = Date.now()
    if (this.#takeRequest(now) === 0) return true
    this.#over('requests', now)
    return false
  }

  /** Counts a request. Returns RateLimitError `RATE_LIMITED` when it, or the bytes so far, are too many. */
  refusal (): RateLimitError | undefined {
    const now = Date.now()
    const bytesMs = this.#bytesMissingMs(now)
    if (bytesMs > 0) return this.#refuse('bytes', bytesMs, now)
    const requestsMs = this.#takeRequest(now)
    return requestsMs > 0 ? this.#refuse('requests', requestsMs, now) : undefined
  }

  /** As `refusal`, which it throws. */
  admit (): void {
    const refusal = this.refusal()
    if (refusal !== undefined) throw refusal
  }

  #bytesMissingMs (now: number): number {
    const { bytesPerSecond, bytesBurst } = this.#options.limits
    return missingMs(this.#bytesUntil, 0, bytesPerSecond, bytesBurst, now)
  }

  /** Answers 0, or the milliseconds until one may be made; then none is taken. */
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
      `A connection may send ${rate} a second; come back in ${retryAfterMs} ms`,
      { retryAfterMs }
    )
  }

  #over (limit: 'requests' | 'bytes', now: number, bytes = 0): void {
    const { limits, metrics } = this.#options
    this.#excess ??= { since: now, last: now, refusals: 0, isEnding: false, hasEnded: false }
    const excess = this.#excess
    // What was read with the last of it.
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
