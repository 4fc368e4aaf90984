import { SchemaError } from '../schema-error.ts'

/** What reading and compiling one schema may take. A step is some 1 µs, so that this is about a second. */
export const COMPILE_STEPS_MAX = 1_000_000

/** Steps between two points where the work can pause: well below a millisecond. */
const STRIDE = 250

/**
 * Counts the steps that compiling a schema takes. Steps depend on the schema alone, so that a schema that is refused on
 * one machine is refused on all, however slow or busy they are.
 */
export class CompileWork {
  readonly #max: number
  #steps = 0
  #pauseAt = STRIDE

  /** Without a maximum, nothing is refused: for a schema that was accepted before. */
  constructor (max = Infinity) {
    this.#max = max
  }

  get steps (): number {
    return this.#steps
  }

  /** Returns whether the caller should yield. Throws SchemaError when the schema takes more than it may. */
  spend (steps: number): boolean {
    this.#steps += steps
    if (this.#steps > this.#max) { throw new SchemaError(`the schema takes more than ${this.#max} steps to compile; make it smaller`) }
    if (this.#steps < this.#pauseAt) return false
    this.#pauseAt = this.#steps + STRIDE
    return true
  }
}

/** Runs work that can pause to its end, without pausing. */
export function finish<T> (work: Generator<unknown, T>): T {
  for (;;) {
    const { done, value } = work.next()
    if (done === true) return value
  }
}
