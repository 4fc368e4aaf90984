/** The longest wait that a timer supports. */
const waitMaxMs = 2 ** 31 - 1

/** Wakes a loop at the earliest of the times that were set. Times that are set between two waits are not lost. */
export class Alarm {
  readonly #now: () => number
  #at = Infinity
  #ring: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined

  constructor (now: () => number) {
    this.#now = now
  }

  wake (): void {
    this.wakeAt(-Infinity)
  }

  /** Ends the wait at that time, unless it ends earlier. */
  wakeAt (time: number): void {
    if (time >= this.#at) return
    this.#at = time
    if (this.#ring !== undefined) this.#set(this.#ring)
  }

  /** Waits until the earliest time that was set since the last wait ended. */
  async next (): Promise<void> {
    await new Promise<void>(resolve => {
      this.#ring = resolve
      this.#set(resolve)
    })
    clearTimeout(this.#timer)
    this.#ring = undefined
    this.#at = Infinity
  }

  #set (ring: () => void): void {
    clearTimeout(this.#timer)
    const waitMs = this.#at - this.#now()
    // The next turn of the event loop, so that a loop never starves it.
    if (waitMs <= 0) setImmediate(ring)
    else this.#timer = setTimeout(ring, Math.min(waitMaxMs, Math.ceil(waitMs))).unref()
  }
}
