/**
 * Each bucket is a quarter wider than the one before: percentiles are accurate to an eighth, from 0.1 ms to two
 * minutes.
 */
export const bucketsCount = 64
const bucketGrowth = 1.25
const bucketStartMs = 0.1

/** Returns the index of the bucket that a duration belongs to. */
export const bucketOf = (ms: number): number =>
  ms <= bucketStartMs
    ? 0
    : Math.min(bucketsCount - 1, Math.ceil(Math.log(ms / bucketStartMs) / Math.log(bucketGrowth)))

/**
 * Returns, for each share, the milliseconds below which that share of the durations lies; 0 without any. `counts` has
 * the number of durations in each bucket.
 */
export function percentilesOf (counts: Float64Array, shares: readonly number[]): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0)
  return shares.map(share => {
    if (total === 0) return 0
    let seen = 0
    const bucket = counts.findIndex(count => (seen += count) >= share * total)
    return Number((bucketStartMs * bucketGrowth ** Math.max(0, bucket)).toPrecision(3))
  })
}

/** Counts durations by bucket until they are taken. It allocates the buckets with the first duration. */
export class LatencyCounts {
  #counts: Uint32Array | undefined

  add (bucket: number, count: number): void {
    this.#counts ??= new Uint32Array(bucketsCount)
    ;(this.#counts[bucket] as number) += count
  }

  /** Returns the counts since the last call and starts over; undefined without any. */
  take (): Uint32Array | undefined {
    const counts = this.#counts
    this.#counts = undefined
    return counts
  }
}
