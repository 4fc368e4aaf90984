import { numberFormats } from '../formats.ts'
import { codePointLength } from '../json.ts'
import type { Budget } from './fuel.ts'
import type { AddTests } from './schema-check.ts'
import { multipleOf as isMultipleOf, pattern as matches, stringFormat } from './value-checks.ts'

/** Adds the tests of the keywords for numbers. */
export const addNumberTests: AddTests = ({ number }, keywords) => {
  const { maximum, minimum, exclusiveMaximum, exclusiveMinimum, multipleOf, format = '' } = keywords
  if (maximum !== undefined) {
    const message = `must be <= ${maximum}`
    number.push((value, run) => value <= maximum || run.fail('maximum', message))
  }
  if (minimum !== undefined) {
    const message = `must be >= ${minimum}`
    number.push((value, run) => value >= minimum || run.fail('minimum', message))
  }
  if (exclusiveMaximum !== undefined) {
    const message = `must be < ${exclusiveMaximum}`
    number.push((value, run) => value < exclusiveMaximum || run.fail('exclusiveMaximum', message))
  }
  if (exclusiveMinimum !== undefined) {
    const message = `must be > ${exclusiveMinimum}`
    number.push((value, run) => value > exclusiveMinimum || run.fail('exclusiveMinimum', message))
  }
  const add = (keyword: string, isValid: (value: number, budget: Budget) => boolean, demand: string): void => {
    number.push((value, run) => isValid(value, run.budget) || run.fail(keyword, `must ${demand}`))
  }
  const bounds = numberFormats.get(format)
  if (bounds !== undefined) {
    const { min, max } = bounds
    add('format', value => Number.isInteger(value) && value >= min && value <= max, `match format "${format}"`)
  }
  if (multipleOf !== undefined) add('multipleOf', isMultipleOf(multipleOf), `be multiple of ${multipleOf}`)
}

/** Adds the tests of the keywords for strings. */
export const addStringTests: AddTests = ({ string }, { maxLength, minLength, pattern, format = '' }) => {
  const add = (keyword: string, isValid: (text: string, budget: Budget) => boolean, demand: string): void => {
    string.push((text, run) => isValid(text, run.budget) || run.fail(keyword, `must ${demand}`))
  }
  // A code point is one or two UTF-16 units, so most texts need not be counted.
  if (maxLength !== undefined) {
    const isShort = (text: string): boolean => text.length <= maxLength || codePointLength(text) <= maxLength
    add('maxLength', isShort, `NOT have more than ${maxLength} characters`)
  }
  if (minLength !== undefined) {
    const isLong = (text: string): boolean => text.length >= 2 * minLength || codePointLength(text) >= minLength
    add('minLength', isLong, `NOT have fewer than ${minLength} characters`)
  }
  if (pattern !== undefined) add('pattern', matches(pattern), `match pattern "${pattern}"`)
  const hasFormat = stringFormat(format)
  if (hasFormat !== undefined) add('format', hasFormat, `match format "${format}"`)
}
