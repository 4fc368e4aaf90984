import { LRUCache } from 'lru-cache'
import type { RedisCounter } from './redis-counter.ts'

/** Keys that a node remembers. Above it, the least recently used key is forgotten. */
const keysMax = 20_000

export interface Window { current: number, ttl: number }

/**
 * Counts requests by key in time windows: over all nodes while they share a reachable Redis, otherwise on this node.
 * The node always counts as well, so that no client gets more than the limit from one node while Redis is unreachable.
 * The interface is that of the stores of @fastify/rate-limit.
 */
export function createRequestCounter (shared: RedisCounter | undefined) {
  const windows = new LRUCache<string, { count: number, endsAt: number }>({ max: keysMax })
  return class RequestCounter {
    readonly #name: string

    /** `routeInfo` names a route that has a limit of its own. */
    constructor ({ routeInfo }: { routeInfo?: { method?: string | string[], url?: string } } = {}) {
      this.#name = routeInfo === undefined ? '' : `${[routeInfo.method ?? ''].flat().join()} ${routeInfo.url ?? ''}`
    }

    /** Counts a request. Returns a promise only if the count is shared. */
    count (key: string, windowMs: number): Window | Promise<Window> {
      const name = `${this.#name} ${key}`
      const own = this.#count(name, windowMs)
      return shared === undefined
        ? own
        : shared.count(name, windowMs).then(all =>
          all === undefined ? own : { current: all.count, ttl: all.leftMs }
        )
    }

    incr (key: string, answer: (error: Error | null, window?: Window) => void, windowMs: number): void {
      const window = this.count(key, windowMs)
      if (window instanceof Promise) void window.then(found => answer(null, found))
      else answer(null, window)
    }

    /** Takes back one counted request. */
    decr (key: string): void {
      const name = `${this.#name} ${key}`
      const window = windows.peek(name)
      if (window !== undefined && window.count > 0) window.count--
      void shared?.uncount(name)
    }

    child (route: { path?: string, routeInfo?: { method?: string | string[], url?: string } }) {
      return new RequestCounter(route)
    }

    #count (name: string, windowMs: number): Window {
      const now = performance.now()
      const known = windows.get(name)
      const window = known !== undefined && known.endsAt > now ? known : { count: 0, endsAt: now + windowMs }
      window.count++
      if (window !== known) windows.set(name, window)
      return { current: window.count, ttl: Math.ceil(window.endsAt - now) }
    }
  }
}
