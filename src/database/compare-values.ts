import { jsonEqual } from '../documents/json-equal.ts'

/** An instant or a time of no zone in the form that columns have. Microseconds decide, whether they are written or not. */
const timeForm = /^([+-]?\d{4,6}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)?)?$/
const decimalForm = /^-?\d+(?:\.\d+)?$/

/** Whether two JSON values are the same; two writings of one instant are. */
export function isSameValue (a: unknown, b: unknown): boolean {
  if (jsonEqual(a, b)) return true
  if (typeof a !== 'string' || typeof b !== 'string') return false
  const [x, y] = [microsecondsOf(a), microsecondsOf(b)]
  return x !== undefined && x === y
}

/**
 * Negative, 0 or positive. Numbers and texts of decimal numbers compare by value, times by the instant, other texts by code
 * point. Undefined for what has no order: null, booleans, arrays, objects, a text and a number that is none.
 */
export function compareValues (a: unknown, b: unknown): number | undefined {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [x, y] = [decimalText(a), decimalText(b)]
  if (x !== undefined && y !== undefined) return compareDecimals(x, y)
  if (typeof a !== 'string' || typeof b !== 'string') return undefined
  const [s, t] = [microsecondsOf(a), microsecondsOf(b)]
  if (s !== undefined && t !== undefined) return s < t ? -1 : s > t ? 1 : 0
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

function microsecondsOf (text: string): bigint | undefined {
  const match = timeForm.exec(text)
  if (match === null) return undefined
  const [, date = '', time = '00:00:00', fraction = '', zone = 'Z'] = match
  const ms = Date.parse(`${date}T${time}${zone}`)
  return Number.isNaN(ms) ? undefined : BigInt(ms) * 1000n + BigInt(fraction.padEnd(6, '0'))
}

function decimalText (value: unknown): string | undefined {
  const text = typeof value === 'number' ? String(value) : value
  return typeof text === 'string' && decimalForm.test(text) ? text : undefined
}

/** By as many digits as they have. */
function compareDecimals (a: string, b: string): number {
  const [[wholeA = '', fractionA = ''], [wholeB = '', fractionB = '']] = [a.split('.'), b.split('.')]
  const digits = Math.max(fractionA.length, fractionB.length)
  const [x, y] = [BigInt(wholeA + fractionA.padEnd(digits, '0')), BigInt(wholeB + fractionB.padEnd(digits, '0'))]
  return x < y ? -1 : x > y ? 1 : 0
}
