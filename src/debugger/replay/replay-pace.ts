/** Interval of steps while a replay is open. */
export const stepMs = 100
/** Limit of events per step, at any rate. */
export const stepEventsMax = 1000

/** Limits the events of one replay to its rate. */
export class ReplayPace {
  #allowance = 1
  #at = performance.now()

  /** Returns how many events may be sent now. Allowance unused for two steps expires. */
  allowed (ratePerSecond: number): number {
    const now = performance.now()
    const most = Math.max(1, ratePerSecond * 2 * stepMs / 1000)
    this.#allowance = Math.min(most, this.#allowance + (now - this.#at) * ratePerSecond / 1000)
    this.#at = now
    return Math.min(stepEventsMax, Math.floor(this.#allowance))
  }

  spend (count: number): void {
    this.#allowance -= count
  }
}
