/** A value that changes, in the form that `useSyncExternalStore` and the stores of other frameworks take. */
export interface Observable<T> {
  /** Calls the listener after each change. Returns a function that removes it. */
  subscribe (listener: () => void): () => void
  /** Returns the value now. The same object until the value changes. */
  getSnapshot (): T
}
