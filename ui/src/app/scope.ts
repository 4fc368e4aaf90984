import { useParams } from '@tanstack/react-router'
import { environments, type Environment, type Scope } from './api.ts'
import { Observed, useObserved } from './observed.ts'

/** The path of pages that belong to an application and environment. Links begin with it. */
export const scopePath = '/a/$applicationId/$environment'

const key = 'realtime.scope'

/** The scope that was shown last, as its path. A tab has its own; a new one begins with that of the latest. */
const last = new Observed(sessionStorage.getItem(key) ?? localStorage.getItem(key) ?? '')

/** Returns the scope of the page, or on pages without one the scope that was shown last; null if there is none. */
export function useScope (): Scope | null {
  const { applicationId, environment } = useParams({ strict: false })
  const lastPath = useObserved(last)
  return useStable(toScope(applicationId, environment) ?? toScope(...lastPath.split('/')))
}

/** Returns the scope of a page below `scopePath`. */
export function usePageScope (): Scope {
  const scope = useScope()
  if (scope === null) throw new Error('The page has no application')
  return scope
}

export function rememberScope ({ applicationId, environment }: Scope): void {
  const path = `${applicationId}/${environment}`
  sessionStorage.setItem(key, path)
  localStorage.setItem(key, path)
  last.set(path)
}

export function forgetScope (): void {
  sessionStorage.removeItem(key)
  localStorage.removeItem(key)
  last.set('')
}

export const lastScope = (): Scope | null => toScope(...last.value.split('/'))

function toScope (applicationId?: string, environment?: string): Scope | null {
  if (applicationId === undefined || applicationId === '' || !isEnvironment(environment)) return null
  return { applicationId, environment }
}

export const isEnvironment = (name: unknown): name is Environment => environments.some(known => known === name)

const known = new Map<string, Scope>()

/** Returns the same object for the same scope, so that it can be a dependency. */
function useStable (scope: Scope | null): Scope | null {
  if (scope === null) return null
  const name = `${scope.applicationId}/${scope.environment}`
  const found = known.get(name) ?? scope
  known.set(name, found)
  return found
}
