import { matches, passes, valueAt, valueKey, type Filter } from './filter.ts'

export interface Filtered { readonly filter: Filter | undefined }

/** The part of an event that filters test: its payload as a value. */
export interface Matched { readonly value: unknown }

/** Subscriptions whose filters require values at the same paths, by those values. */
interface EqualityIndex<T> {
  paths: string[][]
  byValues: Map<string, Set<T>>
}

/**
 * Finds the subscriptions of one topic that an event matches. The work grows with the matches and with the number of
 * *distinct* sets of filtered paths, not with the subscriptions: ten thousand subscriptions that each filter by their
 * own `{sessionId: …}` cost one look-up.
 */
export class SubscriptionIndex<T extends Filtered> {
  readonly #unfiltered = new Set<T>()
  readonly #indexes = new Map<string, EqualityIndex<T>>()
  /** Filters without an equality, by fingerprint. Each distinct one is evaluated once per event. */
  readonly #tested = new Map<string, Set<T>>()
  #size = 0

  get size () { return this.#size }

  add (subscription: T): void {
    this.#bucket(subscription, true)?.add(subscription)
    this.#size++
  }

  remove (subscription: T): void {
    const bucket = this.#bucket(subscription, false)
    if (bucket?.delete(subscription) !== true) return
    this.#size--
    if (bucket.size === 0) this.#drop(subscription)
  }

  * all (): Generator<T> {
    yield * this.#unfiltered
    for (const { byValues } of this.#indexes.values()) for (const bucket of byValues.values()) yield * bucket
    for (const bucket of this.#tested.values()) yield * bucket
  }

  /** Returns the subscriptions that an event matches. */
  matching (event: Matched): T[] {
    // Spreading a set copies it at once; pushing its members one by one would cost more than the rest of the routing.
    const found = [...this.#unfiltered]
    for (const index of this.#indexes.values()) {
      const bucket = index.byValues.get(valuesKey(index.paths.map(path => valueAt(event.value, path))))
      if (bucket === undefined) continue
      for (const subscription of bucket) {
        const conditions = subscription.filter?.conditions ?? []
        if (conditions.length > 0 && !passes(conditions, event.value)) continue
        found.push(subscription)
      }
    }
    for (const bucket of this.#tested.values()) {
      const [first] = bucket
      if (first === undefined || !passes(first.filter?.conditions ?? [], event.value)) continue
      for (const subscription of bucket) found.push(subscription)
    }
    return found
  }

  /**
   * Returns up to `max` subscriptions that an event does not match. Tests them one by one: the work grows with the
   * matches and with `max`.
   */
  unmatched (event: Matched, max: number): T[] {
    const found: T[] = []
    for (const { byValues } of this.#indexes.values()) {
      for (const bucket of byValues.values()) if (!this.#gather(bucket, event, found, max)) return found
    }
    for (const bucket of this.#tested.values()) if (!this.#gather(bucket, event, found, max)) return found
    return found
  }

  /** Tests the subscriptions of a bucket, which may differ in their conditions. Returns false once `found` is full. */
  #gather (bucket: Set<T>, event: Matched, found: T[], max: number): boolean {
    for (const subscription of bucket) {
      if (found.length >= max) return false
      if (!matches(subscription.filter, event.value)) found.push(subscription)
    }
    return true
  }

  #bucket ({ filter }: T, isWanted: boolean): Set<T> | undefined {
    if (filter === undefined) return this.#unfiltered
    if (filter.equalities.length === 0) return bucketOf(this.#tested, filter.fingerprint, isWanted)
    const signature = signatureOf(filter)
    let index = this.#indexes.get(signature)
    if (index === undefined) {
      if (!isWanted) return undefined
      index = { paths: filter.equalities.map(({ path }) => path.split('.')), byValues: new Map() }
      this.#indexes.set(signature, index)
    }
    return bucketOf(index.byValues, valuesKey(filter.equalities.map(({ value }) => value)), isWanted)
  }

  /** Deletes the empty bucket of a subscription, and its index if that becomes empty. */
  #drop ({ filter }: T): void {
    if (filter === undefined) return
    if (filter.equalities.length === 0) {
      this.#tested.delete(filter.fingerprint)
      return
    }
    const signature = signatureOf(filter)
    const index = this.#indexes.get(signature)
    index?.byValues.delete(valuesKey(filter.equalities.map(({ value }) => value)))
    if (index?.byValues.size === 0) this.#indexes.delete(signature)
  }
}

const signatureOf = (filter: Filter) => JSON.stringify(filter.equalities.map(({ path }) => path))

const valuesKey = (values: unknown[]) => values.length === 1 ? valueKey(values[0]) : values.map(valueKey).join('\u0000')

function bucketOf<T> (buckets: Map<string, Set<T>>, key: string, isWanted: boolean): Set<T> | undefined {
  let bucket = buckets.get(key)
  if (bucket === undefined && isWanted) {
    bucket = new Set()
    buckets.set(key, bucket)
  }
  return bucket
}
