/* The filter language of subscriptions (docs/PROTOCOL.md#filters), as conditions that a person edits. */

/** A filter: dotted paths into the payload, each with a value or an object of operators. */
export type EventFilter = Record<string, unknown>

export const operators = {
  eq: '=',
  ne: '≠',
  gt: '>',
  gte: '≥',
  lt: '<',
  lte: '≤',
  in: 'is one of',
  prefix: 'begins with',
  exists: 'exists'
} as const
export type Operator = keyof typeof operators

export interface Condition {
  path: string
  operator: Operator
  value: unknown
}

export const isFilter = (value: unknown): value is EventFilter =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isOperator = (name: string): name is Operator => Object.hasOwn(operators, name)

/** Returns the conditions of a filter in their order. An unknown operator stays, so that the server can name it. */
export function conditionsOf (filter: EventFilter = {}): Condition[] {
  return Object.entries(filter).flatMap(([path, wanted]): Condition[] =>
    isFilter(wanted)
      ? Object.entries(wanted).map(([operator, value]) => ({
        path,
        operator: isOperator(operator) ? operator : (operator as Operator),
        value
      }))
      : [{ path, operator: 'eq', value: wanted }]
  )
}

/** Returns the filter of conditions, or undefined if there are none. The last one of a path and operator wins. */
export function filterOf (conditions: readonly Condition[]): EventFilter | undefined {
  if (conditions.length === 0) return undefined
  const byPath = new Map<string, Record<string, unknown>>()
  for (const { path, operator, value } of conditions) {
    byPath.set(path, { ...byPath.get(path), [operator]: value })
  }
  return Object.fromEntries(
    [...byPath].map(([path, wanted]) => {
      const names = Object.keys(wanted)
      return [path, names.length === 1 && names[0] === 'eq' && !isFilter(wanted['eq']) ? wanted['eq'] : wanted]
    })
  )
}

/**
 * Reads a value as it is typed: JSON where it is JSON, otherwise text. `in` takes a JSON array, or values with commas
 * between them. A problem is returned in a sentence.
 */
export function readValue (operator: Operator, typed: string): { value: unknown } | { problem: string } {
  const text = typed.trim()
  if (operator === 'exists') return { value: text !== 'false' }
  if (text === '') return { problem: 'Enter a value' }
  if (operator === 'in') {
    const list = scalar(text)
    return { value: Array.isArray(list) ? list : text.split(',').map(item => scalar(item.trim())) }
  }
  if (operator === 'prefix') return { value: text.startsWith('"') ? String(scalar(text)) : text }
  return { value: scalar(text) }
}

/** A value in the form in which it can be typed again. */
export const valueText = (value: unknown): string =>
  typeof value === 'string' && scalar(value) === value ? value : JSON.stringify(value)

function scalar (text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

/** Returns the value at a dotted path, with array elements by index; undefined if there is none. */
export function valueAt (payload: unknown, path: string): unknown {
  let value = payload
  for (const part of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Record<string, unknown>)[part]
  }
  return value
}

/** Returns the dotted paths of the scalars of a payload, as proposals: at most 200, down to five levels. */
export function pathsOf (payload: unknown, depth = 0): string[] {
  if (typeof payload !== 'object' || payload === null || depth > 4) return []
  const entries = Array.isArray(payload) ? payload.slice(0, 3).entries() : Object.entries(payload).values()
  const paths: string[] = []
  for (const [name, value] of entries) {
    if (paths.length >= 200) break
    if (String(name).includes('.')) continue
    if (typeof value === 'object' && value !== null) {
      for (const below of pathsOf(value, depth + 1)) paths.push(`${name}.${below}`)
    } else paths.push(String(name))
  }
  return paths
}
