import { ServiceUnavailableError } from '../../errors.ts'
import { Turns } from '../../foundation/limits/turns.ts'

/** Limits the jobs that wait for a thread: of all applications together, and of one. */
const waitingMax = { all: 100, ofApplication: 10 }

export const queueRetryAfterS = 5

/**
 * Shares the checker's threads between applications. If there are several threads, one application never uses all of
 * them. Refuses with ServiceUnavailableError `OVERLOADED` if too many jobs wait.
 */
export const createCheckerTurns = (threads: number): Turns =>
  new Turns({
    runningMax: threads,
    runningOfOwnerMax: Math.max(1, threads - 1),
    waiting: {
      max: waitingMax.all,
      ofOwnerMax: waitingMax.ofApplication,
      refusal: limit => overloaded(
        limit === 'owner' ? `${waitingMax.ofApplication} schemas of the application` : `${waitingMax.all} schemas`
      )
    }
  })

const overloaded = (what: string): ServiceUnavailableError =>
  new ServiceUnavailableError(
    'OVERLOADED', `The queue is full: ${what} are waiting to be checked. Retry after ${queueRetryAfterS} s`,
    { retryAfterS: queueRetryAfterS }
  )
