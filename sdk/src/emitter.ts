/** Calls a function of the application. Its error goes where uncaught errors go, and never to the caller. */
export function guarded<Given extends unknown[]> (call: (...given: Given) => void, ...given: Given): void {
  try { call(...given) } catch (error) { queueMicrotask(() => { throw error }) }
}

/** Sends values to listeners by name. A listener that throws does not keep the others from being called. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(value: never) => void>>()

  /** Calls the listener for each value. Returns a function that removes it. */
  on<N extends keyof Events> (name: N, listener: (value: Events[N]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners.add(listener))
    return () => this.off(name, listener)
  }

  off<N extends keyof Events> (name: N, listener: (value: Events[N]) => void): void {
    const listeners = this.#listeners.get(name)
    listeners?.delete(listener)
    if (listeners?.size === 0) this.#listeners.delete(name)
  }

  has (name: keyof Events): boolean {
    return this.#listeners.has(name)
  }

  emit<N extends keyof Events> (name: N, value: Events[N]): void {
    for (const listener of [...this.#listeners.get(name) ?? []] as ((value: Events[N]) => void)[]) {
      guarded(listener, value)
    }
  }
}
