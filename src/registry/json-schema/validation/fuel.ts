/** A step is one evaluation of a subschema, 20 to 50 ns, so all steps take about a tenth of a second. */
const stepsMax = 2_000_000

export class FuelError extends Error {}

/**
 * The steps left for checks that run without a pause: of one payload, or of all payloads of a request. A schema may
 * have thousands of subschemas for each of thousands of values, and a recursive schema may double its work with every
 * level of the payload.
 */
export class Budget {
  left = stepsMax

  /** Throws FuelError if no steps are left. */
  burn (steps: number): void {
    if ((this.left -= steps) < 0) throw new FuelError('takes more steps to check against its schema than allowed')
  }
}
