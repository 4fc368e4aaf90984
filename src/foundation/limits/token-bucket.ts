/** Limits a rate to a number per second, with a burst of the same size, but of at least one. */
export class TokenBucket {
  #perSecond: number | undefined
  #tokens = 0
  #at = 0

  /** Sets the rate. The bucket is kept if the rate is unchanged. */
  set (perSecond: number | undefined, now: number): void {
    if (perSecond === this.#perSecond) return
    this.#perSecond = perSecond
    this.#tokens = this.#capacity
    this.#at = now
  }

  /** Changes the rate. The bucket keeps its tokens and its debt. */
  adjust (perSecond: number, now: number): void {
    if (this.#perSecond === undefined) return this.set(perSecond, now)
    this.room(now)
    this.#perSecond = perSecond
    this.#tokens = Math.min(this.#capacity, this.#tokens)
  }

  /** The largest burst. */
  get #capacity (): number { return Math.max(1, this.#perSecond ?? 1) }

  /** Returns how many may be sent now. Negative after `take` took more than that. */
  room (now: number): number {
    if (this.#perSecond === undefined) return Infinity
    this.#tokens = Math.min(this.#capacity, this.#tokens + Math.max(0, now - this.#at) / 1000 * this.#perSecond)
    this.#at = now
    return Math.floor(this.#tokens)
  }

  take (count: number): void {
    this.#tokens -= count
  }

  /** Returns when the next one may be sent; with a number, when so many may, or the largest burst if that is less. */
  nextAt (now: number, count = 1): number {
    const wanted = Math.min(count, Math.floor(this.#capacity))
    if (this.#perSecond === undefined || this.room(now) >= wanted) return now
    return now + Math.ceil((wanted - this.#tokens) * 1000 / this.#perSecond)
  }
}
