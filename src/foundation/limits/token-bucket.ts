/** So many a second, with a burst of as many: what one endpoint has asked to be spared. */
export class RateLimit {
  #perSecond: number | undefined
  #tokens = 0
  #at = 0

  /** Changes nothing when it is the same. */
  set (perSecond: number | undefined, now: number): void {
    if (perSecond === this.#perSecond) return
    this.#perSecond = perSecond
    this.#tokens = perSecond ?? 0
    this.#at = now
  }

  /** How many may go now. */
  room (now: number): number {
    if (this.#perSecond === undefined) return Infinity
    this.#tokens = Math.min(this.#perSecond, this.#tokens + Math.max(0, now - this.#at) / 1000 * this.#perSecond)
    this.#at = now
    return Math.floor(this.#tokens)
  }

  take (count: number): void {
    this.#tokens -= count
  }

  /** When the next one may go. */
  nextAt (now: number): number {
    if (this.#perSecond === undefined || this.room(now) > 0) return now
    return now + Math.ceil((1 - this.#tokens) * 1000 / this.#perSecond)
  }
}
