/** The steps of a comparison are used up before anything was shown. */
export class GaveUp extends Error {
  override readonly name = 'GaveUp'

  constructor () {
    super('the schemas are too entangled to be compared')
  }
}

/** Counts what a comparison does; the default is one step. Throws GaveUp when there are none left. */
export type Tick = (steps?: number) => void
