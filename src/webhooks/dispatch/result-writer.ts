import { setTimeout as delay } from 'node:timers/promises'
import type { Queue, Result } from './queue.ts'

/** Results that one statement records. */
const togetherMax = 500
/** How long to wait while the database takes none. */
const pauseMs = 500

export interface SettlerOptions {
  queue: Queue
  log: { warn (fields: object, message: string): void }
  /** Told of each result once it is recorded, or known to come too late. */
  onSettled (result: Result, isRecorded: boolean): void
}

/**
 * Records results: what comes in while a statement is under way shares the next one. While the database is away they
 * wait; there are never more than requests may be under way.
 */
export class Settler {
  readonly #options: SettlerOptions
  #waiting: Result[] = []
  #flushing: Promise<void> | undefined
  #isClosed = false

  constructor (options: SettlerOptions) {
    this.#options = options
  }

  record (result: Result): void {
    this.#waiting.push(result)
    this.#flushing ??= this.#flush()
  }

  /** Waits for what there is. From then on a database that is away is not waited for: leases end by themselves. */
  async close (): Promise<void> {
    this.#isClosed = true
    await this.#flushing
  }

  async #flush (): Promise<void> {
    // What ends in this turn of the event loop shares the first statement.
    await new Promise(resolve => setImmediate(resolve))
    let isFailing = false
    while (this.#waiting.length > 0) {
      const results = this.#waiting.splice(0, togetherMax)
      try {
        const recorded = await this.#options.queue.settle(results, Date.now())
        for (const result of results) this.#options.onSettled(result, recorded.has(result.seq))
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
