import { PublicError } from '../../src/errors.ts'

/** Returns the code of a refusal, or `undefined` if the call succeeded. Rethrows any other error. */
export async function codeOf (work: () => unknown): Promise<string | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (error instanceof PublicError) return error.code
    throw error
  }
}
