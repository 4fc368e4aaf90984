import { setTimeout as sleep } from 'node:timers/promises'

/** Long enough for a busy machine: a test that passes never waits that long. */
const defaultTimeoutMs = 60_000
const pollMs = 10

/** Waits until a condition holds. After the timeout, rejects with the name of the condition. */
export async function until (
  isTrue: () => boolean | Promise<boolean>, what: string | (() => string) = String(isTrue), timeoutMs = defaultTimeoutMs
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
    if (performance.now() > deadline) throw new Error(`timed out waiting for ${String(find)}`)
    await sleep(pollMs)
  }
}

/*
 * Time that is part of a scenario. To wait for an effect, use `until`: no fixed length is right for both a fast and a
 * busy machine. ESLint forbids other sleeps in tests.
 */

/** The pause of a load, or of a client, between two of its actions. */
export const pace = (ms: number): Promise<void> => sleep(ms)

/** The time that an outage, a limit or a stay lasts, on every machine alike. */
export const elapse = (ms: number): Promise<void> => sleep(ms)
