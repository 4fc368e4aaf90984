/** Keys per statement: enough to share its cost, few enough that the first key does not wait long for the last. */
const keysMax = 500
/** Concurrent statements. Further look-ups gather meanwhile. */
const statementsMax = 2

interface Lookup<K, V> {
  key: K
  promise: Promise<V>
  resolve (value: V): void
  reject (error: unknown): void
}

export interface BatchLoaderOptions<K, V> {
  /** Keys with the same name share one look-up. */
  nameOf (key: K): string
  /** Returns one value per key, in the order of the keys. */
  load (keys: K[]): Promise<V[]>
}

/**
 * Combines look-ups that are made together, or while others are in flight, into one statement; equal look-ups share one
 * result. There is no cache: a statement is sent after the look-ups that it serves were made, so each sees every write
 * acknowledged before. A thousand clients that connect at once cause a few queries instead of a thousand.
 */
export function createBatchLoader<K, V> ({ nameOf, load }: BatchLoaderOptions<K, V>): (key: K) => Promise<V> {
  const waiting = new Map<string, Lookup<K, V>>()
  let inFlight = 0
  let isScheduled = false

  function schedule (): void {
    if (isScheduled || inFlight >= statementsMax) return
    isScheduled = true
    setImmediate(() => {
      isScheduled = false
      while (waiting.size > 0 && inFlight < statementsMax) send(take())
    })
  }

  function take (): Lookup<K, V>[] {
    const taken: Lookup<K, V>[] = []
    for (const [name, lookup] of waiting) {
      if (taken.length === keysMax) break
      taken.push(lookup)
      waiting.delete(name)
    }
    return taken
  }

  function send (lookups: Lookup<K, V>[]): void {
    inFlight++
    load(lookups.map(({ key }) => key)).then(values => {
      for (const [i, lookup] of lookups.entries()) lookup.resolve(values[i] as V)
    }, (error: unknown) => {
      for (const lookup of lookups) lookup.reject(error)
    }).finally(() => {
      inFlight--
      if (waiting.size > 0) schedule()
    })
  }

  return key => {
    const name = nameOf(key)
    let lookup = waiting.get(name)
    if (lookup === undefined) {
      lookup = createLookup(key)
      waiting.set(name, lookup)
      schedule()
    }
    return lookup.promise
  }
}

function createLookup<K, V> (key: K): Lookup<K, V> {
  const lookup = { key } as Lookup<K, V>
  lookup.promise = new Promise((resolve, reject) => {
    lookup.resolve = resolve
    lookup.reject = reject
  })
  return lookup
}
