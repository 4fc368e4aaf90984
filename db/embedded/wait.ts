import { setTimeout as sleep } from 'node:timers/promises'

/** Polls a condition for at most `timeoutMs` and returns whether it became true. */
export async function becomesTrue (ask: () => boolean | Promise<boolean>, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (!await ask()) {
    if (performance.now() >= deadline) return false
    await sleep(5)
  }
  return true
}
