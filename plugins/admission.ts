import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Scope } from '../schemas/scope.ts'
import { Access } from '../src/identity/access/access.ts'
import type { Principal } from '../src/identity/access/principal.ts'
import { originOf, type Origin } from '../src/identity/audit/origin.ts'
import type { Admission } from '../src/identity/auth/admission.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Undefined on public routes, and until the credential is verified. */
    admission: Admission | undefined
    /** The principal of the admission. Throws if there is no admission. */
    readonly principal: Principal
    /** The scope of the admission. Throws if there is none: where a scope is optional, read `admission`. */
    readonly scope: Scope
    /** The rights of the principal in the scope. Throws if there is no scope. */
    readonly access: Access
    /** The author and client of the request, for the audit log. Anonymous on public routes. */
    readonly origin: Origin
  }
}

/** Adds the principal, the scope and the rights of a request, once the plugin `auth` has admitted it. */
export default fp(async (app) => {
  app.decorateRequest('admission', undefined)
  app.decorateRequest('principal', { getter (this: FastifyRequest) { return admissionOf(this).principal } })
  app.decorateRequest('scope', { getter (this: FastifyRequest) { return scopeOf(this) } })
  app.decorateRequest('access', { getter (this: FastifyRequest) { return new Access(this.principal, this.scope) } })
  app.decorateRequest('origin', { getter (this: FastifyRequest) { return originOf(this.admission?.principal, this) } })
}, { name: 'admission' })

function admissionOf ({ admission, routeOptions: { url } }: FastifyRequest): Admission {
  if (admission === undefined) throw new Error(`The request of ${url} has no principal`)
  return admission
}

function scopeOf (request: FastifyRequest): Scope {
  const { scope } = admissionOf(request)
  if (scope === undefined) throw new Error(`The request of ${request.routeOptions.url} has no scope`)
  return scope
}
