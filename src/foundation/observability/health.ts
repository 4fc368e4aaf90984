import type { Component, Health, Readiness } from '../../../schemas/health.ts'
import { version } from '../version.ts'

/** How long one check may take before its part counts as failed. */
const checkTimeoutMs = 3000

/** The parts of the server, and how each says how it is. */
export function createHealth () {
  const checks = new Map<string, () => Promise<Component>>()
  return {
    add (name: string, check: () => Promise<Component>): void {
      checks.set(name, check)
    },
    /** Looks at nothing: that it returns is the answer. */
    liveness: (): Health => ({ status: 'ok', version }),
    /** Asks every part at once; a check that throws or hangs is a failed part, never an error. */
    async readiness (): Promise<Readiness> {
      const components = Object.fromEntries(
        await Promise.all([...checks].map(async ([name, check]) => [name, await ask(check)] as const))
      )
      const isReady = Object.values(components).every(component => component.status !== 'failed')
      return { status: isReady ? 'ready' : 'unavailable', components }
    }
  }
}
export type HealthChecks = ReturnType<typeof createHealth>

async function ask (check: () => Promise<Component>): Promise<Component> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Component>(resolve => {
    timer = setTimeout(resolve, checkTimeoutMs, { status: 'failed', message: `no answer within ${checkTimeoutMs} ms` })
  })
  try {
    return await Promise.race([check(), late])
  } catch {
    return { status: 'failed', message: 'the check failed; the log has the reason' }
  } finally {
    clearTimeout(timer)
  }
}
