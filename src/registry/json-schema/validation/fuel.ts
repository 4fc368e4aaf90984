import { _, type CodeKeywordDefinition } from 'ajv/dist/core.js'

/** The keyword by which `Fuel` counts. An author cannot use it, because unknown keywords of a schema are omitted. */
export const fuelKeyword = 'x-fuel'

/** A step is one evaluation of a subschema, 20 to 50 ns, so all steps take about a tenth of a second. */
const stepsMax = 2_000_000

export class FuelError extends Error {}

/** The steps left for checks that run without a pause: of one payload, or of all payloads of a request. */
export class Budget {
  left = stepsMax
}

/**
 * Stops a validation that takes too many steps: a schema may have thousands of subschemas for each of thousands of
 * values, and a recursive schema may double its work with every level of the payload. Each compiled schema has one.
 */
export class Fuel {
  /** The steps left. The compiled code reads and writes it. */
  left = 0
  readonly #tracksEvaluated: boolean

  /** With `tracksEvaluated`, Ajv copies the evaluated names from one subschema to the next. */
  constructor ({ tracksEvaluated }: { tracksEvaluated: boolean }) {
    this.#tracksEvaluated = tracksEvaluated
  }

  /** Runs a check with the steps of a budget. */
  run<T> (budget: Budget, check: () => T): T {
    this.left = budget.left
    try {
      return check()
    } finally {
      budget.left = this.left
    }
  }

  burn (steps: number): void {
    if ((this.left -= steps) < 0) throw new FuelError('takes more steps to check against its schema than allowed')
  }

  /** Counts the steps of copying the names of an object. Large objects are dictionaries and take longer. */
  burnNames (value: object): void {
    const { length } = Object.keys(value)
    this.burn(length > 100 ? length * 16 : length)
  }

  /**
   * Counts an evaluation, inline, since a call would take as long as the evaluation. Checks of a string count by its
   * length.
   */
  readonly keyword: CodeKeywordDefinition = {
    keyword: fuelKeyword,
    schemaType: 'boolean',
    code: ({ gen, data }) => {
      const fuel = gen.scopeValue('obj', { ref: this })
      gen.code(_`if ((${fuel}.left -= typeof ${data} == "string" ? 1 + (${data}.length >> 3) : 1) < 0) ${fuel}.burn(0)`)
      if (this.#tracksEvaluated) gen.code(_`if (typeof ${data} == "object" && ${data}) ${fuel}.burnNames(${data})`)
    }
  }
}
