import type { Positions, PositionStore } from '../subscriptions/position.ts'

/** Creates a store that lasts as long as the page: for components that come and go. */
export function memoryStore (): PositionStore {
  const stored = new Map<string, Positions>()
  return {
    get: key => stored.get(key),
    set: (key, positions) => { stored.set(key, { ...positions }) }
  }
}
