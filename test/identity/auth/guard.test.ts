import t from 'tap'
import { buildApp } from '../../../src/app.ts'
import { createConfig } from '../../../src/config.ts'
import { build, testKey } from '../../support/build.ts'
import { createDatabase } from '../../support/database.ts'
import type { Teardown } from '../../support/teardown.ts'
import { tenant } from '../../support/tenant.ts'

/** Builds an app that still accepts new routes. */
async function unready (t: Teardown) {
  const app = await buildApp({
    config: createConfig({
      DATABASE_URL: await createDatabase(t), ENCRYPTION_KEY: testKey, PORT: '0', RATE_LIMIT_MAX: '0',
      LOG_LEVEL: 'silent'
    })
  })
  t.teardown(() => app.close())
  return app
}

t.test('a route without a permission stops the boot', async t => {
  const app = await unready(t)
  const typo: string = 'topics:fly'
  t.throws(() => app.get('/nobody-said', async () => 'secret'), /GET \/nobody-said declares no permission/)
  t.throws(
    () => app.get('/typo', { config: { permission: typo as 'topics:read' } }, async () => 'secret'),
    /unknown permission: topics:fly/
  )
  t.throws(
    () => app.route({ method: ['OPTIONS', 'POST'], url: '/both', handler: async () => 'secret' }),
    /declares no permission/
  )
  t.throws(
    () => app.get('/docs/secret', async () => 'secret'), /declares no permission/,
    'although neighbouring pages are public'
  )
})

t.test('a HEAD route is guarded like its GET route, once', async t => {
  const app = await unready(t)
  let asked = 0
  app.get('/head', { exposeHeadRoute: true, config: { permission: 'topics:read' } }, async () => ++asked)
  const { token } = await tenant(app)
  t.equal((await app.inject({ method: 'HEAD', url: '/head' })).statusCode, 401)
  t.equal(
    (await app.inject({ method: 'HEAD', url: '/head', headers: { authorization: `Bearer ${token()}` } })).statusCode,
    200
  )
  t.equal(
    (await app.inject({ method: 'HEAD', url: '/head', headers: { authorization: `Bearer ${token(['client'])}` } }))
      .statusCode,
    403
  )
  t.equal(asked, 1)
})

t.test('a handler receives the principal and, if there is one, the scope', async t => {
  const app = await unready(t)
  app.get(
    '/scoped', { config: { permission: 'topics:read' } },
    async request => ({ id: request.principal.id, scope: request.scope })
  )
  app.get(
    '/global', { config: { permission: 'tokens:create' } },
    async request => ({ id: request.principal.id, scope: request.admission?.scope ?? null })
  )
  app.get('/global/scope', { config: { permission: 'tokens:create' } }, async request => request.scope)
  app.get(
    '/anybody', { config: { permission: 'public' } },
    async request => ({ admission: request.admission ?? null, author: request.origin.id })
  )
  app.get('/anybody/principal', { config: { permission: 'public' } }, async request => request.principal)
  app.get('/anybody/access', { config: { permission: 'public' } }, async request => request.access.mayReadDocuments())
  const { token, applicationId } = await tenant(app)
  const get = async (url: string, headers: Record<string, string> = {}) =>
    (await app.inject({ url, headers: { authorization: `Bearer ${token()}`, ...headers } })).json()
  const id = `${applicationId}/tester`
  t.same(await get('/scoped'), { id, scope: { applicationId, environment: 'development' } })
  t.same(await get('/scoped', { 'x-environment': 'staging', 'x-application-id': applicationId }), {
    id, scope: { applicationId, environment: 'staging' }
  })
  t.match(await get('/scoped', { 'x-application-id': 'app_other' }), { code: 'APPLICATION_FORBIDDEN' })
  t.match(await get('/scoped', { 'x-environment': 'moon' }), { code: 'ENVIRONMENT_INVALID' })
  t.same(await get('/global', { 'x-environment': 'moon' }), { id, scope: null })
  t.same(await get('/anybody'), { admission: null, author: 'anonymous' })
  for (const url of ['/global/scope', '/anybody/principal', '/anybody/access']) {
    t.match(await get(url), { code: 'INTERNAL' }, 'reading one that the route does not have is an error')
  }
})

t.test('no credential is 401, a missing permission 403, an unknown route 404', async t => {
  const { app } = await build(t)
  const { token } = await tenant(app)
  t.match((await app.inject({ url: '/api/topics' })).json(), { error: 'UnauthorizedError', code: 'CREDENTIAL_MISSING' })
  t.match((await app.inject({ url: '/api/topics', headers: { authorization: 'Basic YTpi' } })).json(), {
    error: 'UnauthorizedError', code: 'CREDENTIAL_INVALID'
  })
  t.match(
    (await app.inject({ url: '/api/topics', headers: { authorization: `Bearer ${token(['client'])}` } })).json(),
    {
      error: 'ForbiddenError', code: 'PERMISSION_DENIED', message: 'Permission required: topics:read'
    }
  )
  t.equal((await app.inject({ url: '/api/nothing' })).statusCode, 404)
  t.equal(
    (await app.inject({
      method: 'POST', url: '/api/topics', payload: 'not json', headers: { 'content-type': 'application/json' }
    })).statusCode,
    401,
    'before the body is validated'
  )
})

t.test('every route except public ones refuses a request without a credential', async t => {
  const { app } = await build(t)
  const open = new Set([
    '/health', '/health/ready', '/api/metrics/prometheus', '/api/auth/setup-status', '/api/auth/setup',
    '/api/auth/login', '/auth/verify', '/api/auth/mfa/verify', '/api/auth/forgot-password', '/api/auth/reset-password',
    '/api/auth/accept-invite', '/.well-known/jwks.json', '/asyncapi.json', '/api/auth/methods', '/api/auth/oidc/start',
    '/api/auth/oidc/callback', '/api/auth/oidc/exchange'
  ])
  const { paths } = app.swagger() as { paths: Record<string, Record<string, unknown>> }
  let guarded = 0
  for (const [path, operations] of Object.entries(paths)) {
    const plain = path === '/' ? path : path.replace(/\/$/, '')
    if (open.has(plain)) continue
    for (const method of Object.keys(operations)) {
      const url = path.replaceAll(/\{\w+\}/g, 'x')
      const { statusCode } = await app.inject({ method: method.toUpperCase() as 'GET', url })
      t.equal(statusCode, 401, `${method} ${path}`)
      guarded++
    }
  }
  t.ok(guarded > 10)
})
