import { parseHttpDate } from '../../foundation/http/http-date.ts'

/**
 * Returns the wait that a `Retry-After` header requires, in milliseconds: seconds or an HTTP date (RFC 9110 §10.2.3).
 * Returns undefined for anything else.
 */
export function parseRetryAfter (value: string | undefined, now: number, maxMs: number): number | undefined {
  if (value === undefined) return undefined
  const text = value.trim()
  const until = /^\d{1,10}$/.test(text) ? now + Number(text) * 1000 : parseHttpDate(text, now)
  return until === undefined ? undefined : Math.min(Math.max(until - now, 0), maxMs)
}
