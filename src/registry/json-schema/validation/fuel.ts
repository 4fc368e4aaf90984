import { _, type CodeKeywordDefinition } from 'ajv/dist/core.js'

/** The name of the keyword that `Fuel` counts by. It cannot be written in a schema: unknown keywords are left out. */
export const FUEL = 'x-fuel'

/** A step is one evaluation of a subschema, some 20 to 50 ns: all of them are a tenth of a second or so. */
const STEPS_MAX = 2_000_000

export class FuelError extends Error {}

/** What checks that run without a pause may take together: those of one payload, or of all payloads of a request. */
export class Budget {
  left = STEPS_MAX
}

/**
 * Stops a validation whose cost explodes: a schema may have thousands of subschemas for each of thousands of values,
 * and a recursive one may double its work with every level of the payload. One for each compiled schema.
 */
export class Fuel {
  /** Read and written by the compiled code. */
  left = 0
  readonly #tracksEvaluated: boolean

  /** With `tracksEvaluated`, Ajv copies the names that were evaluated from one subschema to the next. */
  constructor ({ tracksEvaluated }: { tracksEvaluated: boolean }) {
    this.#tracksEvaluated = tracksEvaluated
  }

  /** Runs a check on a budget. */
  run<T> (budget: Budget, check: () => T): T {
    this.left = budget.left
    try {
      return check()
    } finally {
      budget.left = this.left
    }
  }

  burn (steps: number): void {
    if ((this.left -= steps) < 0) throw new FuelError('the payload takes too long to check against its schema')
  }

  /** What copying the names of an object takes; large objects are dictionaries. */
  burnNames (value: object): void {
    const { length } = Object.keys(value)
    this.burn(length > 100 ? length * 16 : length)
  }

  /**
   * Counts an evaluation, in line, since a call would take as long as what it counts. What is asked of a string takes
   * time by its length.
   */
  readonly keyword: CodeKeywordDefinition = {
    keyword: FUEL,
    schemaType: 'boolean',
    code: ({ gen, data }) => {
      const fuel = gen.scopeValue('obj', { ref: this })
      gen.code(_`if ((${fuel}.left -= typeof ${data} == "string" ? 1 + (${data}.length >> 3) : 1) < 0) ${fuel}.burn(0)`)
      if (this.#tracksEvaluated) gen.code(_`if (typeof ${data} == "object" && ${data}) ${fuel}.burnNames(${data})`)
    }
  }
}
