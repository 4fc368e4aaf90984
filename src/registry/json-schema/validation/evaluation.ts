import type { ErrorObject } from 'ajv'
import { pointerTo } from '../json.ts'
import type { Budget } from './fuel.ts'

/** Has the keywords, messages and parameters that Ajv gives for the same violation. */
export type Violation = Pick<ErrorObject, 'instancePath' | 'keyword' | 'message' | 'params'>

/** `silent` finds out whether a payload is valid, `first` also finds the first violation, and `all` finds every one. */
export type Mode = 'silent' | 'first' | 'all'

interface Check { holds (value: unknown, run: Evaluation): boolean }

/** The steps to record a violation. */
const violationSteps = 10

/** One check of a payload: the place that it has reached, and the violations so far. */
export class Evaluation {
  readonly budget: Budget
  readonly violations: Violation[] = []
  readonly #path: (string | number)[] = []
  #mode: Mode

  constructor (budget: Budget, mode: Mode) {
    this.budget = budget
    this.#mode = mode
  }

  get findsAll (): boolean {
    return this.#mode === 'all'
  }

  /** Records a violation. Returns false. */
  fail (keyword: string, message: string, params: Record<string, unknown> = {}): false {
    if (this.#mode === 'silent') return false
    this.budget.burn(violationSteps)
    this.violations.push({ instancePath: pointerTo('', ...this.#path), keyword, params, message })
    return false
  }

  /** Returns whether the check holds for every member. Stops at the first for which it does not, except in `all`. */
  every<T> (members: Iterable<T>, check: (member: T) => boolean): boolean {
    let isValid = true
    for (const member of members) {
      if (check(member)) continue
      if (this.#mode !== 'all') return false
      isValid = false
    }
    return isValid
  }

  /** Returns whether a check holds for a member or item. */
  at (key: string | number, value: unknown, check: Check): boolean {
    this.#path.push(key)
    const isValid = check.holds(value, this)
    this.#path.pop()
    return isValid
  }

  /** Runs a check whose violations do not matter. */
  silently (check: () => boolean): boolean {
    const mode = this.#mode
    this.#mode = 'silent'
    const isValid = check()
    this.#mode = mode
    return isValid
  }

  /** Discards the violations of a union if it holds after all. Returns whether it does. */
  settle (isValid: boolean, before: number): boolean {
    if (isValid && this.violations.length > before) this.violations.length = before
    return isValid
  }

  /** Returns the names of an object, and burns the steps to list them. */
  keysOf (value: object): string[] {
    const keys = Object.keys(value)
    this.budget.burn(keys.length)
    return keys
  }
}

/** The members of one value that its schemas have evaluated. `unevaluated…` applies to all others. */
export class Evaluated {
  readonly names = new Set<string>()
  readonly items = new Set<number>()
  allNames = false
  /** The number of evaluated items at the start, or Infinity. */
  itemsMin = 0

  add (other: Evaluated, budget: Budget): void {
    budget.burn(other.names.size + other.items.size)
    for (const name of other.names) this.names.add(name)
    for (const item of other.items) this.items.add(item)
    this.allNames ||= other.allNames
    this.itemsMin = Math.max(this.itemsMin, other.itemsMin)
  }
}
