import { visit } from 'jsonc-parser'
import { compareNumber, isNumber, splitNumber } from 'lossless-json'
import { ValidationError } from '../errors.ts'
import { invalid, jsonDepthMax, jsonPointer } from './json.ts'

/** Every double has a decimal text of 17 significant digits, so a longer fraction was not printed from a double. */
const fractionDigitsMax = 17
/** A double closer to 0 has fewer digits. */
export const smallestNormal = 2 ** -1022
/** The limit of `toPrecision`. */
const precisionMax = 100

/**
 * Returns whether a JSON number survives being parsed to a double and printed again. An integer, and a fraction that
 * becomes an integer, must keep its value: 9007199254740993 does not, 9007199254740992, 1e21 and 1.0 do. Any other
 * fraction stands for the nearest double (RFC 8259 §6) and may have 17 significant digits, or more if the double has
 * the same ones.
 */
export function isExactNumber (literal: string): boolean {
  const value = Number(literal)
  if (!Number.isFinite(value)) return false
  if (compareNumber(literal, String(value)) === 0) return true
  if (Number.isInteger(value)) return false
  const { length } = splitNumber(literal).digits
  if (length <= fractionDigitsMax && Math.abs(value) >= smallestNormal) return true
  return length <= precisionMax && compareNumber(literal, value.toPrecision(length)) === 0
}

/**
 * A number of at least 16 digits or a three-digit exponent. A shorter one is always exact: a double keeps any 15
 * digits.
 */
const longNumber = /(?:^|[\s:,[])(-?(?:[\d.]{16}|[\d.]{1,15}[eE][+-]?\d{3})[\d.eE+-]*)/g

/**
 * Returns whether a JSON text has an inexact number, or a string that looks like one. Most texts have no long number:
 * searching for one takes less than half the time of parsing. (A lookbehind in the expression would double it.)
 */
export function mayHaveInexactNumber (json: string): boolean {
  longNumber.lastIndex = 0
  for (let match = longNumber.exec(json); match !== null; match = longNumber.exec(json)) {
    const [, literal = ''] = match
    if (isNumber(literal) && !isExactNumber(literal)) return true
  }
  return false
}

/**
 * Throws ValidationError `NUMBER_INEXACT` if parsing changes a number of a JSON text. The error names the first such
 * number by its JSON Pointer, without the first `outer` segments. The text must have been parsed before, so that it is
 * known to be JSON.
 */
export function requireExactNumbers (json: string, outer = 0): void {
  if (!mayHaveInexactNumber(json)) return
  try {
    visit(json, {
      onLiteralValue (value: unknown, offset, length, _line, _character, pathOf) {
        if (typeof value !== 'number') return
        const literal = json.slice(offset, offset + length)
        if (!isExactNumber(literal)) throw inexact(jsonPointer(pathOf().slice(outer)), literal)
      }
    })
  } catch (error) {
    // The visitor is recursive. A text too deep for it is far deeper than the limit.
    throw error instanceof RangeError ? invalid('', `must be at most ${jsonDepthMax} levels deep`) : error
  }
}

const literalShownMax = 40

/** Returns the error for an inexact number at a JSON Pointer. */
export function inexact (path: string, literal: string): ValidationError {
  const shown = literal.length > literalShownMax ? `${literal.slice(0, literalShownMax)}…` : literal
  const message =
    `must be a number that a double can hold: ${shown} would become ${Number(literal)}. Send it as a string`
  return new ValidationError('NUMBER_INEXACT', `${path.slice(0, 200) || 'The body'} ${message}`, {
    details: [{ path, message }]
  })
}
