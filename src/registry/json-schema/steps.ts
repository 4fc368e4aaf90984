/** Thrown when the steps of a comparison run out before there is a verdict. */
export class GaveUp extends Error {
  override readonly name = 'GaveUp'

  constructor () {
    super('the comparison takes more steps than allowed')
  }
}

/** Counts the steps of a comparison, one by default. Throws GaveUp when none are left. */
export type Tick = (steps?: number) => void
