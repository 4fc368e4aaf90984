import type { Formula } from './formula.ts'
import { Budget } from '../validation/fuel.ts'
import { canonical, isObject, type Json, type JsonObject } from '../json.ts'
import { reachable, type SchemaNode } from '../schema-node.ts'
import type { Solver } from './solver.ts'
import { validatorOf, type Validator } from '../validation/validators.ts'

/** The number of documents to try for each question that the rules could not decide. */
const triesMax = 150
const modelsMax = 6
/** The validator's evaluations per step. They run in compiled code. */
const fuelPerStep = 8

/**
 * Searches for documents that the writer may send and the reader rejects. The validator that checks payloads confirms
 * each of them.
 */
export class WitnessSearch {
  readonly #solver: Solver
  readonly #writer: SchemaNode
  readonly #reader: SchemaNode
  #validators: { writer: Validator, reader: Validator } | undefined
  #ingredients: Json[] | undefined
  #seed = 1

  constructor (solver: Solver, writer: SchemaNode, reader: SchemaNode) {
    this.#solver = solver
    this.#writer = writer
    this.#reader = reader
  }

  isWitness (document: Json): boolean {
    this.#validators ??= { writer: validatorOf(this.#writer), reader: validatorOf(this.#reader) }
    return this.#isValid(this.#validators.writer, document) && !this.#isValid(this.#validators.reader, document)
  }

  #isValid (validator: Validator, document: Json): boolean {
    const budget = new Budget()
    const before = budget.left
    const isValid = validator.isValid(document, budget)
    this.#solver.tick(1 + Math.floor((before - budget.left) / fuelPerStep))
    return isValid
  }

  /** Returns a confirmed witness among or near documents of the violation or the writer, found within the steps. */
  find (violation: Formula, steps: number): { document: Json } | undefined {
    const stepsLeftMin = this.#solver.stepsLeft - steps
    const writer = this.#solver.formulas.schema(this.#writer)
    const near = [[writer, violation], [writer]].flatMap(parts =>
      this.#solver.findWithin(steps / 3, parts, modelsMax)?.values ?? []
    )
    const seen = new Set<string>()
    for (const document of this.#candidates(near, stepsLeftMin)) {
      const text = canonical(document)
      if (seen.has(text)) continue
      seen.add(text)
      if (this.isWitness(document)) return { document }
    }
    return undefined
  }

  /** Yields the given documents, then random variations of them, while steps are left. */
  * #candidates (near: readonly Json[], stepsLeftMin: number): Generator<Json> {
    for (const document of near) if (this.#solver.stepsLeft > stepsLeftMin) yield document
    for (let i = 0; i < triesMax && this.#solver.stepsLeft > stepsLeftMin; i++) {
      yield this.#vary(this.#pick(near.length > 0 ? near : this.#parts()))
    }
  }

  /** Returns the document with one value replaced, removed or added at a random place. */
  #vary (document: Json): Json {
    if (Array.isArray(document) && document.length > 0 && this.#random() < 0.7) {
      const at = Math.floor(this.#random() * document.length)
      if (this.#random() < 0.3) return [...document, this.#pick(this.#parts())]
      return document.map((item, i) => i === at ? this.#vary(item) : item)
    }
    if (isObject(document) && this.#random() < 0.8) return this.#varyObject(document)
    return this.#pick(this.#parts())
  }

  #varyObject (document: JsonObject): Json {
    const keys = Object.keys(document)
    const key = keys.length > 0 && this.#random() < 0.6
      ? this.#pick(keys)
      : this.#pick(this.#parts().filter(part => typeof part === 'string'))
    const copy = { ...document }
    if (this.#random() < 0.2) delete copy[key]
    else copy[key] = this.#vary(copy[key] ?? this.#pick(this.#parts()))
    return copy
  }

  /** Returns the values that occur in the two schemas, with adjacent values. */
  #parts (): Json[] {
    if (this.#ingredients !== undefined) return this.#ingredients
    const parts = new Map<string, Json>()
    const add = (...values: Json[]): void => { for (const value of values) parts.set(canonical(value), value) }
    add(null, true, false, 0, 1, -1, 0.5, '', 'a', 'abc', [], {}, [1], { a: 1 })
    for (const { keywords } of reachable(this.#writer, this.#reader)) {
      if (typeof keywords === 'boolean' || parts.size > 400) continue
      for (
        const value of [
          keywords.minimum, keywords.maximum, keywords.exclusiveMinimum, keywords.exclusiveMaximum, keywords.multipleOf
        ]
      ) if (value !== undefined) add(value, value + 1, value - 1, value + 0.5)
      for (const size of [keywords.minLength, keywords.maxLength]) {
        if (size !== undefined && size < 1_000) add('a'.repeat(size), 'a'.repeat(size + 1))
      }
      add(
        ...keywords.enum ?? [],
        ...keywords.required ?? [],
        ...keywords.properties?.keys() ?? [],
        ...keywords.const === undefined ? [] : [keywords.const]
      )
    }
    this.#ingredients = [...parts.values()]
    return this.#ingredients
  }

  #pick<T> (list: readonly T[]): T {
    const picked = list[Math.floor(this.#random() * list.length)]
    if (picked === undefined) throw new RangeError('cannot pick from an empty list')
    return picked
  }

  /** Returns a pseudo-random number. The sequence is the same in every run (mulberry32). */
  #random (): number {
    this.#seed = (this.#seed + 0x6d2b79f5) | 0
    let t = Math.imul(this.#seed ^ this.#seed >>> 15, 1 | this.#seed)
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t
    return ((t ^ t >>> 14) >>> 0) / 4294967296
  }
}
