import { isDeepStrictEqual } from 'node:util'
import { ValidationError } from '../../errors.ts'
import { encodeJson, isPlainObject } from '../../foundation/json.ts'

const conditionsMax = 32
const pathLengthMax = 256
const listMax = 100
/** Limit for a filter's JSON, which is kept as long as its subscription. A hundred UUIDs take half of it. */
export const filterBytesMax = 8 * 1024

type Scalar = string | number | boolean | null

/** A field of the payload that must have exactly this value. Subscriptions are indexed by these. */
export interface Equality { path: string, value: Scalar }

/** A field of the payload that must pass a test. */
export interface Condition {
  path: string
  segments: string[]
  operator: Operator
  operand: unknown
  test: (found: unknown) => boolean
}

/**
 * A parsed filter. All equalities and conditions must hold. Filters with the same `fingerprint` match the same events.
 */
export interface Filter {
  equalities: Equality[]
  conditions: Condition[]
  fingerprint: string
}

const operators = {
  eq: (operand: unknown) => (found: unknown) => isDeepStrictEqual(found, operand),
  ne: (operand: unknown) => (found: unknown) => !isDeepStrictEqual(found, operand),
  gt: (operand: unknown) => (found: unknown) => isComparable(found, operand) && found > (operand as typeof found),
  gte: (operand: unknown) => (found: unknown) => isComparable(found, operand) && found >= (operand as typeof found),
  lt: (operand: unknown) => (found: unknown) => isComparable(found, operand) && found < (operand as typeof found),
  lte: (operand: unknown) => (found: unknown) => isComparable(found, operand) && found <= (operand as typeof found),
  in: (operand: unknown) => isAmong(operand as unknown[]),
  exists: (operand: unknown) => (found: unknown) => (found !== undefined) === operand,
  prefix: (operand: unknown) => (found: unknown) => typeof found === 'string' && found.startsWith(operand as string)
} as const
export type Operator = keyof typeof operators

/** Compares numbers with numbers and strings with strings (by UTF-16 code units). No other values have an order. */
const isComparable = (found: unknown, operand: unknown): found is string | number =>
  (typeof found === 'number' || typeof found === 'string') && typeof found === typeof operand

/** Constant time for scalars, however many there are; objects and arrays are compared one by one. */
function isAmong (values: readonly unknown[]): (found: unknown) => boolean {
  const scalars = new Set(values.filter(isScalar))
  const compounds = values.filter(value => !isScalar(value))
  return found => isScalar(found) ? scalars.has(found) : compounds.some(one => isDeepStrictEqual(found, one))
}

const operandTests: Partial<Record<Operator, [(operand: unknown) => boolean, string]>> = {
  gt: [isOrdered, 'must be a number or a string'],
  gte: [isOrdered, 'must be a number or a string'],
  lt: [isOrdered, 'must be a number or a string'],
  lte: [isOrdered, 'must be a number or a string'],
  in: [
    operand => Array.isArray(operand) && operand.length > 0 && operand.length <= listMax,
    `must be an array of 1 to ${listMax} values`
  ],
  exists: [operand => typeof operand === 'boolean', 'must be true or false'],
  prefix: [operand => typeof operand === 'string', 'must be a string']
}

function isOrdered (operand: unknown): boolean {
  return typeof operand === 'number' || typeof operand === 'string'
}

/**
 * Parses a filter: `{path: value}` is an equality, `{path: {operator: operand}}` a condition. Paths are dotted.
 * Undefined and `{}` match everything. Throws ValidationError that names the key.
 */
export function parseFilter (filter: Record<string, unknown> | undefined): Filter | undefined {
  const keys = Object.keys(filter ?? {})
  if (filter === undefined || keys.length === 0) return undefined
  if (keys.length > conditionsMax) throw refusal('', `must have at most ${conditionsMax} keys`)
  keys.sort()
  // Checks size and depth before anything walks the filter.
  encodeJson(filter, '/filter')
  const equalities: Equality[] = []
  const conditions: Condition[] = []
  for (const path of keys) {
    if (path === '' || path.length > pathLengthMax) {
      throw refusal(path, `must be a dotted path of 1 to ${pathLengthMax} characters`)
    }
    const wanted = filter[path]
    if (isScalar(wanted)) equalities.push({ path, value: wanted })
    else if (isPlainObject(wanted)) conditions.push(...parseOperators(path, wanted, equalities))
    else throw refusal(path, 'must be a string, a number, a boolean, null, or an object of operators')
  }
  return { equalities, conditions, fingerprint: JSON.stringify(keys.map(key => [key, filter[key]])) }
}

/** Returns a filter as the client gave it. */
export const conditionsOf = ({ fingerprint }: Pick<Filter, 'fingerprint'>): Record<string, unknown> =>
  Object.fromEntries(JSON.parse(fingerprint) as [string, unknown][])

/** Parses a filter from a request. Also throws ValidationError if it is larger than `filterBytesMax`. */
export function acceptFilter (filter: Record<string, unknown> | undefined): Filter | undefined {
  const parsed = parseFilter(filter)
  if (Buffer.byteLength(parsed?.fingerprint ?? '') > filterBytesMax) {
    throw refusal('', `must be at most ${filterBytesMax} bytes of JSON`)
  }
  return parsed
}

const isScalar = (value: unknown): value is Scalar =>
  value === null || typeof value === 'string' || typeof value === 'boolean' ||
  (typeof value === 'number' && Number.isFinite(value))

function parseOperators (path: string, wanted: Record<string, unknown>, equalities: Equality[]): Condition[] {
  const names = Object.keys(wanted)
  if (names.length === 0) {
    throw refusal(path, `must name at least one of the operators ${Object.keys(operators).join(', ')}`)
  }
  return names.flatMap(name => {
    if (!Object.hasOwn(operators, name)) {
      throw refusal(`${path}/${name}`, `is not one of the operators ${Object.keys(operators).join(', ')}`)
    }
    const operator = name as Operator
    const operand = wanted[operator]
    const [isGood, message] = operandTests[operator] ?? [() => true, '']
    if (!isGood(operand)) throw refusal(`${path}/${name}`, message)
    if (operator === 'eq' && isScalar(operand)) {
      equalities.push({ path, value: operand })
      return []
    }
    return [{ path, segments: path.split('.'), operator, operand, test: operators[operator](operand) }]
  })
}

function refusal (path: string, message: string): ValidationError {
  const place = `/filter${path === '' ? '' : `/${path.slice(0, 100)}`}`
  return new ValidationError('VALIDATION_FAILED', `${place} ${message}`, { details: [{ path: place, message }] })
}

/** Returns the value at a dotted path, through own members of objects and elements of arrays; undefined if absent. */
export function valueAt (payload: unknown, segments: readonly string[]): unknown {
  let value = payload
  for (const segment of segments) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment)) return undefined
    value = (value as Record<string, unknown>)[segment]
  }
  return value
}

/** Returns whether a payload passes all conditions. Equalities are not among them. */
export const passes = (conditions: readonly Condition[], payload: unknown): boolean =>
  conditions.every(({ segments, test }) => test(valueAt(payload, segments)))

/**
 * Returns the index key of a value: an equality holds if the keys are equal. 1 and "1" have different keys; an absent
 * value has the key of no value.
 */
export function valueKey (value: unknown): string {
  switch (typeof value) {
    case 'string': return `"${value}`
    case 'number': return String(value === 0 ? 0 : value)
    case 'boolean': return value ? 'true' : 'false'
    case 'undefined': return 'absent'
    default: return value === null ? 'null' : 'compound'
  }
}

/** One test of a filter, and its result. */
export interface Judgement { path: string, operator: Operator, wanted: unknown, found: unknown, holds: boolean }

/** Evaluates each test of a filter against a payload. The event matches if all of them hold. */
export function judge (filter: Filter | undefined, payload: unknown): Judgement[] {
  const tests: Condition[] = [
    ...(filter?.equalities ?? []).map(({ path, value }): Condition => ({
      path, segments: path.split('.'), operator: 'eq', operand: value,
      test: found => valueKey(found) === valueKey(value)
    })),
    ...(filter?.conditions ?? [])
  ]
  return tests.map(({ path, segments, operator, operand, test }) => {
    const found = valueAt(payload, segments)
    return { path, operator, wanted: operand, found, holds: test(found) }
  })
}

/** Returns whether a payload passes a whole filter, without an index. */
export const matches = (filter: Filter | undefined, payload: unknown): boolean =>
  filter === undefined || (
    filter.equalities.every(({ path, value }) => valueKey(valueAt(payload, path.split('.'))) === valueKey(value)) &&
    passes(filter.conditions, payload)
  )
