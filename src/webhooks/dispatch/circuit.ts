export interface CircuitLimits {
  /** Requests under way at once, when all is well. */
  concurrencyMax: number
  /** Failures in a row that open it. */
  failures: number
  pauseMs: number
  pauseMaxMs: number
}

/** Requests that must have failed in a row, one after each pause, before an endpoint counts as down. */
const trialsMin = 10

/** Where every endpoint begins: one that hangs is not to take many slots before that is known. */
const firstWindow = 4

/**
 * How much one endpoint may be asked at once. The window grows by one with each success and is halved by each failure;
 * failures in a row open the circuit: then nothing is sent for a while, and after it one request that decides. Each
 * time it stays open, for longer.
 */
export class Circuit {
  readonly #limits: CircuitLimits
  #window: number
  #failuresInRow = 0
  #openings = 0
  #pausedUntil = 0
  #openSince = 0
  #failedAt = 0

  constructor (limits: CircuitLimits) {
    this.#limits = limits
    this.#window = Math.min(firstWindow, limits.concurrencyMax)
  }

  get isOpen (): boolean { return this.#failuresInRow >= this.#limits.failures }
  get window (): number { return this.isOpen ? 1 : this.#window }
  /**
   * For how long it has been seen to be down, in milliseconds: from the failure that opened it to the last one. 0 while
   * it has not been tried often enough to tell; a time in which nothing was sent says nothing.
   */
  get downMs (): number { return this.#openings > trialsMin ? this.#failedAt - this.#openSince : 0 }
  /** Nothing may be sent before. */
  get pausedUntil (): number { return this.#pausedUntil }

  /** How many requests more may be sent now. */
  room (inFlight: number, now: number): number {
    return now < this.#pausedUntil ? 0 : Math.max(0, this.window - inFlight)
  }

  succeeded (): void {
    this.#failuresInRow = this.#openings = 0
    if (this.#window < this.#limits.concurrencyMax) this.#window++
  }

  failed (now: number, random: () => number = Math.random): void {
    this.#failuresInRow++
    this.#window = Math.max(1, this.#window >> 1)
    // Those that were under way when it opened say nothing new.
    if (!this.isOpen || now < this.#pausedUntil) return
    if (this.#openings === 0) this.#openSince = now
    this.#failedAt = now
    const pause = Math.min(this.#limits.pauseMaxMs, this.#limits.pauseMs * 2 ** Math.min(this.#openings++, 30))
    this.#pausedUntil = now + pause * (0.5 + random() / 2)
  }

  /** The endpoint has asked for a pause. */
  pause (until: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, until)
  }
}
