const everyMs = 200
const retryAfterMs = 1000

/**
 * Stores collected items a few times per second, and less often while the store fails. One write runs at a time; items
 * that arrive meanwhile go into the next.
 */
export class BackgroundWriter {
  /** Set by the write: whether it failed to reach the store. */
  isFailing = false
  readonly #write: () => Promise<void>
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #isClosed = false

  /** `write` stores all current items. It must not reject. */
  constructor (write: () => Promise<void>) {
    this.#write = write
  }

  /** Schedules a write. */
  schedule (): void {
    if (this.#timer !== undefined || this.#isClosed) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.now()
    }, this.isFailing ? retryAfterMs : everyMs).unref()
  }

  /** Writes the current items now. Resolves when they are stored, or the write has failed. */
  async now (): Promise<void> {
    await this.#running
    this.#running ??= this.#write().finally(() => { this.#running = undefined })
    await this.#running
  }

  /** Writes one last time. Later items are not written. */
  async close (): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.now()
  }
}
