/** The exact value of a number's shortest decimal text: `digits × 10^exponent`. */
export interface Decimal { digits: bigint, exponent: number }

export function decimal (value: number): Decimal {
  const [mantissa = '0', power = '0'] = String(value).split('e')
  const [whole = '0', fraction = ''] = mantissa.split('.')
  return { digits: BigInt(whole + fraction), exponent: Number(power) - fraction.length }
}

/** Returns both numbers as integers of the same scale, so that they can be divided without rounding, and the scale. */
export function align (a: Decimal, b: Decimal): [bigint, bigint, number] {
  const exponent = Math.min(a.exponent, b.exponent)
  return [scaleTo(a, exponent), scaleTo(b, exponent), exponent]
}

export function scaleTo (value: Decimal, exponent: number): bigint {
  return value.digits * 10n ** BigInt(value.exponent - exponent)
}

/**
 * Returns whether `value` is a multiple of `divisor`, in decimal arithmetic: 19.99 is a multiple of 0.01, and every
 * multiple of 10 is a multiple of 5, however large. (With Ajv's floating-point division, neither is true.)
 */
export function isMultipleOf (value: number, divisor: number): boolean {
  if (Number.isSafeInteger(value) && Number.isSafeInteger(divisor)) return value % divisor === 0
  const [a, b] = align(decimal(value), decimal(divisor))
  return a % b === 0n
}

/** Returns the smallest number that is a multiple of both. */
export function leastCommonMultiple (a: Decimal, b: Decimal): Decimal {
  const [x, y, exponent] = align(a, b)
  return { digits: x / greatestCommonDivisor(x, y) * y, exponent }
}

function greatestCommonDivisor (a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b]
  return a
}

export function toNumber ({ digits, exponent }: Decimal): number {
  return Number(`${digits}e${exponent}`)
}

/** Returns the next larger double. `-nextUp(-x)` is the next smaller one. */
export function nextUp (value: number): number {
  if (value === 0) return Number.MIN_VALUE
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, value)
  view.setBigInt64(0, view.getBigInt64(0) + (value > 0 ? 1n : -1n))
  return view.getFloat64(0)
}
