import type { Dialect, Shape } from './dialect.ts'
import { isObject } from './json.ts'
import { patternMatcher } from './regex/pattern-matcher.ts'
import { PatternError } from './regex/pattern-syntax.ts'
import { SchemaError } from './schema-error.ts'

const typeNames = new Set(['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'])

type Test = (value: unknown) => boolean
const isSchema: Test = value => typeof value === 'boolean' || isObject(value)
const isSchemas: Test = value => Array.isArray(value) && value.length > 0 && value.every(isSchema)
const isNames: Test = value => Array.isArray(value) && value.every(name => typeof name === 'string')
const isType: Test = value => typeof value === 'string' && typeNames.has(value)
const mapOf = (isMember: Test): Test => value => isObject(value) && Object.values(value).every(isMember)

const shapeTests: Record<Shape, readonly [Test, string]> = {
  number: [value => typeof value === 'number', 'a number'],
  positive: [value => typeof value === 'number' && value > 0, 'a number above 0'],
  count: [value => Number.isInteger(value) && (value as number) >= 0, 'a whole number, 0 or more'],
  text: [value => typeof value === 'string', 'a string'],
  pattern: [value => typeof value === 'string', 'a string'],
  flag: [value => typeof value === 'boolean', 'true or false'],
  'number or flag': [value => typeof value === 'number' || typeof value === 'boolean', 'a number or a boolean'],
  types: [
    value => isType(value) || (Array.isArray(value) && value.length > 0 && value.every(isType)),
    `one or more of ${[...typeNames].join(', ')}`
  ],
  values: [Array.isArray, 'an array'],
  value: [() => true, 'a value'],
  names: [isNames, 'an array of strings'],
  'name lists': [mapOf(isNames), 'an object whose members are arrays of strings'],
  schema: [isSchema, 'a schema (an object or a boolean)'],
  schemas: [isSchemas, 'an array of at least one schema'],
  'schema map': [mapOf(isSchema), 'an object whose members are schemas'],
  'pattern map': [mapOf(isSchema), 'an object whose members are schemas'],
  'schema or schemas': [
    value => isSchema(value) || (Array.isArray(value) && value.every(isSchema)), 'a schema or an array of schemas'
  ],
  dependencies: [
    mapOf(value => isSchema(value) || isNames(value)), 'an object whose members are schemas or arrays of strings'
  ]
}

/**
 * Throws SchemaError if the value of a keyword does not have its shape. Does not check patterns; `checkPattern` does.
 */
export function checkShape (word: string, shape: Shape, value: unknown, path: string, dialect: Dialect): void {
  const [isOf, expected] = shapeTests[shape]
  if (!isOf(value)) {
    const hint = word === 'items' && dialect === '2020-12' && Array.isArray(value)
      ? '; a tuple is written "prefixItems" in 2020-12'
      : ''
    throw new SchemaError(`"${word}" must be ${expected}${hint}`, path)
  }
}

/** Returns the size of a pattern's program. Throws SchemaError with the reason if the pattern cannot be used. */
export function checkPattern (pattern: string, path: string): number {
  try {
    return patternMatcher(pattern).programSize()
  } catch (error) {
    if (!(error instanceof PatternError)) throw error
    throw new SchemaError(
      `the pattern ${JSON.stringify(pattern.slice(0, 200))} cannot be used: ${error.message}`,
      path,
      { cause: error }
    )
  }
}
