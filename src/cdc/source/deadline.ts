/** A signal that aborts with a reason after a time. Call `clear` once it is no longer needed. */
export interface Deadline { signal: AbortSignal, clear (): void }

export function createDeadline (ms: number, reason: Error): Deadline {
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(reason), ms)
  return { signal: controller.signal, clear: () => clearTimeout(timer) }
}

/** As `createDeadline`, but counts from the abort of `signal`: work has that long to end by itself. */
export function deadlineAfter (signal: AbortSignal, ms: number, reason: Error): Deadline {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const start = () => { timer = setTimeout(() => controller.abort(reason), ms) }
  if (signal.aborted) start()
  else signal.addEventListener('abort', start, { once: true })
  return {
    signal: controller.signal,
    clear () {
      signal.removeEventListener('abort', start)
      clearTimeout(timer)
    }
  }
}

/** Settles as the promise does, or rejects with the reason of `signal` as soon as that aborts. Removes its listener. */
export async function unlessAborted<T> (promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise
  let onAbort = () => {}
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => {
      const reason: Error = signal.reason
      reject(reason)
    }
  })
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
