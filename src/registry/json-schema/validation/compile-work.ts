import { SchemaError } from '../schema-error.ts'

/** Limits the steps of reading and compiling one schema. A step takes about 1 µs, so all take about a second. */
export const compileStepsMax = 1_000_000

/** The steps between two points where the work can pause: well below a millisecond. */
const pauseSteps = 250

/**
 * Counts the steps of compiling a schema. They depend only on the schema, so that a schema is accepted or refused by
 * all machines alike, however slow or busy they are.
 */
export class CompileWork {
  readonly #max: number
  #steps = 0
  #pauseAt = pauseSteps

  /** Without a maximum, no schema is refused. Use it for a schema that was accepted before. */
  constructor (max = Infinity) {
    this.#max = max
  }

  get steps (): number {
    return this.#steps
  }

  /** Returns whether the caller should yield. Throws SchemaError if the schema takes more steps than the maximum. */
  spend (steps: number): boolean {
    this.#steps += steps
    if (this.#steps > this.#max) {
      throw new SchemaError(`the schema takes more than ${this.#max} steps to compile; make it smaller`)
    }
    if (this.#steps < this.#pauseAt) return false
    this.#pauseAt = this.#steps + pauseSteps
    return true
  }
}

/** Runs pausable work to its end without pausing. */
export function finish<T> (work: Generator<unknown, T>): T {
  for (;;) {
    const { done, value } = work.next()
    if (done === true) return value
  }
}
