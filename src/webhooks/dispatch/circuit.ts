import type { WebhookSettings } from '../../config/webhook-settings.ts'

export interface CircuitLimits {
  /** Concurrent requests to a healthy endpoint. */
  concurrencyMax: number
  /** Consecutive failures that open the circuit. */
  failures: number
  pauseMs: number
  pauseMaxMs: number
}

/** The initial window: an endpoint that hangs must not occupy many slots before it is recognized. */
const firstWindow = 4

/**
 * Limits the concurrent requests to one endpoint. Each success widens the window by one, each failure halves it.
 * Consecutive failures open the circuit: sending pauses, and after the pause a single trial request decides. Each
 * further failure lengthens the pause.
 */
export class Circuit {
  readonly #limits: CircuitLimits
  #window: number
  #failuresInRow = 0
  #openings = 0
  #pausedUntil = 0

  constructor (limits: CircuitLimits) {
    this.#limits = limits
    this.#window = Math.min(firstWindow, limits.concurrencyMax)
  }

  get isOpen (): boolean { return this.#failuresInRow >= this.#limits.failures }
  get window (): number { return this.isOpen ? 1 : this.#window }
  /** No request may be sent before this time. */
  get pausedUntil (): number { return this.#pausedUntil }

  /** Returns how many more requests may be sent now. */
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
    // Requests that were in flight when the circuit opened carry no new information.
    if (!this.isOpen || now < this.#pausedUntil) return
    const pause = Math.min(this.#limits.pauseMaxMs, this.#limits.pauseMs * 2 ** Math.min(this.#openings++, 30))
    this.#pausedUntil = now + pause * (0.5 + random() / 2)
  }

  /** Pauses sending because the endpoint requested it. */
  pause (until: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, until)
  }
}

/**
 * Returns the longest pause. Pauses are short relative to the retry schedule, so that trial requests find an endpoint
 * that recovers within the schedule.
 */
export function pauseMaxMs ({ circuitPauseMaxMs, retryScheduleMs }: WebhookSettings): number {
  const scheduleMs = retryScheduleMs.reduce((sum, wait) => sum + wait, 0)
  return Math.min(circuitPauseMaxMs, Math.max(50, scheduleMs / 20))
}

export function circuitOf (settings: WebhookSettings): Circuit {
  const { endpointConcurrencyMax: concurrencyMax, circuitFailures: failures, circuitPauseMs } = settings
  const longest = pauseMaxMs(settings)
  return new Circuit({ concurrencyMax, failures, pauseMs: Math.min(circuitPauseMs, longest), pauseMaxMs: longest })
}
