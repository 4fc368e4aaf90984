import { formatLsn, type LeaseKey, type StreamStates } from '../source/stream-state.ts'
import type { StreamProgress } from '../threads/methods.ts'

export interface AcknowledgerOptions {
  states: StreamStates
  lease: LeaseKey
  /** Sends an acknowledgement to the server. */
  acknowledge (lsn: bigint, isPing: boolean): void
  /** Receives the error when a position could not be stored. */
  onFailed (error: unknown): void
}

/**
 * Acknowledges what the stream has settled. Stores each position before it is acknowledged: a slot beyond the stored
 * position was advanced by another program.
 */
export class Acknowledger {
  readonly #options: AcknowledgerOptions
  #confirmed = 0n
  #settled = 0n
  #isConfirming = false

  constructor (options: AcknowledgerOptions) {
    this.#options = options
  }

  /** The last LSN that is stored as confirmed. */
  get confirmed (): bigint { return this.#confirmed }

  /** Starts from the position that is stored. */
  start (confirmed: bigint): void {
    this.#confirmed = this.#settled = confirmed
  }

  follow ({ settled, stored }: Pick<StreamProgress, 'settled' | 'stored'>): void {
    if (settled > this.#settled) this.#settled = settled
    if (stored > this.#confirmed) this.#confirmed = stored
    this.#confirmSettled()
  }

  /** Acknowledges the same position again, to which the server responds. */
  ping (): void {
    this.#options.acknowledge(this.#confirmed, true)
    this.#confirmSettled()
  }

  #confirmSettled (): void {
    if (this.#settled > this.#confirmed && !this.#isConfirming) void this.#confirm()
  }

  async #confirm (): Promise<void> {
    const { states, lease, acknowledge, onFailed } = this.#options
    this.#isConfirming = true
    try {
      const lsn = this.#settled
      await states.confirm(lease, formatLsn(lsn))
      if (lsn > this.#confirmed) this.#confirmed = lsn
      acknowledge(this.#confirmed, false)
    } catch (error) {
      onFailed(error)
    } finally {
      this.#isConfirming = false
    }
  }
}
