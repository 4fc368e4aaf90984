import { passes, valueAt, type Filter } from './filters.ts'

export interface Filtered { readonly filter: Filter | undefined }

/** What filters look at: an event's payload as a value. */
export interface Matched { readonly value: unknown }

/** Subscriptions whose filters demand values of the same paths, by those values. */
interface EqualityIndex<T> {
  paths: string[][]
  byValues: Map<string, Set<T>>
}

/**
 * Finds the subscriptions of one topic that an event matches. The work grows with the matches and with the number of
 * *distinct* sets of filtered paths, not with the subscriptions: ten thousand with `{sessionId: …}` of their own are
 * one look-up.
 */
export class Matcher<T extends Filtered> {
  readonly #unfiltered = new Set<T>()
  readonly #indexes = new Map<string, EqualityIndex<T>>()
  /** Filters without an equality, by fingerprint: each distinct one is evaluated once an event. */
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

  /** Calls `visit` for each match. Answers how many matched. */
  match (event: Matched, visit: (subscription: T) => void): number {
    let matched = this.#unfiltered.size
    for (const subscription of this.#unfiltered) visit(subscription)
    for (const index of this.#indexes.values()) {
      const bucket = index.byValues.get(valuesKey(index.paths.map(path => valueAt(event.value, path))))
      if (bucket === undefined) continue
      for (const subscription of bucket) {
        const conditions = subscription.filter?.conditions ?? []
        if (conditions.length > 0 && !passes(conditions, event.value)) continue
        visit(subscription)
        matched++
      }
    }
    for (const bucket of this.#tested.values()) {
      const [first] = bucket
      if (first === undefined || !passes(first.filter?.conditions ?? [], event.value)) continue
      for (const subscription of bucket) visit(subscription)
      matched += bucket.size
    }
    return matched
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

  /** Forgets the empty bucket of a subscription, and the index that it leaves empty. */
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

/** Distinguishes 1 from "1"; an absent value is unlike every value. */
const valuesKey = (values: unknown[]) => values.length === 1 ? valueKey(values[0]) : values.map(valueKey).join('\u0000')

function valueKey (value: unknown): string {
  switch (typeof value) {
    case 'string': return `"${value}`
    case 'number': return String(value === 0 ? 0 : value)
    case 'boolean': return value ? 'true' : 'false'
    case 'undefined': return 'absent'
    default: return value === null ? 'null' : 'compound'
  }
}

function bucketOf<T> (buckets: Map<string, Set<T>>, key: string, isWanted: boolean): Set<T> | undefined {
  let bucket = buckets.get(key)
  if (bucket === undefined && isWanted) {
    bucket = new Set()
    buckets.set(key, bucket)
  }
  return bucket
}
