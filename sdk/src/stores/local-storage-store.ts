import type { Positions, PositionStore } from '../subscriptions/position.ts'

export interface LocalStorageStoreOptions {
  /** Begins each key. Name the user in it if several sign in with one browser. Default: `realtime:`. */
  prefix?: string
  /** Where to store. Default: `localStorage`. With `sessionStorage`, each tab has positions of its own. */
  storage?: KeyValueStorage
}

/** The part of `Storage` that the store uses. Declared here, so that the types need no DOM. */
export interface KeyValueStorage {
  getItem (key: string): string | null
  setItem (key: string, value: string): void
}

/**
 * Creates a store in `localStorage`. It writes each position at once, so a reload continues exactly after the last
 * handled event. All tabs share it: two that subscribe with the same key overwrite each other's position, and after a
 * reload one of them misses what the other has handled. Give each a `storeKey`, or use `sessionStorage`.
 *
 * A subscription whose position cannot be read, because storage is blocked or the text is damaged, fails with
 * `STORE_FAILED`. If the quota is exceeded, the subscription continues, and the error is reported once.
 */
export function localStorageStore ({ prefix = 'realtime:', storage }: LocalStorageStoreOptions = {}): PositionStore {
  // Where storage is blocked, even the access throws.
  const found = () => storage ?? localStorage
  return {
    get (key) {
      const text = found().getItem(prefix + key)
      return text === null ? undefined : JSON.parse(text) as Positions
    },
    set (key, positions) {
      found().setItem(prefix + key, JSON.stringify(positions))
    }
  }
}
