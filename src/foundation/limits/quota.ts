/** Counts open items by owner, up to a limit for each owner. */
export class Quota {
  readonly #taken = new Map<string, number>()
  readonly #max: () => number

  /** `max` is read on each use; 0 is no limit. */
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

  release (owner: string): void {
    const left = (this.#taken.get(owner) ?? 0) - 1
    if (left > 0) this.#taken.set(owner, left)
    else this.#taken.delete(owner)
  }

  /** Returns the number of open items of an owner. */
  count (owner: string): number {
    return this.#taken.get(owner) ?? 0
  }

  /** The owners that have an open item. */
  owners (): Iterable<string> {
    return this.#taken.keys()
  }

  /** The number of owners that have an open item. */
  get size () { return this.#taken.size }
}
