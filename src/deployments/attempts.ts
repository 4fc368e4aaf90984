import { ServiceUnavailableError } from '../errors.ts'
import { TargetChanged } from './refusals.ts'

/** Attempts of one request while others change the target. */
const attemptsMax = 10

/**
 * Repeats an attempt to change the target of a deployment while others change it. Throws ServiceUnavailableError
 * `OVERLOADED` if they do so too often.
 */
export async function repeatWhileChanging<T> (deploymentId: string, attempt: () => Promise<T>): Promise<T> {
  for (let n = 1; n <= attemptsMax; n++) {
    try {
      return await attempt()
    } catch (error) {
      if (!isPassing(error)) throw error
    }
  }
  throw new ServiceUnavailableError(
    'OVERLOADED',
    `Other requests are changing the target of ${deploymentId} at the same time. Retry after 1 s`,
    { retryAfterS: 1 }
  )
}

/**
 * Returns whether a new attempt may have another result: the target has changed, PostgreSQL has ended this transaction
 * in favour of another (deadlock_detected), or the application was deleted (foreign_key_violation).
 */
const isPassing = (error: unknown): boolean =>
  error instanceof TargetChanged || ['40P01', '23503'].includes(String((error as { code?: unknown }).code))
