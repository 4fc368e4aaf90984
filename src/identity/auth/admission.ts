import type { IncomingHttpHeaders } from 'node:http'
import type { Scope } from '../../../schemas/scope.ts'
import { credentialFromHeaders, type Authenticator } from './authenticator.ts'
import { authorize, isEntityOwning, type PermissionName } from '../access/permissions.ts'
import type { Principal } from '../access/principal.ts'
import type { ScopeResolver } from '../access/scope.ts'

/** The requirement of a route: a permission, any principal, or nothing. */
export type Admittance = PermissionName | 'authenticated' | 'public'

export interface Admission {
  readonly principal: Principal
  /** Present if the route requires a scope. With an `optional` one, it may be absent. */
  readonly scope: Scope | undefined
}

/**
 * `required`: the request names an application and an environment. `optional`: a session without an application covers
 * all those in which it holds the permission. Without either, a route of an entity-owning resource requires a scope,
 * and others have none.
 */
export type ScopeDemand = 'required' | 'optional'

export type Admit = (headers: IncomingHttpHeaders) => Admission | Promise<Admission>

/**
 * Builds the check of each route once. The check throws, or rejects with, the errors of `authenticate`, `resolveScope`
 * and `authorize`, in this order. It returns synchronously for a cached token.
 */
export function createAdmission (
  { authenticator, resolveScope }: { authenticator: Authenticator, resolveScope: ScopeResolver }
) {
  return function admissionTo (admittance: Exclude<Admittance, 'public'>, scope?: ScopeDemand): Admit {
    const pass = admittance === 'authenticated'
      ? unchecked
      : scope === undefined && !isEntityOwning(admittance)
        ? unscoped(admittance)
        : scope === 'optional'
          ? optionallyScoped(admittance)
          : scoped(admittance)
    return headers => {
      const principal = authenticator.authenticate(credentialFromHeaders(headers))
      return principal instanceof Promise ? principal.then(found => pass(found, headers)) : pass(principal, headers)
    }
  }

  function scoped (permission: PermissionName) {
    const enter = (principal: Principal, scope: Scope): Admission => {
      authorize(principal, scope, permission)
      return { principal, scope }
    }
    return (principal: Principal, headers: IncomingHttpHeaders): Admission | Promise<Admission> => {
      const scope = resolveScope(principal, {
        applicationId: headers['x-application-id'], environment: headers['x-environment']
      })
      return scope instanceof Promise ? scope.then(found => enter(principal, found)) : enter(principal, scope)
    }
  }

  function optionallyScoped (permission: PermissionName) {
    const [there, anywhere] = [scoped(permission), unscoped(permission)]
    return (principal: Principal, headers: IncomingHttpHeaders): Admission | Promise<Admission> => {
      const namesOne = (headers['x-application-id'] ?? '') !== '' || headers['x-environment'] !== undefined
      return principal.kind === 'token' || namesOne ? there(principal, headers) : anywhere(principal)
    }
  }
}

const unchecked = (principal: Principal): Admission => ({ principal, scope: undefined })

function unscoped (permission: PermissionName) {
  return (principal: Principal): Admission => {
    authorize(principal, null, permission)
    return { principal, scope: undefined }
  }
}
