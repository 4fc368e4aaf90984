import type { Observable } from '../observable.ts'

/** The least time between two notifications: about a frame. A thousand events a second render sixty times. */
const frameMs = 16

/**
 * Creates a value that is computed while it has listeners: `start` runs with the first, and the function that it
 * returns after the last. A value that starts again begins with `initial`. Needs no framework.
 */
export function createStore<T> (
  initial: T, start: (update: (change: (now: T) => T) => void) => () => void
): Observable<T> & { initial: T } {
  const listeners = new Set<() => void>()
  let now = initial
  let stop: (() => void) | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  const notify = () => {
    timer = undefined
    for (const listener of [...listeners]) listener()
  }
  return {
    initial,
    subscribe (listener) {
      const own = () => listener()
      listeners.add(own)
      if (stop === undefined) {
        now = initial
        stop = start(change => {
          now = change(now)
          timer ??= setTimeout(notify, frameMs)
        })
      }
      return () => {
        listeners.delete(own)
        if (listeners.size > 0) return
        clearTimeout(timer)
        timer = undefined
        stop?.()
        stop = undefined
      }
    },
    getSnapshot: () => now
  }
}

/** Returns the list with an item more, and without its oldest ones above the limit. */
export const append = <T>(list: readonly T[], item: T, limit: number): readonly T[] =>
  [...list.slice(Math.max(0, list.length + 1 - limit)), item]
