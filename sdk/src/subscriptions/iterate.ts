import type { Subscription } from './subscription.ts'

/**
 * Turns a subscription into an iterator. The first call of `next` subscribes. Each further call ends the handler of the
 * value before.
 */
export function iterate<T> (
  subscribe: (handler: (value: T) => Promise<void>) => Subscription
): AsyncIterableIterator<T, void, undefined> {
  let isOver = false
  let wake = () => {}
  const end = () => { isOver = true; wake() }

  async function * values (): AsyncGenerator<T, void, undefined> {
    let next: { value: T, done: () => void } | undefined
    const subscription = subscribe(value => new Promise(resolve => {
      next = { value, done: resolve }
      wake()
    }))
    subscription.closed.then(end, end)
    const take = () => { const taken = next; next = undefined; return taken }
    try {
      for (;;) {
        if (isOver) break
        const taken = take()
        if (taken === undefined) await new Promise<void>(resolve => { wake = resolve })
        else {
          yield taken.value
          taken.done()
        }
      }
    } finally {
      subscription.unsubscribe()
    }
    await subscription.closed
  }

  const iterator = values()
  return {
    next: () => iterator.next(),
    // A generator would first wait for the previous call.
    return: () => { end(); return iterator.return() },
    [Symbol.asyncIterator] () { return this }
  }
}
