const everyMs = 200
const retryAfterMs = 1000

/**
 * Writes down what gathers in memory, a few times a second while something does and less often while that fails.
 * One write runs at a time: what comes in meanwhile is the next one's.
 */
export class BackgroundFlush {
  /** For the write to set: whether the last one found the store. */
  isFailing = false
  readonly #write: () => Promise<void>
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #isClosed = false

  /** `write` stores all there is by now. It never rejects. */
  constructor (write: () => Promise<void>) {
    this.#write = write
  }

  /** Something is there to be written. */
  schedule (): void {
    if (this.#timer !== undefined || this.#isClosed) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.now()
    }, this.isFailing ? retryAfterMs : everyMs).unref()
  }

  /** Writes what there is by now. Resolves when it is stored, or could not be. */
  async now (): Promise<void> {
    await this.#running
    this.#running ??= this.#write().finally(() => { this.#running = undefined })
    await this.#running
  }

  /** Writes a last time; what comes in later is not written. */
  async close (): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.now()
  }
}
