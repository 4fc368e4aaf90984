import { parseHttpDate } from '../../foundation/http/http-date.ts'

export interface RetrySchedule {
  /** How long to wait after so many failures; undefined when that was the last attempt. */
  delayMs (failures: number): number | undefined
  /** The longest that a delivery can take from its first attempt to its last. */
  readonly totalMs: number
}

/** Full jitter: each wait is drawn from between nothing and what the schedule says, so that what failed together does not come back together. */
export function createRetrySchedule (waitsMs: readonly number[], random: () => number = Math.random): RetrySchedule {
  return {
    delayMs (failures) {
      const wait = waitsMs[failures - 1]
      return wait === undefined ? undefined : Math.ceil(random() * wait)
    },
    totalMs: waitsMs.reduce((sum, wait) => sum + wait, 0)
  }
}

/** What a `Retry-After` asks for, in milliseconds: seconds or an HTTP date (RFC 9110 §10.2.3). Undefined for anything else. */
export function parseRetryAfter (value: string | undefined, now: number, maxMs: number): number | undefined {
  if (value === undefined) return undefined
  const text = value.trim()
  const until = /^\d{1,10}$/.test(text) ? now + Number(text) * 1000 : parseHttpDate(text, now)
  return until === undefined ? undefined : Math.min(Math.max(until - now, 0), maxMs)
}
