import { jsonEqual } from '../../documents/json-equal.ts'

/**
 * An instant, or a date or time without a zone, in the form that columns have. Fractions compare to the microsecond,
 * however many digits are written.
 */
const timeForm = /^([+-]?\d{4,6}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)?)?$/
const decimalForm = /^([+-]?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,9}))?$/
/** A column of numbers yields a text only for numbers with more digits, which a double would change. */
const digitsKept = 15

/**
 * Returns whether two JSON values are equal. Different spellings of one instant or one number are equal, but two short
 * texts of digits are compared as texts.
 */
export function isSameValue (a: unknown, b: unknown): boolean {
  if (jsonEqual(a, b)) return true
  const [m, n] = [decimalOf(a), decimalOf(b)]
  if (
    m !== undefined && n !== undefined &&
    (typeof a === 'number' || typeof b === 'number' || m.digits.length > digitsKept)
  ) return compareDecimals(m, n) === 0
  if (typeof a !== 'string' || typeof b !== 'string') return false
  const [x, y] = [microsecondsOf(a), microsecondsOf(b)]
  return x !== undefined && x === y
}

/**
 * Returns a negative number, 0 or a positive number. Numbers and texts of decimal numbers compare by value, times by
 * their instant, other texts by code point. Returns undefined for values without an order: null, booleans, arrays,
 * objects, and a number beside a text that is not one.
 */
export function compareValues (a: unknown, b: unknown): number | undefined {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [x, y] = [decimalOf(a), decimalOf(b)]
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

/**
 * Stands for 0.digits × 10^exponent. NaN and the infinities have no digits; their signs and exponents sort them as
 * PostgreSQL does.
 */
interface Decimal { sign: number, digits: string, exponent: number }

const special: Record<string, Decimal> = {
  NaN: { sign: 2, digits: '', exponent: 0 },
  Infinity: { sign: 1, digits: '', exponent: Infinity },
  '-Infinity': { sign: -1, digits: '', exponent: Infinity }
}

function decimalOf (value: unknown): Decimal | undefined {
  const text = typeof value === 'number' ? String(value) : value
  if (typeof text !== 'string') return undefined
  if (Object.hasOwn(special, text)) return special[text]
  const match = decimalForm.exec(text)
  if (match === null) return undefined
  const [, sign, whole = '', fraction = '', exponent = '0'] = match
  const digits = `${whole}${fraction}`.replace(/^0+/, '')
  if (digits === '') return { sign: 0, digits, exponent: 0 }
  const zeros = whole.length + fraction.length - digits.length
  return {
    sign: sign === '-' ? -1 : 1, digits: digits.replace(/0+$/, ''), exponent: whole.length - zeros + Number(exponent)
  }
}

/** Compares by value, with as many digits as the numbers have. */
function compareDecimals (a: Decimal, b: Decimal): number {
  if (a.sign !== b.sign) return a.sign < b.sign ? -1 : 1
  if (a.exponent !== b.exponent) return (a.exponent < b.exponent ? -1 : 1) * a.sign
  return (a.digits < b.digits ? -1 : a.digits > b.digits ? 1 : 0) * a.sign
}
