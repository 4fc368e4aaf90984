import { PublicError } from '../../../src/errors.ts'

/** The code that a call was refused with, or `undefined` when it was not. Anything but a refusal is thrown on. */
export async function codeOf (work: () => unknown): Promise<string | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (error instanceof PublicError) return error.code
    throw error
  }
}
