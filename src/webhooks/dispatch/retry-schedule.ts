export interface RetrySchedule {
  /** Returns the wait after so many failures; undefined after the last attempt. */
  delayMs (failures: number): number | undefined
  /** Longest time from the first attempt of a delivery to the last. */
  readonly totalMs: number
}

/**
 * Creates a schedule with full jitter: each wait is random between 0 and the scheduled value, so that deliveries that
 * failed together are not retried together.
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
