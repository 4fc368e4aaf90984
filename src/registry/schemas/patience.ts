import { setTimeout } from 'node:timers/promises'
import { ServiceUnavailableError } from '../../errors.ts'
import { queueRetryAfterS } from './checker-turns.ts'

const attemptsMax = 20
const pauseMs = 500

/**
 * Repeats work that the checker refuses because its queue is full. Otherwise a document of many pages would break off
 * in the middle when several clients request theirs at once.
 */
export async function patiently<T> (work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      const isQueueFull = error instanceof ServiceUnavailableError && error.retryAfterS === queueRetryAfterS
      if (!isQueueFull || attempt >= attemptsMax) throw error
      await setTimeout(pauseMs)
    }
  }
}
