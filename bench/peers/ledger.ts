import type { Losses } from './results.ts'

/** Counts what a consumer receives of the numbers 1 to n, which are published once each, in order. */
export class ReceiptLedger {
  readonly #times: Uint32Array
  #highest = 0
  #reordered = 0
  #announced = 0
  #distinct = 0

  constructor (expected: number) {
    this.#times = new Uint32Array(expected + 1)
  }

  /** Records a receipt. The time of the last distinct one decides when nothing more is to be expected. */
  receive (n: number): void {
    if (!Number.isInteger(n) || n < 1 || n >= this.#times.length) throw new Error(`${n} was not published`)
    const before = this.#times[n] ?? 0
    this.#times[n] = before + 1
    if (before > 0) return
    this.#distinct++
    if (n < this.#highest) this.#reordered++
    else this.#highest = n
  }

  /** Records that the consumer learned that something may be missing. */
  announce (): void {
    this.#announced++
  }

  get distinct (): number {
    return this.#distinct
  }

  get isComplete (): boolean {
    return this.#distinct === this.#times.length - 1
  }

  losses (): Losses {
    const expected = this.#times.length - 1
    const receipts = this.#times.reduce((sum, times) => sum + times, 0)
    return {
      expected,
      lost: expected - this.#distinct,
      doubled: receipts - this.#distinct,
      reordered: this.#reordered,
      announced: this.#announced
    }
  }
}

/** Adds up the runs of one entrant. */
export const total = (runs: readonly Losses[]): Losses => runs.reduce((sum, one) => ({
  expected: sum.expected + one.expected,
  lost: sum.lost + one.lost,
  doubled: sum.doubled + one.doubled,
  reordered: sum.reordered + one.reordered,
  announced: sum.announced + one.announced
}))
