/** Limits the rate of one endpoint to the number per second that its webhook sets, with a burst of the same size. */
export class TokenBucket {
  #perSecond: number | undefined
  #tokens = 0
  #at = 0

  /** Sets the rate. The bucket is kept if the rate is unchanged. */
  set (perSecond: number | undefined, now: number): void {
    if (perSecond === this.#perSecond) return
    this.#perSecond = perSecond
    this.#tokens = perSecond ?? 0
    this.#at = now
  }

  /** Returns how many may be sent now. */
  room (now: number): number {
    if (this.#perSecond === undefined) return Infinity
    this.#tokens = Math.min(this.#perSecond, this.#tokens + Math.max(0, now - this.#at) / 1000 * this.#perSecond)
    this.#at = now
    return Math.floor(this.#tokens)
  }

  take (count: number): void {
    this.#tokens -= count
  }

  /** Returns when the next one may be sent. */
  nextAt (now: number): number {
    if (this.#perSecond === undefined || this.room(now) > 0) return now
    return now + Math.ceil((1 - this.#tokens) * 1000 / this.#perSecond)
  }
}
