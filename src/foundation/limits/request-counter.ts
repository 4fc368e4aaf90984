import type { SharedCounter } from './shared-counter.ts'
import { WindowCounts, type Window } from './window-counts.ts'

export type { Window }

/**
 * Counts requests by key in time windows: over all nodes while they can count together, otherwise on this node. The
 * node always counts as well, so that no client gets more than the limit from one node while they cannot. The interface
 * is that of the stores of @fastify/rate-limit.
 */
export function createRequestCounter (shared: SharedCounter | undefined) {
  const windows = new WindowCounts()
  return class RequestCounter {
    readonly #name: string

    /** `routeInfo` names a route that has a limit of its own. */
    constructor ({ routeInfo }: { routeInfo?: { method?: string | string[], url?: string } } = {}) {
      this.#name = routeInfo === undefined ? '' : `${[routeInfo.method ?? ''].flat().join()} ${routeInfo.url ?? ''}`
    }

    /** Counts a request. Returns a promise only if the count is shared. */
    count (key: string, windowMs: number): Window | Promise<Window> {
      const name = `${this.#name} ${key}`
      const own = windows.count(name, windowMs)
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
      windows.uncount(name)
      void shared?.uncount(name)
    }

    child (route: { path?: string, routeInfo?: { method?: string | string[], url?: string } }) {
      return new RequestCounter(route)
    }
  }
}
