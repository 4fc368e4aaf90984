import { randomBytes } from 'node:crypto'
import jwt from '@fastify/jwt'
import type { FastifyRequest, onRequestHookHandler, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { originOf, type Origin } from '../src/identity/audit/origin.ts'
import {
  createAdmission, type Admission, type Admit, type Admittance, type ScopeDemand
} from '../src/identity/auth/admission.ts'
import { createAuthenticator, type Authenticator } from '../src/identity/auth/authenticator.ts'
import { createTokenIssuer, type IssueToken } from '../src/identity/auth/issue-token.ts'
import { createKeyAdmin, type KeyAdmin } from '../src/identity/auth/key-admin.ts'
import { createLogin, type Login } from '../src/identity/auth/login.ts'
import { toMe, createOwnSessions, type OwnSessions } from '../src/identity/auth/own-sessions.ts'
import { isPermissionName } from '../src/identity/access/permissions.ts'
import { Access } from '../src/identity/access/access.ts'
import type { Principal } from '../src/identity/access/principal.ts'
import { RefusalLimit } from '../src/identity/auth/refusal-limit.ts'
import { createRefusedLogins, type RefusedLogins } from '../src/identity/auth/refused-logins.ts'
import { createScopeResolver, type ScopeResolver } from '../src/identity/access/scope.ts'
import { createSecondFactor, type SecondFactor } from '../src/identity/auth/second-factor.ts'
import { createSessions, type Sessions } from '../src/identity/auth/sessions.ts'
import { isElsewhere, Setup } from '../src/identity/auth/setup.ts'
import { SigningKeys } from '../src/identity/auth/signing-keys.ts'
import { createTokens, type Jwt, type Tokens } from '../src/identity/auth/tokens.ts'
import { createUsers, type Users } from '../src/identity/auth/users.ts'
import { UnauthorizedError } from '../src/errors.ts'
import type { OwnKey } from '../src/events/intent.ts'
import type { Scope } from '../schemas/scope.ts'

declare module 'fastify' {
  interface FastifyInstance {
    auth: {
      authenticator: Authenticator
      resolveScope: ScopeResolver
      tokens: Tokens
      issueToken: IssueToken
      sessions: Sessions
      users: Users
      login: Login
      refusedLogins: RefusedLogins
      secondFactor: SecondFactor
      ownSessions: OwnSessions
      setup: Setup
      keys: SigningKeys
      keyAdmin: KeyAdmin
      /** Counts refused credentials by address. */
      refusals: RefusalLimit
      toMe: typeof toMe
    }
  }
  interface FastifyRequest {
    /**
     * The principal that may use the route, and the scope. Undefined on public routes, and until the credential is
     * verified.
     */
    admission: Admission | undefined
    /** The principal of the admission. Throws if there is none. */
    readonly principal: Principal
    /** The scope of the admission. Throws if there is none: where a scope is optional, read `admission`. */
    readonly scope: Scope
    /** The rights of the principal in the scope. Throws if there is no scope. */
    readonly access: Access
    /** The author and client of the request, for the audit log. Anonymous on public routes. */
    readonly origin: Origin
    /** The request's `Idempotency-Key`, bound to its principal. */
    idempotencyKey: OwnKey | undefined
  }
  interface FastifyContextConfig {
    /** A permission, `authenticated` for any principal, or `public` for no check. The boot fails without one. */
    permission?: Admittance
    /** Whether a route of an entity-owning resource requires a scope. Defaults to `required`. */
    scope?: ScopeDemand
  }
}

/**
 * Authenticates and authorizes each request before its body is read, by the permission that the route declares. A
 * handler reads `request.principal` and, if its resource belongs to an application, `request.scope`.
 */
export default fp(async (app) => {
  const { db, encryption, config: { auth, http } } = app
  // Each call passes the key of its token. This secret signs and verifies nothing.
  await app.register(jwt, { secret: randomBytes(32) })
  const applications = app.applicationCache
  const keys = new SigningKeys({ db, encryption, log: app.log })
  const sessions = createSessions({ db, ttlMs: auth.sessionTtlMs, now: app.clock.now })
  const users = createUsers({ db })
  const secondFactor = createSecondFactor({ db, encryption, issuer: auth.issuer, invalidations: app.invalidations })
  const tokens = createTokens({
    jwt: app.jwt as Jwt, keys, applications, issuer: auth.issuer, defaultTtlS: auth.tokenTtlS
  })
  const authenticator = createAuthenticator({ tokens, sessions })
  const resolveScope = createScopeResolver({ applications })
  const setup = new Setup({ db, isProxied: http.trustProxy.length > 0 || isElsewhere(http.publicUrl) })
  const refusals = new RefusalLimit({ max: http.rateLimitUnauthorizedMax, metrics: app.instruments })
  const refusedLogins = createRefusedLogins({ db, log: app.log })
  app.decorate('auth', {
    authenticator,
    resolveScope,
    tokens,
    issueToken: createTokenIssuer({ db, tokens, resolveScope }),
    sessions,
    users,
    login: createLogin({
      db, users, sessions, secondFactor, refusedLogins, metrics: app.instruments, invalidations: app.invalidations
    }),
    refusedLogins,
    secondFactor,
    ownSessions: createOwnSessions({ sessions }),
    setup,
    keys,
    keyAdmin: createKeyAdmin({ db, encryption, keys, onChanged: () => app.invalidations.announce('keys') }),
    refusals,
    toMe
  })
  app.decorateRequest('admission', undefined)
  app.decorateRequest('principal', { getter (this: FastifyRequest) { return admissionOf(this).principal } })
  app.decorateRequest('scope', { getter (this: FastifyRequest) { return scopeOf(this) } })
  app.decorateRequest('access', {
    getter (this: FastifyRequest) { return new Access(admissionOf(this).principal, scopeOf(this)) }
  })
  app.decorateRequest('origin', { getter (this: FastifyRequest) { return originOf(this.admission?.principal, this) } })
  app.decorateRequest('idempotencyKey', { getter (this: FastifyRequest) { return ownKeyOf(this) } })

  const admissionTo = createAdmission({ authenticator, resolveScope })
  app.addHook('onRoute', route => {
    const admittance = declaredAdmittance(route)
    if (admittance === 'public') return
    const hooks = [route.onRequest ?? []].flat()
    // Fastify creates a HEAD route from the options of a GET route, including its hooks.
    route.onRequest = hooks.some(hook => guards.has(hook))
      ? hooks
      : [guard(admissionTo(admittance, route.config?.scope), refusals), ...hooks]
  })

  app.invalidations.on('keys', () => keys.refresh())
  await keys.ensure()
  await setup.start()
  app.addHook('onReady', async () => keys.start())
  app.addHook('onClose', async () => keys.close())
}, { name: 'auth', dependencies: ['config', 'database', 'encryption', 'invalidations', 'metrics', 'tenancy'] })

function admissionOf ({ admission, routeOptions: { url } }: FastifyRequest): Admission {
  if (admission === undefined) throw new Error(`The request of ${url} has no principal`)
  return admission
}

function scopeOf (request: FastifyRequest): Scope {
  const { scope } = admissionOf(request)
  if (scope === undefined) throw new Error(`The request of ${request.routeOptions.url} has no scope`)
  return scope
}

function ownKeyOf (request: FastifyRequest): OwnKey | undefined {
  const { 'idempotency-key': key } = request.headers
  return typeof key === 'string' ? { owner: request.principal.id, key } : undefined
}

const guards = new WeakSet<onRequestHookHandler>()

/** Uses callbacks, because a cached token needs no waiting. This is the hot path of every request. */
function guard (admit: Admit, refusals: RefusalLimit): onRequestHookHandler {
  const hook: onRequestHookHandler = (request, _reply, done) => {
    const refuse = (error: Error) =>
      done(error instanceof UnauthorizedError ? refusals.weigh(request.ip, error) : error)
    const enter = (admission: Admission) => {
      request.admission = admission
      done()
    }
    let admission
    try {
      admission = admit(request.headers)
    } catch (error) {
      return refuse(error as Error)
    }
    if (admission instanceof Promise) admission.then(enter, refuse)
    else enter(admission)
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
