/** Counts what is open by whom it belongs to, up to a bound each. */
export class Seats {
  readonly #taken = new Map<string, number>()
  readonly #max: () => number

  /** `max` is asked each time; 0 is no bound. */
  constructor (max: () => number) {
    this.#max = max
  }

  isFree (owner: string): boolean {
    const max = this.#max()
    return max === 0 || (this.#taken.get(owner) ?? 0) < max
  }

  take (owner: string): void {
    this.#taken.set(owner, (this.#taken.get(owner) ?? 0) + 1)
  }

  leave (owner: string): void {
    const left = (this.#taken.get(owner) ?? 0) - 1
    if (left > 0) this.#taken.set(owner, left)
    else this.#taken.delete(owner)
  }

  /** Owners of at least one. */
  get size () { return this.#taken.size }
}
