import type { Component, Health, Readiness } from '../../../schemas/health.ts'
import { version } from '../version.ts'

/** Time limit of a check. A component whose check takes longer counts as failed. */
const checkTimeoutMs = 3000

type Components = Readiness['components']

/**
 * Collects the health checks of the server's components. `ofWorkers` returns those of all workers, or undefined if they
 * cannot be asked.
 */
export function createHealth (node: string, ofWorkers?: () => Promise<Components | undefined>) {
  const checks = new Map<string, () => Promise<Component>>()
  return {
    add (name: string, check: () => Promise<Component>): void {
      checks.set(name, check)
    },
    /** Checks nothing: the response itself proves that the process runs. */
    liveness: (): Health => ({ status: 'ok', version, node }),
    /** Runs all checks at once. A check that throws or hangs marks its component as failed; it is never an error. */
    async ownComponents (): Promise<Components> {
      return Object.fromEntries(
        await Promise.all([...checks].map(async ([name, check]) => [name, await ask(check)] as const))
      )
    },
    async readiness (): Promise<Readiness> {
      const components = await ofWorkers?.() ?? await this.ownComponents()
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

const severities = ['ok', 'degraded', 'failed'] as const

/**
 * Joins the components of all workers; null is one that has not answered. A component of which one worker's part
 * has failed is degraded: the other workers serve the port. It has failed when no worker's part works.
 */
export function joinReadiness (answers: readonly (string | null)[], workersCount: number): Components {
  const all = answers.flatMap(answer => answer === null ? [] : [JSON.parse(answer) as Components])
  const names = new Set(all.flatMap(components => Object.keys(components)))
  const joined = [...names].map(name => {
    const parts = all.flatMap(components => components[name] ?? [])
    const worst = parts.reduce((a, b) => severityOf(b) > severityOf(a) ? b : a)
    const isPartial = worst.status === 'failed' && parts.some(({ status }) => status !== 'failed')
    return [name, isPartial ? { ...worst, status: 'degraded' as const } : worst] as const
  })
  const isWhole = all.length >= workersCount
  return {
    workers: isWhole
      ? { status: 'ok' }
      : { status: 'degraded', message: `${all.length} of ${workersCount} workers answer` },
    ...Object.fromEntries(joined)
  }
}

const severityOf = ({ status }: Component) => severities.indexOf(status)
