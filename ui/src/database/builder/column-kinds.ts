import type { Operator } from './conditions.ts'

/** The kind of a column's type: it decides the operators and the inputs. */
export type Kind = 'number' | 'text' | 'boolean' | 'date' | 'timestamp' | 'instant' | 'json' | 'unknown'

export function kindOf (type: string | undefined): Kind {
  if (type === undefined) return 'unknown'
  if (type.endsWith('[]') || /^jsonb?$/.test(type)) return 'json'
  if (/^(smallint|integer|bigint|numeric|real|double precision|oid)/.test(type)) return 'number'
  if (type === 'boolean') return 'boolean'
  if (type === 'date') return 'date'
  if (/^timestamp.*without time zone/.test(type)) return 'timestamp'
  if (/^timestamp/.test(type)) return 'instant'
  return 'text'
}

const always: readonly Operator[] = ['changed', 'unchanged', 'changedTo', 'changedFrom', 'isNull', 'isNotNull']
const ordered: readonly Operator[] = ['eq', 'ne', 'gt', 'gte', 'lt', 'lte']

const byKind: Record<Kind, readonly Operator[]> = {
  number: [...ordered, 'in', 'notIn', ...always],
  text: ['eq', 'ne', 'in', 'notIn', ...always],
  boolean: ['eq', ...always],
  date: [...ordered, ...always],
  timestamp: [...ordered, ...always],
  instant: [...ordered, ...always],
  json: ['eq', 'ne', ...always],
  unknown: [...ordered, 'in', 'notIn', ...always]
}

/** The operators that a column offers, and the one that a row has already. */
export const operatorsOf = (kind: Kind, current: Operator): readonly Operator[] =>
  byKind[kind].includes(current) ? byKind[kind] : [...byKind[kind], current]

const words: Record<Operator, string> = {
  eq: '=',
  ne: '≠',
  gt: '>',
  gte: '≥',
  lt: '<',
  lte: '≤',
  in: 'is one of',
  notIn: 'is none of',
  isNull: 'is null',
  isNotNull: 'is not null',
  changed: 'changed',
  unchanged: 'has not changed',
  changedTo: 'changed to',
  changedFrom: 'changed from'
}
const timeWords: Partial<Record<Operator, string>> = {
  gt: 'after',
  gte: 'at or after',
  lt: 'before',
  lte: 'at or before'
}
const isTime = (kind: Kind): boolean => kind === 'date' || kind === 'timestamp' || kind === 'instant'

export const operatorWord = (operator: Operator, kind: Kind): string =>
  (isTime(kind) ? timeWords[operator] : undefined) ??
  (kind === 'boolean' && operator === 'eq' ? 'is' : words[operator])

/** Shows a value of a row as the text of an input. */
export const toText = (value: unknown): string =>
  value === undefined || value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value)

/** Reads the text of an input as a value of the column. A number that would lose digits stays text. */
export function fromText (text: string, kind: Kind): unknown {
  if (kind === 'number') {
    const number = Number(text)
    const isExact =
      text.trim() !== '' && Number.isFinite(number) && (!Number.isInteger(number) || Number.isSafeInteger(number))
    return isExact ? number : text.trim()
  }
  if (kind === 'json' || kind === 'unknown') {
    try {
      return JSON.parse(text) as unknown
    } catch {
      return text
    }
  }
  return text
}

/** Reads the values of “is one of”: `paid, shipped`, or a JSON array. */
export function listFromText (text: string, kind: Kind): unknown[] {
  if (text.trim().startsWith('[')) {
    try {
      const parsed: unknown = JSON.parse(text)
      if (Array.isArray(parsed)) return parsed
    } catch {
      // It is a list of texts that begins with a bracket.
    }
  }
  return text
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '')
    .map(part => fromText(part, kind))
}

export const listToText = (value: unknown): string =>
  Array.isArray(value)
    ? value.some(item => typeof item === 'string' && item.includes(','))
      ? JSON.stringify(value)
      : value.map(toText).join(', ')
    : toText(value)
