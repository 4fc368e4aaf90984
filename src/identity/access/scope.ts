import { environments, isEnvironment, type Environment, type Scope } from '../../../schemas/scope.ts'
import { ForbiddenError, NotFoundError, ValidationError } from '../../errors.ts'
import { reachesApplication } from './permissions.ts'
import type { Principal, SessionPrincipal, TokenPrincipal } from './principal.ts'

/** The fields of a request or handshake that select a scope; undefined if absent. */
export interface WantedScope {
  applicationId?: unknown
  environment?: unknown
}

/** Returns whether an application exists. */
export interface ApplicationLookup { has (id: string): Promise<boolean> }

export type ScopeResolver = ReturnType<typeof createScopeResolver>

/** Resolves `X-Application-Id` and `X-Environment`, or the equivalent fields of a handshake, to a scope. */
export function createScopeResolver ({ applications }: { applications: ApplicationLookup }) {
  /**
   * Returns the scope. Rejects with ValidationError `APPLICATION_REQUIRED` or `ENVIRONMENT_INVALID`, ForbiddenError
   * `APPLICATION_FORBIDDEN` or `ENVIRONMENT_FORBIDDEN`, NotFoundError `APPLICATION_NOT_FOUND`.
   */
  return async function resolveScope (principal: Principal, wanted: WantedScope): Promise<Scope> {
    if (principal.kind === 'token') return scopeOfToken(principal, wanted)
    const scope = scopeOfSession(principal, wanted)
    if (await applications.has(scope.applicationId)) return scope
    throw new NotFoundError('APPLICATION_NOT_FOUND', `Application not found: ${scope.applicationId.slice(0, 100)}`)
  }
}

/** Returns the scope of a token, whose application exists. Throws the errors of `resolveScope`. */
export function scopeOfToken (principal: TokenPrincipal, wanted: WantedScope): Scope {
  const applicationId = applicationOf(wanted)
  const environment = environmentOf(wanted)
  if (applicationId !== undefined && applicationId !== principal.applicationId) {
    throw forbiddenApplication(applicationId)
  }
  if (environment !== undefined && principal.environment !== undefined && environment !== principal.environment) {
    throw new ForbiddenError(
      'ENVIRONMENT_FORBIDDEN',
      `The token is pinned to ${principal.environment} and has no access to ${environment}`
    )
  }
  return {
    applicationId: principal.applicationId, environment: environment ?? principal.environment ?? 'development'
  }
}

function scopeOfSession (principal: SessionPrincipal, wanted: WantedScope): Scope {
  const applicationId = applicationOf(wanted)
  const environment = environmentOf(wanted) ?? 'development'
  if (applicationId === undefined) {
    throw new ValidationError(
      'APPLICATION_REQUIRED', 'A session must name an application. Send its id in X-Application-Id',
      { details: [{ path: '/x-application-id', message: 'is required with a session' }] }
    )
  }
  if (!reachesApplication(principal, applicationId)) throw forbiddenApplication(applicationId)
  return { applicationId, environment }
}

const forbiddenApplication = (applicationId: string) =>
  new ForbiddenError(
    'APPLICATION_FORBIDDEN',
    `The credential has no access to the application ${applicationId.slice(0, 100)}`
  )

function applicationOf ({ applicationId }: WantedScope): string | undefined {
  if (applicationId === undefined || applicationId === '') return undefined
  if (typeof applicationId === 'string') return applicationId
  throw new ValidationError('VALIDATION_FAILED', 'The application id must be a string', {
    details: [{ path: '/applicationId', message: 'must be a string' }]
  })
}

function environmentOf ({ environment }: WantedScope): Environment | undefined {
  if (environment === undefined || isEnvironment(environment)) return environment
  throw new ValidationError(
    'ENVIRONMENT_INVALID',
    `The environment must be one of ${environments.join(', ')}${
      typeof environment === 'string' ? `, not ${environment.slice(0, 50)}` : ''
    }`,
    {
      details: [{ path: '/x-environment', message: `must be one of ${environments.join(', ')}` }]
    }
  )
}
