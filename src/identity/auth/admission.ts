import type { IncomingHttpHeaders } from 'node:http'
import type { Scope } from '../../../schemas/scope.ts'
import { credentialFromHeaders, type Authenticator } from './authenticator.ts'
import { authorize, isEntityOwning, type PermissionName } from '../access/permissions.ts'
import type { Principal } from '../access/principal.ts'
import { scopeOfToken, type ScopeResolver, type WantedScope } from '../access/scope.ts'

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

/** The check of a route. Both functions throw, or reject with, the errors of `resolveScope` and `authorize`. */
export interface AdmissionCheck {
  /** Admits a request whose token or API key this node knows already; undefined if it has to be looked up. */
  peek (headers: IncomingHttpHeaders): Admission | undefined
  /** Admits a request. Rejects with the errors of `authenticate` as well. */
  admit (headers: IncomingHttpHeaders): Promise<Admission>
}

/** Builds the check of each route once. */
export function createAdmission (
  { authenticator, resolveScope }: { authenticator: Authenticator, resolveScope: ScopeResolver }
) {
  return function admissionTo (admittance: Exclude<Admittance, 'public'>, demand?: ScopeDemand): AdmissionCheck {
    const permission = admittance === 'authenticated' ? undefined : admittance
    const isScoped = permission !== undefined && (demand !== undefined || isEntityOwning(permission))

    function enter (principal: Principal, scope: Scope | undefined): Admission {
      if (permission !== undefined) authorize(principal, scope ?? null, permission)
      return { principal, scope }
    }

    return {
      peek (headers) {
        const principal = authenticator.peek(credentialFromHeaders(headers))
        if (principal === undefined) return undefined
        return enter(principal, isScoped ? scopeOfToken(principal, wantedScope(headers)) : undefined)
      },
      async admit (headers) {
        const principal = await authenticator.authenticate(credentialFromHeaders(headers))
        const needsScope = isScoped && (demand !== 'optional' || principal.kind === 'token' || namesScope(headers))
        return enter(principal, needsScope ? await resolveScope(principal, wantedScope(headers)) : undefined)
      }
    }
  }
}

const wantedScope = (headers: IncomingHttpHeaders): WantedScope => ({
  applicationId: headers['x-application-id'], environment: headers['x-environment']
})

const namesScope = (headers: IncomingHttpHeaders): boolean =>
  (headers['x-application-id'] ?? '') !== '' || headers['x-environment'] !== undefined
