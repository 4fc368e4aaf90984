import type { Keywords, SchemaNode } from '../schema-node.ts'
import { Evaluated, type Evaluation } from './evaluation.ts'

/** Checks a value by one keyword. Adds the members that it evaluates to `seen`, if an `unevaluated…` needs them. */
export type Test<T> = (value: T, run: Evaluation, seen: Evaluated | undefined) => boolean

export type JsonMembers = Readonly<Record<string, unknown>>

/** The tests of a schema, by the type of the values to which they apply. */
export interface Tests {
  readonly any: Test<unknown>[]
  readonly number: Test<number>[]
  readonly string: Test<string>[]
  readonly array: Test<readonly unknown[]>[]
  readonly object: Test<JsonMembers>[]
}

/** Adds the tests of some keywords. The checks of subschemas may not be complete yet. */
export type AddTests = (tests: Tests, keywords: Keywords, checkOf: (schema: SchemaNode) => SchemaCheck) => void

/** The check of one schema. It is completed after its creation, since a schema may refer to itself. */
export class SchemaCheck {
  readonly #types: readonly string[] | undefined
  /** The verdict on every value, for a schema without keywords. */
  readonly #always: boolean | undefined
  readonly #tracks: boolean
  #tests: Tests = { any: [], number: [], string: [], array: [], object: [] }

  constructor ({ keywords }: SchemaNode) {
    this.#always = typeof keywords === 'boolean' ? keywords : Object.keys(keywords).length === 0 ? true : undefined
    this.#types = typeof keywords === 'boolean' ? undefined : keywords.type && [...new Set(keywords.type)]
    this.#tracks = typeof keywords !== 'boolean' && leavesUnevaluated(keywords)
  }

  /** Adds the test of the type where a value of that JSON type could have another. */
  complete ({ any, number, string, array, object }: Tests): void {
    const types = this.#types
    const own = { number, string, array, object }
    const [only] = types ?? []
    // As in Ajv, a violated type is found after the keywords for all types if there are others for this one.
    const isLate = types?.length === 1 && own[only as keyof typeof own]?.length > 0
    const testsFor = <T>(type: string, tests: readonly Test<T>[]): Test<T>[] => {
      if (types === undefined || types.includes(type)) return [...any, ...tests]
      const message = `must be ${types.join(',')}`
      const testType: Test<T> = (value, run) => isOfTypes(value, types) || run.fail('type', message)
      return isLate ? [...any, testType, ...tests] : [testType, ...any, ...tests]
    }
    this.#tests = {
      any: testsFor('', []), number: testsFor('number', number), string: testsFor('string', string),
      array: testsFor('array', array), object: testsFor('object', object)
    }
  }

  holds (value: unknown, run: Evaluation, outer?: Evaluated): boolean {
    if (this.#always !== undefined) return this.#always || run.fail('false schema', 'boolean schema is false')
    run.budget.burn(typeof value === 'string' ? 1 + (value.length >> 3) : 1)
    const seen = this.#tracks ? new Evaluated() : outer
    // Few functions call each other for a level of the schema, since their number limits its depth.
    let isValid: boolean
    if (typeof value === 'string') isValid = passesAll(this.#tests.string, value, run, seen)
    else if (typeof value === 'number') isValid = passesAll(this.#tests.number, value, run, seen)
    else if (typeof value !== 'object' || value === null) isValid = passesAll(this.#tests.any, value, run, seen)
    else if (Array.isArray(value)) isValid = passesAll(this.#tests.array, value, run, seen)
    else isValid = passesAll(this.#tests.object, value as JsonMembers, run, seen)
    if (isValid && seen !== undefined && seen !== outer) outer?.add(seen, run.budget)
    return isValid
  }
}

function passesAll<T> (tests: readonly Test<T>[], value: T, run: Evaluation, seen: Evaluated | undefined): boolean {
  let isValid = true
  for (const test of tests) {
    if (test(value, run, seen)) continue
    if (!run.findsAll) return false
    isValid = false
  }
  return isValid
}

function isOfTypes (value: unknown, types: readonly string[]): boolean {
  for (const type of types) if (isOfType(value, type)) return true
  return false
}

function isOfType (value: unknown, type: string): boolean {
  switch (type) {
    case 'string': return typeof value === 'string'
    case 'number': return typeof value === 'number'
    case 'integer': return Number.isInteger(value)
    case 'boolean': return typeof value === 'boolean'
    case 'null': return value === null
    case 'array': return Array.isArray(value)
    default: return typeof value === 'object' && value !== null && !Array.isArray(value)
  }
}

/** Returns whether evaluated members must be tracked, because a keyword could not be rewritten as plain keywords. */
function leavesUnevaluated (keywords: Keywords): boolean {
  return (keywords.unevaluatedItems !== undefined && keywords.unevaluatedItemsRule === undefined) ||
    (keywords.unevaluatedProperties !== undefined && keywords.unevaluatedPropertiesRule === undefined)
}
