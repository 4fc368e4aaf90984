import { setTimeout as sleep } from 'node:timers/promises'

/** Asks until the answer is true, at most for `timeoutMs`; answers whether it became true. */
export async function becomesTrue (ask: () => boolean | Promise<boolean>, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (!await ask()) {
    if (performance.now() >= deadline) return false
    await sleep(5)
  }
  return true
}
