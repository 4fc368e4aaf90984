import type { onRequestHookHandler, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { UnauthorizedError } from '../src/errors.ts'
import { isPermissionName } from '../src/identity/access/permissions.ts'
import {
  createAdmission, type Admission, type AdmissionCheck, type Admittance, type ScopeDemand
} from '../src/identity/auth/admission.ts'
import type { RefusalLimit } from '../src/identity/auth/refusal-limit.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A permission, `authenticated` for any principal, or `public` for no check. The boot fails without one. */
    permission?: Admittance
    /** Whether the route requires a scope. Defaults to `required` for an entity-owning resource. */
    scope?: ScopeDemand
  }
}

/** Authenticates and authorizes each request before its body is read, by the permission that the route declares. */
export default fp(async (app) => {
  const { authenticator, refusalLimit, resolveScope } = app
  const admissionTo = createAdmission({ authenticator, resolveScope })
  app.addHook('onRoute', route => {
    const admittance = declaredAdmittance(route)
    if (admittance === 'public') return
    const hooks = [route.onRequest ?? []].flat()
    // Fastify creates a HEAD route from the options of a GET route, including its hooks.
    route.onRequest = hooks.some(hook => guards.has(hook))
      ? hooks
      : [guard(admissionTo(admittance, route.config?.scope), refusalLimit), ...hooks]
  })
}, { name: 'auth', dependencies: ['errors', 'admission', 'credentials', 'tenancy'] })

const guards = new WeakSet<onRequestHookHandler>()

/** Uses callbacks, because a known token needs no waiting. This is the hot path of every request. */
function guard (check: AdmissionCheck, refusals: RefusalLimit): onRequestHookHandler {
  const hook: onRequestHookHandler = (request, _reply, done) => {
    const refuse = (error: Error) =>
      done(error instanceof UnauthorizedError ? refusals.weigh(request.ip, error) : error)
    const enter = (admission: Admission) => {
      request.admission = admission
      done()
    }
    let known
    try {
      known = check.peek(request.headers)
    } catch (error) {
      return refuse(error as Error)
    }
    if (known === undefined) check.admit(request.headers).then(enter, refuse)
    else enter(known)
  }
  guards.add(hook)
  return hook
}

/** Returns the permission that a route declares. Throws, which stops the boot, if there is none. */
function declaredAdmittance (route: RouteOptions): Admittance {
  const { url, method, config } = route
  const declared: string | undefined = config?.permission
  if (declared === 'public' || declared === 'authenticated') return declared
  if (declared !== undefined && isPermissionName(declared)) return declared
  // A preflight carries no credential (https://fetch.spec.whatwg.org/#cors-protocol-and-credentials).
  if (declared === undefined && method === 'OPTIONS') return 'public'
  throw new Error(
    `Route ${String(method)} ${url} declares ${
      declared === undefined ? 'no permission' : `an unknown permission: ${declared}`
    }`
  )
}
