export interface RetrySchedule {
  /** How long to wait after so many failures; undefined when that was the last attempt. */
  delayMs (failures: number): number | undefined
  /** The longest that a delivery can take from its first attempt to its last. */
  readonly totalMs: number
}

/**
 * Full jitter: each wait is drawn from between nothing and what the schedule says, so that what failed together does
 * not come back together.
 */
export function createRetrySchedule (waitsMs: readonly number[], random: () => number = Math.random): RetrySchedule {
  return {
    delayMs (failures) {
      const wait = waitsMs[failures - 1]
      return wait === undefined ? undefined : Math.ceil(random() * wait)
    },
    totalMs: waitsMs.reduce((sum, wait) => sum + wait, 0)
  }
}
