import { LRUCache } from 'lru-cache'

/** Keys that are remembered. Above it, the least recently used key is forgotten. */
const keysMax = 20_000

export interface Window { current: number, ttl: number }

/** Counts by key in time windows that begin with the first count. */
export class WindowCounts {
  readonly #windows = new LRUCache<string, { count: number, endsAt: number }>({ max: keysMax })

  count (key: string, windowMs: number): Window {
    const now = performance.now()
    const known = this.#windows.get(key)
    const window = known !== undefined && known.endsAt > now ? known : { count: 0, endsAt: now + windowMs }
    window.count++
    if (window !== known) this.#windows.set(key, window)
    return { current: window.count, ttl: Math.ceil(window.endsAt - now) }
  }

  /** Takes back one count. */
  uncount (key: string): void {
    const window = this.#windows.peek(key)
    if (window !== undefined && window.count > 0) window.count--
  }
}
