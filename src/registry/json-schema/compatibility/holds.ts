import { isMultipleOf } from '../decimal.ts'
import { stringFormats } from '../formats.ts'
import type { Formula } from './formula.ts'
import { canonical, codePointLength, has, type Json, type JsonObject, jsonTypes, typeOf } from '../json.ts'
import { patternMatcher } from '../regex/pattern-matcher.ts'
import type { Tick } from '../steps.ts'
import { hasUniqueItems } from '../validation/value-checks.ts'

/** Expands schema formulas and counts steps. */
export interface HoldsContext { readonly expand: (formula: Formula) => Formula, readonly tick: Tick }

/**
 * Returns whether a value is in the set of a formula. Assumes that `opaque` literals hold, since the validator does not
 * check them.
 */
export function holds (formula: Formula, value: Json, context: HoldsContext): boolean {
  context.tick(typeof value === 'string' ? 1 + (value.length >> 5) : 1)
  switch (formula.kind) {
    case 'true': case 'opaque': return true
    case 'false': return false
    case 'all': return formula.parts.every(part => holds(part, value, context))
    case 'any': return formula.parts.some(part => holds(part, value, context))
    case 'schema': return holds(context.expand(formula), value, context)
    case 'types': return (formula.mask & 1 << jsonTypes.indexOf(typeOf(value))) !== 0
    case 'in': return formula.values.has(canonical(value)) !== formula.negated
  }
  if (typeof value === 'number') return numberHolds(formula, value)
  if (typeof value === 'string') return stringHolds(formula, value)
  if (Array.isArray(value)) return arrayHolds(formula, value, context)
  return typeof value !== 'object' || value === null || objectHolds(formula, value, context)
}

function numberHolds (literal: Formula, value: number): boolean {
  switch (literal.kind) {
    case 'min': return literal.exclusive ? value > literal.value : value >= literal.value
    case 'max': return literal.exclusive ? value < literal.value : value <= literal.value
    case 'multiple': return isMultipleOf(value, literal.of) !== literal.negated
    default: return true
  }
}

function stringHolds (literal: Formula, value: string): boolean {
  switch (literal.kind) {
    case 'size': return literal.of !== 'string' || isWithin(codePointLength(value), literal)
    case 'pattern': return patternMatcher(literal.source).test(value) !== literal.negated
    case 'format': return stringFormats.get(literal.name)?.(value) === !literal.negated
    default: return true
  }
}

function arrayHolds (literal: Formula, value: Json[], context: HoldsContext): boolean {
  switch (literal.kind) {
    case 'size':
      return literal.of !== 'array' || isWithin(value.length, literal)
    case 'unique':
      return hasUniqueItems(value) !== literal.negated
    case 'item': {
      const item = value[literal.index]
      return item === undefined || holds(literal.then, item, context)
    }
    case 'rest':
      return value.slice(literal.from).every(item => holds(literal.then, item, context))
    case 'count':
      return isWithin(value.slice(literal.from).filter(item => holds(literal.of, item, context)).length, literal)
    default:
      return true
  }
}

function objectHolds (literal: Formula, value: JsonObject, context: HoldsContext): boolean {
  switch (literal.kind) {
    case 'size':
      return literal.of !== 'object' || isWithin(Object.keys(value).length, literal)
    case 'every-key':
      return membersIn(literal.keys, value, context).every(member => holds(literal.then, member, context))
    case 'some-key':
      return membersIn(literal.keys, value, context).some(member => holds(literal.then, member, context))
    default:
      return true
  }
}

/** Returns the members of an object whose names are in a set. */
function membersIn (keys: Formula, value: JsonObject, context: HoldsContext): Json[] {
  if (keys.kind === 'in' && !keys.negated) {
    return [...keys.values.values()]
      .map(key => typeof key === 'string' && has(value, key) ? value[key] : undefined)
      .filter(member => member !== undefined)
  }
  return Object.entries(value).filter(([key]) => holds(keys, key, context)).map(([, member]) => member)
}

function isWithin (count: number, { min, max }: { min: number, max: number }): boolean {
  return count >= min && count <= max
}
