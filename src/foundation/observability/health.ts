import type { Component, Health, Readiness } from '../../../schemas/health.ts'
import { version } from '../version.ts'

/** Time limit of a check. A component whose check takes longer counts as failed. */
const checkTimeoutMs = 3000

/** Collects the health checks of the server's components. */
export function createHealth (node: string) {
  const checks = new Map<string, () => Promise<Component>>()
  return {
    add (name: string, check: () => Promise<Component>): void {
      checks.set(name, check)
    },
    /** Checks nothing: the response itself proves that the process runs. */
    liveness: (): Health => ({ status: 'ok', version, node }),
    /** Runs all checks at once. A check that throws or hangs marks its component as failed; it is never an error. */
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
    timer = setTimeout(resolve, checkTimeoutMs, {
      status: 'failed', message: `no response within ${checkTimeoutMs} ms`
    })
  })
  try {
    return await Promise.race([check(), late])
  } catch {
    return { status: 'failed', message: 'the check failed; the log has the reason' }
  } finally {
    clearTimeout(timer)
  }
}
