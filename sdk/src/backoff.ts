/**
 * Returns a random wait before a retry, in milliseconds, between 0 and a limit that doubles with each attempt ("full
 * jitter", https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). `attempt` starts at 0.
 */
export function backoffMs (attempt: number, { baseMs = 1000, maxMs = 30_000 } = {}): number {
  return Math.random() * Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30))
}

/** Resolves after the time. Rejects at once when the signal is aborted, with its reason. */
export function sleep (ms: number, signal?: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  return abortable<void>(signal, resolve => { timer = setTimeout(resolve, ms) }).finally(() => clearTimeout(timer))
}

/** Creates a promise that rejects at once when the signal is aborted, with its reason. */
export function abortable<T> (
  signal: AbortSignal | undefined, executor: (resolve: (value: T) => void, reject: (error: unknown) => void) => void
): Promise<T> {
  if (signal === undefined) return new Promise(executor)
  let abort = () => {}
  return new Promise<T>((resolve, reject) => {
    signal.throwIfAborted()
    abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort)
    executor(resolve, reject)
  }).finally(() => signal.removeEventListener('abort', abort))
}
