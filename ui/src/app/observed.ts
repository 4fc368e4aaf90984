import { useSyncExternalStore } from 'react'

/** A value that components follow with `useObserved`. */
export class Observed<Value> {
  #value: Value
  readonly #listeners = new Set<() => void>()

  constructor (value: Value) {
    this.#value = value
  }

  get value (): Value {
    return this.#value
  }

  set (value: Value): void {
    if (Object.is(value, this.#value)) return
    this.#value = value
    for (const listener of this.#listeners) listener()
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }
}

export const useObserved = <Value>(observed: Observed<Value>): Value =>
  useSyncExternalStore(observed.subscribe, () => observed.value)
