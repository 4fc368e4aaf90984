export interface WakeUpOptions {
  /** Longest wait between two cycles. */
  pollMs: number
  now: () => number
}

/** The wait between two cycles of the dispatcher: it ends when the dispatcher is woken, or when work is due. */
export class WakeUp {
  readonly #options: WakeUpOptions
  #isWoken = false
  #dueAt = Infinity
  #resume: () => void = () => {}
  /** Set while the wait ends with the first due work. */
  #timer: NodeJS.Timeout | undefined

  constructor (options: WakeUpOptions) {
    this.#options = options
  }

  /** Ends the wait. If there is none, the next one is skipped. */
  wake (): void {
    this.#isWoken = true
    this.#resume()
  }

  /** Forgets earlier calls of `wake`. */
  reset (): void {
    this.#isWoken = false
  }

  /** Forgets the times of work that was due. Call it before the queue is polled. */
  startPoll (now: number): void {
    this.#dueAt = now + this.#options.pollMs
  }

  /** Ends the wait at that time, if nothing is due earlier. */
  expect (at: number): void {
    if (at >= this.#dueAt) return
    this.#dueAt = at
    if (this.#timer === undefined) return
    clearTimeout(this.#timer)
    this.#timer = this.#resumeAfter(this.#dueInMs)
  }

  /** Waits for `wake` or until work is due. */
  async wait (): Promise<void> {
    if (this.#isWoken) return
    this.#timer = this.#resumeAfter(this.#dueInMs)
    await this.woken()
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Waits for `wake` or until the next poll, even if work is due. */
  async waitForPoll (): Promise<void> {
    if (this.#isWoken) return
    const timer = this.#resumeAfter(this.#options.pollMs)
    await this.woken()
    clearTimeout(timer)
  }

  /** Waits for the next call of `wake`. */
  async woken (): Promise<void> {
    await new Promise<void>(resolve => { this.#resume = resolve })
    this.#resume = () => {}
  }

  get #dueInMs (): number {
    const { pollMs, now } = this.#options
    return Math.min(pollMs, Math.max(1, this.#dueAt - now()))
  }

  #resumeAfter (ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#resume(), ms).unref()
  }
}
