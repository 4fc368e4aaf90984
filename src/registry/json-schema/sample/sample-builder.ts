import type { Solver } from '../compatibility/solver.ts'
import { formatSamples } from '../formats.ts'
import { type Json, type JsonObject, type JsonSchema, pointerTo, setOwn, valueAt } from '../json.ts'
import { patternMatcher } from '../regex/pattern-matcher.ts'
import type { Keywords, SchemaNode } from '../schema-node.ts'
import { GaveUp } from '../steps.ts'
import { writtenExamples } from './written-examples.ts'

/** Limits the depth of samples. */
const depthMax = 24
/** Limits the values of a sample. Beyond the first limit, optional properties are left out. */
const valuesWanted = 300
const valuesMax = 3_000
const itemsMax = 100
const lengthMax = 1_000
/** The number of branches to try of each `anyOf` and `oneOf`. */
const branchesMax = 4
/** The steps of the solver for one value. */
const questionSteps = 50_000

/** A schema, and the place where the author uses it: beside a `$ref`, there may be other examples. */
interface Demand { schema: SchemaNode, place: string }

/** The keywords of schemas that apply to the same value. */
interface Part { keywords: Keywords, pointer: string }

/**
 * Builds a payload from the declared properties, with the author's examples, defaults and enums where they fit, and
 * with values of the solver where none of the usual ones fit. The payload may be invalid: let the validator check it.
 */
export class SampleBuilder {
  readonly #raw: JsonSchema
  readonly #solver: Solver | undefined
  readonly #isFull: boolean
  readonly #path = new Set<SchemaNode>()
  #values = 0
  #depth = 0

  /** With `isFull`, objects have their optional properties. */
  constructor (raw: JsonSchema, solver: Solver | undefined, isFull: boolean) {
    this.#raw = raw
    this.#solver = solver
    this.#isFull = isFull
  }

  build (root: SchemaNode): Json | undefined {
    return this.#build([{ schema: root, place: root.pointer }])
  }

  /** Returns a value that satisfies all demands, as far as this can be told. */
  #build (demands: readonly Demand[]): Json | undefined {
    if (++this.#values > valuesMax || this.#depth > depthMax) return undefined
    const schemas = demands.map(({ schema }) => schema)
    const written = demands.flatMap(({ schema, place }) => this.#writtenFor(schema, place))
    const known = written.find(value => this.#fits(schemas, value))
    if (known !== undefined) return known
    const entered = schemas.filter(schema => !this.#path.has(schema))
    for (const schema of entered) this.#path.add(schema)
    this.#depth++
    const value = this.#compose(schemas) ?? this.#solve(schemas)
    this.#depth--
    for (const schema of entered) this.#path.delete(schema)
    return value
  }

  #writtenFor ({ keywords, pointer }: SchemaNode, place: string): Json[] {
    const raw = [...new Set([place, pointer])].flatMap(at => writtenExamples(valueAt(this.#raw, at)))
    if (typeof keywords === 'boolean') return raw
    return [...raw, ...keywords.const === undefined ? [] : [keywords.const], ...keywords.enum ?? []]
  }

  #compose (schemas: readonly SchemaNode[]): Json | undefined {
    for (let branch = 0; branch < branchesMax; branch++) {
      const collected = partsOf(schemas, branch)
      for (const value of this.#valuesOf(collected.parts)) if (this.#fits(schemas, value)) return value
      if (!collected.hasBranches) break
    }
    return undefined
  }

  * #valuesOf (parts: readonly Part[]): Generator<Json, void> {
    for (const type of typesOf(parts)) {
      switch (type) {
        case 'object':
          for (const isFull of this.#isFull ? [true, false] : [false]) {
            const object = this.#object(parts, isFull)
            if (object !== undefined) yield object
          }
          break
        case 'array': {
          const array = this.#array(parts)
          if (array !== undefined) yield array
          break
        }
        case 'string': yield * texts(parts); break
        case 'boolean': yield * [true, false]; break
        case 'null': yield null; break
        default: yield * numbers(parts)
      }
    }
  }

  #object (parts: readonly Part[], isFull: boolean): JsonObject | undefined {
    const required = new Set(parts.flatMap(({ keywords }) => keywords.required ?? []))
    const declared = parts.flatMap(({ keywords }) => [...keywords.properties?.keys() ?? []])
    const object: JsonObject = {}
    for (const name of new Set([...declared, ...required])) {
      if (!required.has(name) && (!isFull || this.#values > valuesWanted)) continue
      const demands = parts.flatMap(part => demandsOn(part, name))
      if (!required.has(name) && demands.some(({ schema }) => this.#path.has(schema))) continue
      const value = this.#build(demands)
      if (value !== undefined) setOwn(object, name, value)
      else if (required.has(name)) return undefined
    }
    return object
  }

  #array (parts: readonly Part[]): Json[] | undefined {
    const keywords = parts.map(part => part.keywords)
    const min = Math.max(0, ...keywords.map(({ minItems = 0, contains, minContains = 1 }) =>
      Math.max(minItems, contains === undefined ? 0 : minContains)
    ))
    const max = Math.min(...keywords.map(({ maxItems = Infinity }) => maxItems))
    const wanted = this.#isFull ? Math.max(1, ...keywords.map(({ prefixItems = [] }) => prefixItems.length)) : 0
    const length = Math.min(max, Math.max(min, wanted))
    if (length > itemsMax) return undefined
    const items: Json[] = []
    for (let i = 0; i < length; i++) {
      const demands = parts.flatMap(part => demandsOnItem(part, i))
      if (i >= min && demands.some(({ schema }) => this.#path.has(schema))) break
      const item = this.#build(demands)
      if (item === undefined) return i < min ? undefined : items
      items.push(item)
    }
    return items
  }

  /** Returns whether the value satisfies the schemas. Without steps left, leaves it to the validator. */
  #fits (schemas: readonly SchemaNode[], value: Json): boolean {
    const { formulas } = this.#solver ?? {}
    if (formulas === undefined) return true
    try {
      return schemas.every(schema => this.#solver?.holds(formulas.schema(schema), value) !== false)
    } catch (error) {
      if (error instanceof GaveUp || error instanceof RangeError) return true
      throw error
    }
  }

  #solve (schemas: readonly SchemaNode[]): Json | undefined {
    const { formulas } = this.#solver ?? {}
    if (formulas === undefined) return undefined
    return this.#solver?.findWithin(questionSteps, schemas.map(schema => formulas.schema(schema)))?.values[0]
  }
}

/** Returns the schemas in place: all of `allOf`, and the branch with the given number of each `anyOf` and `oneOf`. */
function partsOf (schemas: readonly SchemaNode[], branch: number): { parts: Part[], hasBranches: boolean } {
  const parts: Part[] = []
  let hasBranches = false
  const found = new Set(schemas)
  const add = (more: readonly (SchemaNode | undefined)[]): void => {
    for (const schema of more) if (schema !== undefined) found.add(schema)
  }
  for (const { keywords, pointer } of found) {
    if (typeof keywords === 'boolean') continue
    parts.push({ keywords, pointer })
    const { allOf = [], anyOf = [], oneOf = [], if: test, then, else: otherwise } = keywords
    hasBranches ||= anyOf.length > 1 || oneOf.length > 1 || test !== undefined
    add([...allOf, anyOf[branch % anyOf.length], oneOf[branch % oneOf.length]])
    if (test !== undefined) add(branch % 2 === 0 ? [test, then] : [otherwise])
  }
  return { parts, hasBranches }
}

const everyType = ['string', 'integer', 'number', 'object', 'array', 'boolean', 'null']

/** Returns the types that all parts allow, in the order of the author, or else as the keywords suggest. */
function typesOf (parts: readonly Part[]): string[] {
  const declared = parts.flatMap(({ keywords }) => keywords.type === undefined ? [] : [keywords.type])
  const [first = [...everyType].sort((a, b) => weightOf(b, parts) - weightOf(a, parts)), ...others] = declared
  const isIn = (list: string[], type: string): boolean =>
    list.includes(type) || (type === 'integer' && list.includes('number'))
  return first.filter(type => others.every(list => isIn(list, type)))
}

const words: Record<string, readonly (keyof Keywords)[]> = {
  object: ['properties', 'required', 'additionalProperties', 'patternProperties', 'minProperties', 'propertyNames'],
  array: ['items', 'prefixItems', 'minItems', 'contains', 'uniqueItems'],
  string: ['minLength', 'maxLength', 'pattern', 'format'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf']
}

/** Returns how many keywords are about the type. */
function weightOf (type: string, parts: readonly Part[]): number {
  return (words[type] ?? []).filter(word => parts.some(({ keywords }) => keywords[word] !== undefined)).length
}

/** Returns the schemas of a property. */
function demandsOn ({ keywords, pointer }: Part, name: string): Demand[] {
  const { properties, patternProperties = new Map<string, SchemaNode>(), additionalProperties } = keywords
  const demands: Demand[] = []
  const declared = properties?.get(name)
  if (declared !== undefined) demands.push({ schema: declared, place: pointerTo(pointer, 'properties', name) })
  for (const [pattern, schema] of patternProperties) {
    if (!patternMatcher(pattern).test(name)) continue
    demands.push({ schema, place: pointerTo(pointer, 'patternProperties', pattern) })
  }
  if (demands.length > 0 || additionalProperties === undefined) return demands
  return [{ schema: additionalProperties, place: additionalProperties.pointer }]
}

/** Returns the schemas of an item. The first items are those that `contains` demands. */
function demandsOnItem ({ keywords }: Part, index: number): Demand[] {
  const { prefixItems, items, contains, minContains = 1 } = keywords
  const item = prefixItems?.[index] ?? items
  const demanded = [item, index < minContains ? contains : undefined].filter(schema => schema !== undefined)
  return demanded.map(schema => ({ schema, place: schema.pointer }))
}

/** Yields texts from the most to the least sensible. */
function * texts (parts: readonly Part[]): Generator<string, void> {
  for (const { keywords: { format } } of parts) if (format !== undefined) yield * formatSamples.get(format) ?? []
  yield 'text'
  const min = Math.max(0, ...parts.map(({ keywords }) => keywords.minLength ?? 0))
  const max = Math.min(...parts.map(({ keywords }) => keywords.maxLength ?? Infinity))
  if (min > 'text'.length && min <= lengthMax) yield 'text'.repeat(Math.ceil(min / 4)).slice(0, min)
  if (max < 'text'.length) yield 'text'.slice(0, max)
}

/** Yields numbers from the most to the least sensible. */
function * numbers (parts: readonly Part[]): Generator<number, void> {
  yield 1
  for (const { keywords } of parts) {
    const { minimum, exclusiveMinimum, maximum, exclusiveMaximum, multipleOf: step } = keywords
    const low = minimum ?? exclusiveMinimum
    const high = maximum ?? exclusiveMaximum
    if (minimum !== undefined) yield minimum
    if (exclusiveMinimum !== undefined) yield Math.floor(exclusiveMinimum) + 1
    if (step !== undefined) {
      yield * [step, Math.ceil((low ?? 0) / step) * step, (Math.floor((low ?? 0) / step) + 1) * step]
    }
    if (low !== undefined && high !== undefined) yield * [Math.ceil(low), (low + high) / 2]
    if (maximum !== undefined) yield maximum
    if (exclusiveMaximum !== undefined) yield Math.ceil(exclusiveMaximum) - 1
  }
  yield * [0, -1]
}
