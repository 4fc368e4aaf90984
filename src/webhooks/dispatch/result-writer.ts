import { setTimeout as delay } from 'node:timers/promises'
import type { Queue, Result } from './queue.ts'

/** Results per statement. */
const togetherMax = 500
/** Wait before the next try while the database is unavailable. */
const pauseMs = 500

export interface ResultWriterOptions {
  queue: Queue
  now: () => number
  log: { warn (fields: object, message: string): void }
  /** Receives each result once it is recorded, or once its lease turns out to be lost. */
  onSettled (result: Result, isRecorded: boolean): void
}

/**
 * Records results of attempts. Results that arrive while a statement runs share the next one. While the database is
 * unavailable they wait; their number never exceeds the number of concurrent requests.
 */
export class ResultWriter {
  readonly #options: ResultWriterOptions
  #waiting: Result[] = []
  #unsettled = 0
  #flushing: Promise<void> | undefined
  #isClosed = false

  constructor (options: ResultWriterOptions) {
    this.#options = options
  }

  /** Number of results that are not recorded yet. */
  get unsettled (): number { return this.#unsettled }

  record (result: Result): void {
    this.#unsettled++
    this.#waiting.push(result)
    this.#flushing ??= this.#flush()
  }

  /** Records the waiting results. Discards them while the database is unavailable: leases expire by themselves. */
  async close (): Promise<void> {
    this.#isClosed = true
    await this.#flushing
  }

  async #flush (): Promise<void> {
    // Results of this turn of the event loop share the first statement.
    await new Promise(resolve => setImmediate(resolve))
    let isFailing = false
    while (this.#waiting.length > 0) {
      const results = this.#waiting.splice(0, togetherMax)
      try {
        const recorded = await this.#options.queue.settle(results, this.#options.now())
        for (const result of results) {
          this.#unsettled--
          this.#options.onSettled(result, recorded.has(result.seq))
        }
      } catch (err) {
        if (!isFailing) this.#options.log.warn({ err }, 'webhooks.results_wait')
        isFailing = true
        if (this.#isClosed) break
        this.#waiting.unshift(...results)
        await delay(pauseMs, undefined, { ref: false })
      }
    }
    this.#flushing = undefined
  }
}
