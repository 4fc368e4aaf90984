import { LRUCache } from 'lru-cache'
import type { SharedCounters } from './redis-counter.ts'

/** Whom this node remembers; who comes beyond it pushes out the one that was not seen for longest. */
const keysMax = 20_000

export interface Window { current: number, ttl: number }

/**
 * Requests by key in windows of time: over all nodes where they share a Redis, and for as long as it answers; otherwise
 * of this node, which counts along all the time. So nobody gets more of a node than the limit, and of all nodes no more
 * than that of each. The form is that of @fastify/rate-limit's stores.
 */
export function createRequestCounts (shared: SharedCounters | undefined) {
  const windows = new LRUCache<string, { count: number, endsAt: number }>({ max: keysMax })
  return class RequestCounts {
    readonly #name: string

    /** `routeInfo`: of a route with a limit of its own. */
    constructor ({ routeInfo }: { routeInfo?: { method?: string | string[], url?: string } } = {}) {
      this.#name = routeInfo === undefined ? '' : `${[routeInfo.method ?? ''].flat().join()} ${routeInfo.url ?? ''}`
    }

    incr (key: string, answer: (error: Error | null, window?: Window) => void, windowMs: number): void {
      const name = `${this.#name} ${key}`
      const own = this.#count(name, windowMs)
      if (shared === undefined) return answer(null, own)
      void shared.count(name, windowMs).then(all =>
        answer(null, all === undefined ? own : { current: all.count, ttl: all.leftMs })
      )
    }

    /** Takes one back that was counted. */
    decr (key: string): void {
      const name = `${this.#name} ${key}`
      const window = windows.peek(name)
      if (window !== undefined && window.count > 0) window.count--
      void shared?.uncount(name)
    }

    child (route: { routeInfo?: { method?: string | string[], url?: string } }) {
      return new RequestCounts(route)
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
