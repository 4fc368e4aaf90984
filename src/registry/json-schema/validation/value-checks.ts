import { isMultipleOf } from '../decimal.ts'
import { formattedLengthMax, stringFormats } from '../formats.ts'
import { canonical } from '../json.ts'
import { patternMatcher } from '../regex/pattern-matcher.ts'
import type { Budget } from './fuel.ts'

/* Checks of values that take more than a step, which they burn. */

type Check<T> = (value: T, budget: Budget) => boolean

/** The steps of a division in decimal arithmetic. */
const divisionSteps = 40

/** The steps to start RE2. Each character takes more steps, at most the size of the program. */
const matchSteps = 20

export function multipleOf (divisor: number): Check<number> {
  return (value, budget) => {
    if (!Number.isSafeInteger(value) || !Number.isSafeInteger(divisor)) budget.burn(divisionSteps)
    return isMultipleOf(value, divisor)
  }
}

/** Returns a check for one of the values, which compares as JSON Schema requires. */
export function oneOf (values: readonly unknown[]): Check<unknown> {
  const simple = new Set(values.filter(value => typeof value !== 'object' || value === null))
  const texts = new Set(values.filter(value => typeof value === 'object' && value !== null).map(canonical))
  return (value, budget) => {
    if (typeof value !== 'object' || value === null) return simple.has(value)
    return texts.size > 0 && texts.has(textOf(value, budget))
  }
}

/** Returns whether no two items are equal, in linear time. */
export function hasUniqueItems (items: readonly unknown[], budget?: Budget): boolean {
  return new Set(items.map(item => textOf(item, budget))).size === items.length
}

/** Returns a check for an ECMAScript pattern, which takes linear time. */
export function pattern (source: string): Check<string> {
  const matcher = patternMatcher(source)
  const stepsPerCharacter = 1 + matcher.programSize() / 8
  return (text, budget) => {
    budget.burn(matchSteps + text.length * stepsPerCharacter)
    return matcher.test(text)
  }
}

/** Returns undefined for an unknown format, which is an annotation. */
export function stringFormat (name: string): Check<string> | undefined {
  const check = stringFormats.get(name)
  return check && ((text, budget) => {
    // A character takes at most about 50 ns.
    budget.burn(Math.min(text.length, formattedLengthMax))
    return check(text)
  })
}

function textOf (value: unknown, budget: Budget | undefined): string {
  const text = canonical(value)
  budget?.burn(text.length)
  return text
}
