import { setTimeout as sleep } from 'node:timers/promises'

/** Long enough for a busy machine: a test that passes never waits that long. */
const defaultTimeoutMs = 60_000
const pollMs = 10

/** Waits until a condition holds. Rejects with `what` was expected after the timeout. */
export async function until (
  isTrue: () => boolean | Promise<boolean>, what: string | (() => string), timeoutMs = defaultTimeoutMs
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!await isTrue()) {
    if (performance.now() > deadline) {
      throw new Error(`timed out waiting for ${typeof what === 'string' ? what : what()}`)
    }
    await sleep(pollMs)
  }
}

/** Waits until `find` returns something, and returns it. */
export async function eventually<T> (
  find: () => T | undefined | false | Promise<T | undefined | false>, timeoutMs = defaultTimeoutMs
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const found = await find()
    if (found !== undefined && found !== false) return found
    if (performance.now() > deadline) throw new Error(`timed out waiting for ${find.toString()}`)
    await sleep(pollMs)
  }
}
