import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { build } from '../../support/build.ts'
import { tenant } from '../../support/tenant.ts'

const post = (app: FastifyInstance, url: string, authorization: string | undefined, payload: object) =>
  app.inject({ method: 'POST', url, payload, headers: authorization === undefined ? {} : { authorization } })

async function setUp (app: FastifyInstance) {
  const { sessionToken, user } =
    (await post(app, '/api/auth/setup', undefined, {
      name: 'Ada', email: 'ada@example.com', password: 'a long pass phrase'
    })).json()
  const { applicationId, token } = await tenant(app)
  const mint = (authorization: string | undefined, body: object = {}) =>
    post(app, '/auth/token', authorization, { applicationId, permissions: ['client'], ...body })
  return { session: sessionToken as string, userId: user.id as string, applicationId, token, mint }
}

t.test('a session issues a token with the requested claims', async t => {
  const { app } = await build(t)
  const { session, userId, applicationId, mint } = await setUp(app)
  const answer = await mint(session, {
    permissions: ['subscribe', 'publish:chat.**'], subject: 'user-17', environment: 'production', expiresIn: 60
  })
  t.equal(answer.statusCode, 200)
  t.same(Object.keys(answer.json()).sort(), ['expiresAt', 'token'])
  t.ok(Math.abs(answer.json().expiresAt - Date.now() - 60_000) < 5000)
  const verdict = await post(app, '/auth/verify', undefined, { token: answer.json().token })
  t.equal(verdict.statusCode, 200)
  t.match(verdict.json(), {
    valid: true,
    claims: {
      sub: 'user-17', aud: applicationId, iss: 'realtime-platform', environment: 'production',
      permissions: ['subscribe', 'publish:chat.**']
    }
  })
  t.equal(verdict.json().claims.exp * 1000, answer.json().expiresAt)
  const [header = ''] = answer.json().token.split('.')
  t.match(JSON.parse(Buffer.from(header, 'base64url').toString()), { alg: 'HS256', kid: app.signingKeys.active?.id })

  const plain = await mint(session)
  t.ok(Math.abs(plain.json().expiresAt - Date.now() - 3_600_000) < 5000, 'an hour by default')
  t.equal((await post(app, '/auth/verify', undefined, { token: plain.json().token })).json().claims.sub, userId)
})

t.test("a token grants no more than its issuer holds, and only in the issuer's application", async t => {
  const { app } = await build(t)
  const { session, token, mint } = await setUp(app)
  const other = await tenant(app)
  const outcome = async (authorization: string | undefined, body?: object) => {
    const answer = await mint(authorization, body)
    return answer.statusCode === 200 ? 200 : `${answer.statusCode} ${answer.json().code}`
  }
  t.equal(await outcome(undefined), '401 CREDENTIAL_MISSING')
  t.equal(await outcome(session, { permissions: ['admin'] }), 200)
  t.equal(await outcome(`Bearer ${token()}`, { permissions: ['admin'] }), 200)
  const service = `Bearer ${token(['service'])}`
  t.equal(await outcome(service, { permissions: ['client', 'subscribe:order.*'] }), 200)
  t.equal(await outcome(service, { permissions: ['service'] }), '403 PERMISSION_NOT_HELD')
  t.equal(await outcome(service, { permissions: ['publish'] }), '403 PERMISSION_NOT_HELD')
  t.equal(await outcome(service, { applicationId: other.applicationId }), '403 APPLICATION_FORBIDDEN')
  t.equal(await outcome(`Bearer ${token()}`, { applicationId: other.applicationId }), '403 APPLICATION_FORBIDDEN')
  t.equal(await outcome(`Bearer ${token(['client'])}`), '403 PERMISSION_DENIED')
  t.equal(await outcome(session, { applicationId: 'app_none' }), '404 APPLICATION_NOT_FOUND')
  t.equal(await outcome(session, { permissions: ['topics:fly'] }), '400 VALIDATION_FAILED')
  for (
    const body of [
      { permissions: [] }, { permissions: 'admin' }, { permissions: ['a b'] }, { expiresIn: 0 }, { expiresIn: '60' },
      { environment: 'moon' }, { applicationId: '../x' }, { subject: '' }, { extra: 1 }
    ]
  ) {
    t.equal(await outcome(session, body), '400 VALIDATION_FAILED', JSON.stringify(body))
  }
})

t.test('a session issues tokens in the applications of its roles', async t => {
  const { app } = await build(t)
  const { session, userId, applicationId, mint } = await setUp(app)
  await app.db.updateTable('role_assignments').set({ role_id: 'role_admin', application_id: applicationId }).where(
    'user_id', '=', userId
  ).execute()
  const other = await tenant(app)
  t.equal((await mint(session, { permissions: ['service', 'topics:create'] })).statusCode, 200)
  t.equal(
    (await mint(session, { permissions: ['admin'] })).json().code, 'PERMISSION_NOT_HELD',
    'it would include the global sections'
  )
  t.equal((await mint(session, { applicationId: other.applicationId })).json().code, 'APPLICATION_FORBIDDEN')
  t.equal(
    (await mint(session, { applicationId: 'app_none' })).json().code, 'APPLICATION_FORBIDDEN',
    'the refusal does not reveal whether it exists'
  )
})

t.test('a token issues tokens for its environment only, which expire no later', async t => {
  const { app } = await build(t)
  const { session, mint } = await setUp(app)
  const pinned = (await mint(session, { permissions: ['admin'], environment: 'staging', expiresIn: 120 })).json()
  const child = await mint(`Bearer ${pinned.token}`, { permissions: ['admin'], expiresIn: 86_400 })
  t.equal(child.statusCode, 200)
  t.equal(child.json().expiresAt, pinned.expiresAt)
  t.equal(
    (await post(app, '/auth/verify', undefined, { token: child.json().token })).json().claims.environment, 'staging'
  )
  const astray = await mint(`Bearer ${pinned.token}`, { environment: 'production' })
  t.equal(astray.statusCode, 403)
  t.equal(astray.json().code, 'ENVIRONMENT_FORBIDDEN')
})

t.test('verification refuses invalid tokens and bodies', async t => {
  const { app } = await build(t)
  for (const body of [{}, { token: 1 }, { token: '' }, { token: 'x', extra: 1 }]) {
    t.equal((await post(app, '/auth/verify', undefined, body)).statusCode, 400, JSON.stringify(body))
  }
  t.match((await post(app, '/auth/verify', undefined, { token: 'x' })).json(), {
    error: 'UnauthorizedError', code: 'CREDENTIAL_INVALID'
  })
})
