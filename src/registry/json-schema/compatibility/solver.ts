import { type Formula, Formulas } from './formula.ts'
import { holds } from './holds.ts'
import { identify } from '../identity.ts'
import { type Json, jsonTypes, typeOf } from '../json.ts'
import { Languages } from '../regex/pattern-language.ts'
import type { Reason } from './reasons.ts'
import { type Models, noModels, type Questions } from './models.ts'
import { expand } from './schema-formula.ts'
import type { SchemaNode } from '../schema-node.ts'
import { settle, startOf, type State } from './solver-state.ts'
import { solveArray } from './solve-array.ts'
import { solveNumber } from './solve-number.ts'
import { solveObject } from './solve-object.ts'
import { solveString } from './solve-string.ts'
import { GaveUp, type Tick } from '../steps.ts'

/**
 * Limits the depth of questions. Deeper ones would overflow the thread's stack, at a depth that varies between runs.
 */
const depthMax = 1_500
const searchDepthMax = 4_000

const solveByType = { number: solveNumber, string: solveString, array: solveArray, object: solveObject }

/**
 * Finds values in the set of a formula, or proves that there are none, one type of value at a time. The rules of the
 * type solve the demands that allow no choice. If the value found violates clauses, their parts are tried one after the
 * other.
 *
 * Recursive schemas are handled by induction: a value that contains a value of the same set is larger than that one, so
 * while a question is open, the same question inside of it counts as "none".
 */
export class Solver implements Questions {
  readonly formulas: Formulas
  readonly languages: Languages
  readonly #answers = new Map<string, Models>()
  readonly #open = new Map<string, number>()
  readonly #expanded = new Map<number, Formula>()
  /** The outermost open question that an answer assumed to be "none". */
  #reliesOn = Infinity
  readonly #stepsMax: number
  #steps = 0
  #limit: number
  #depth = 0

  constructor (nodes: Iterable<SchemaNode>, stepsMax = Infinity) {
    this.#stepsMax = stepsMax
    this.#limit = stepsMax
    this.languages = new Languages(this.tick)
    this.formulas = new Formulas(identify(nodes, this.tick), this.tick)
  }

  get stepsUsed (): number {
    return this.#steps
  }

  /** The number of steps left for all questions together. */
  get stepsLeft (): number {
    return this.#stepsMax - this.#steps
  }

  /** Returns values, or undefined if the question takes more than the given steps or more than are left for all. */
  findWithin (steps: number, parts: readonly Formula[], want = 1): Models | undefined {
    this.#limit = Math.min(this.#stepsMax, this.#steps + steps)
    try {
      return this.models(parts, want)
    } catch (error) {
      if (error instanceof GaveUp || error instanceof RangeError) return undefined
      throw error
    } finally {
      this.#open.clear()
      this.#reliesOn = Infinity
      this.#depth = 0
      this.#limit = this.#stepsMax
    }
  }

  readonly tick: Tick = (steps = 1) => {
    if ((this.#steps += steps) > this.#limit) throw new GaveUp()
  }

  readonly expand = (formula: Formula): Formula => {
    if (formula.kind !== 'schema') return formula
    const known = this.#expanded.get(formula.id) ?? expand(formula, this.formulas)
    this.#expanded.set(formula.id, known)
    return known
  }

  holds (formula: Formula, value: Json): boolean {
    return holds(formula, value, this)
  }

  /** Returns up to `want` values that satisfy all parts. */
  models (parts: readonly Formula[], want = 1): Models {
    const key = `${want}:${[...new Set(parts.map(part => part.id))].sort((a, b) => a - b).join()}`
    const known = this.#answers.get(key)
    if (known !== undefined) return known
    const above = this.#open.get(key)
    if (above !== undefined) {
      this.#reliesOn = Math.min(this.#reliesOn, above)
      return noModels
    }
    return this.#answer(key, parts, want)
  }

  #answer (key: string, parts: readonly Formula[], want: number): Models {
    const depth = this.#open.size
    if (depth > depthMax) throw new GaveUp()
    this.tick(1 + (parts.length >> 2))
    const reliedOn = this.#reliesOn
    this.#reliesOn = Infinity
    this.#open.set(key, depth)
    let answer = this.#everyType(parts, want)
    this.#open.delete(key)
    // The values are right, but an assumption may have hidden others.
    if (this.#reliesOn < Infinity && answer.values.length > 0) answer = { ...answer, exhausted: false }
    // An answer that assumes an outer question to be "none" holds only inside of that question.
    if (this.#reliesOn >= depth) {
      this.#answers.set(key, answer)
      this.#reliesOn = reliedOn
    } else this.#reliesOn = Math.min(reliedOn, this.#reliesOn)
    return answer
  }

  #everyType (parts: readonly Formula[], want: number): Models {
    const found = new Gathering(want)
    for (const type of jsonTypes) {
      const state = startOf(parts, type, this)
      if (state !== undefined) found.take(this.#search(state, want))
      if (found.isFull) break
    }
    return found.models
  }

  #search (state: State, want: number): Models {
    if (++this.#depth > searchDepthMax) throw new GaveUp()
    const models = this.#searchState(state, want)
    this.#depth--
    return models
  }

  #searchState (state: State, want: number): Models {
    this.tick()
    const { type } = state
    if (type === 'null') return this.#among([null], state)
    if (type === 'boolean') return this.#among([true, false], state)
    const listed = listedValues(state)
    if (listed !== undefined) return this.#among(listed, state)
    const plain = solveByType[type](state.literals, want, this)
    if (state.clauses.length === 0 || (plain.values.length === 0 && plain.exhausted)) return plain
    const found = new Gathering(want)
    const fitting = plain.values.filter(value => state.clauses.every(clause => this.holds(clause, value)))
    found.take({ values: fitting, exhausted: false })
    if (found.isFull) return found.models
    return this.#branch(state, plain.values[0], found, want)
  }

  /** Tries every part of one clause: the shortest clause that the value violates. */
  #branch (state: State, value: Json | undefined, found: Gathering, want: number): Models {
    const violated = value === undefined ? [] : state.clauses.filter(clause => !this.holds(clause, value))
    const clause = (violated.length > 0 ? violated : state.clauses).reduce((a, b) =>
      b.parts.length < a.parts.length ? b : a
    )
    const branches = new Gathering(want)
    branches.take({ values: found.models.values, exhausted: true })
    for (const part of clause.parts) {
      const next = settle(state, clause, part, this)
      if (next !== undefined) branches.take(this.#search(next, want))
      if (branches.isFull) break
    }
    return branches.models
  }

  /** Returns the values of a state that can only have the given ones. */
  #among (candidates: readonly Json[], state: State): Models {
    const values = candidates.filter(value =>
      state.literals.every(literal => this.holds(literal, value)) &&
      state.clauses.every(clause => this.holds(clause, value))
    )
    return { values, exhausted: true }
  }
}

/** Returns the values of the state's type that one of its literals lists, or undefined without such a literal. */
function listedValues ({ type, literals }: State): Json[] | undefined {
  const list = literals.find(literal => literal.kind === 'in' && !literal.negated)
  return list?.kind === 'in' ? [...list.values.values()].filter(value => typeOf(value) === type) : undefined
}

/** Combines the answers of several questions that together form one. */
class Gathering {
  readonly #values: Json[] = []
  readonly #want: number
  #isExhausted = true
  #reason: Reason | undefined

  constructor (want: number) {
    this.#want = want
  }

  take (models: Models): void {
    this.#values.push(...models.values)
    this.#isExhausted &&= models.exhausted
    this.#reason ??= models.reason
  }

  get isFull (): boolean {
    return this.#values.length >= this.#want
  }

  get models (): Models {
    const isExhausted = this.#isExhausted && !this.isFull
    return {
      values: this.#values,
      exhausted: isExhausted,
      ...this.#reason === undefined || isExhausted ? {} : { reason: this.#reason }
    }
  }
}
