import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { createDatabase } from '../../support/database.ts'
import { tenant } from '../../support/tenant.ts'

t.setTimeout(600_000)

const ada = { name: 'Ada', email: 'Ada@example.com', password: 'a long pass phrase' }
const credentials = { email: ada.email, password: ada.password }

const post = (
  app: FastifyInstance, url: string, payload?: object,
  options: { headers?: Record<string, string>, remoteAddress?: string } = {}
) => app.inject({ method: 'POST', url, ...(payload !== undefined && { payload }), ...options })

async function loggedIn (app: FastifyInstance): Promise<string> {
  return (await post(app, '/api/auth/setup', ada)).json().sessionToken
}

t.test('setup creates the first super_admin, once', async t => {
  const { app } = await build(t)
  t.same((await app.inject('/api/auth/setup-status')).json(), { setupRequired: true })
  const answer = await post(app, '/api/auth/setup', ada)
  t.equal(answer.statusCode, 201)
  t.match(answer.json(), { sessionToken: /^sess_/, user: { id: /^usr_/, email: 'Ada@example.com', name: 'Ada' } })
  t.same((await app.inject('/api/auth/setup-status')).json(), { setupRequired: false })
  const again = await post(app, '/api/auth/setup', { ...ada, email: 'eve@example.com' })
  t.equal(again.statusCode, 403)
  t.match(again.json(), { error: 'ForbiddenError', code: 'SETUP_DONE' })
  t.equal(app.setup.token, undefined)
  const me = await app.inject({ url: '/api/auth/me', headers: { authorization: answer.json().sessionToken } })
  t.match(me.json(), {
    kind: 'session', user: { email: 'Ada@example.com' }, roles: [{ name: 'super_admin', applicationId: null }]
  })
  t.ok(me.json().permissions.includes('keys:create'))
})

t.test('one of several concurrent setups succeeds, on one node or two', async t => {
  const databaseUrl = await createDatabase(t)
  const { app } = await build(t, { databaseUrl })
  const { app: other } = await build(t, { databaseUrl })
  const answers = await Promise.all(
    [app, other, app, other].map((node, i) => post(node, '/api/auth/setup', { ...ada, email: `${i}@example.com` }))
  )
  t.same(answers.map(answer => answer.statusCode).sort(), [201, 403, 403, 403])
  t.equal((await app.db.selectFrom('users').select('id').execute()).length, 1)
  t.same((await other.inject('/api/auth/setup-status')).json(), { setupRequired: false })
})

t.test('setup from another machine requires the token that is printed at start', async t => {
  const { app } = await build(t)
  const refused = { statusCode: 403, code: 'SETUP_TOKEN_REQUIRED' }
  const attempt = async (body: object, options: Parameters<typeof post>[3]) => {
    const answer = await post(app, '/api/auth/setup', body, options)
    return { statusCode: answer.statusCode, code: answer.json().code }
  }
  t.same(await attempt(ada, { remoteAddress: '203.0.113.7' }), refused)
  t.same(await attempt(ada, { remoteAddress: '203.0.113.7', headers: { 'x-forwarded-for': '127.0.0.1' } }), refused)
  t.same(
    await attempt(ada, { headers: { 'x-forwarded-for': '127.0.0.1' } }), refused,
    'an untrusted proxy on this machine'
  )
  t.same(await attempt(ada, { headers: { host: 'evil.example.com' } }), refused, 'a page that is pointed here by DNS')
  t.same(
    await attempt(ada, { headers: { origin: 'https://evil.example.com' } }),
    refused,
    'a page in a local browser'
  )
  for (const setupToken of ['', 'x', `${app.setup.token}x`]) {
    t.same(await attempt({ ...ada, setupToken }, { remoteAddress: '203.0.113.7' }), refused)
  }
  t.equal(
    (await attempt({ ...ada, setupToken: app.setup.token }, { remoteAddress: '203.0.113.7' })).statusCode, 201
  )
})

t.test('setup through a local proxy without forwarding headers requires the token', async t => {
  const { app } = await build(t)
  const { port } = new URL(await listen(app))
  const body = JSON.stringify(ada)
  const socket = connect(Number(port), '127.0.0.1')
  // The request of an nginx that is configured with `proxy_pass` only.
  socket.write(
    `POST /api/auth/setup HTTP/1.0\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  )
  t.match(await text(socket), /^HTTP\/1\.1 403 [^]*SETUP_TOKEN_REQUIRED/)
})

t.test('setup behind a configured proxy requires the token', async t => {
  for (
    const variables of [{ TRUST_PROXY: '127.0.0.1' }, { PUBLIC_URL: 'https://realtime.example.com' }] as Record<
      string,
      string
    >[]
  ) {
    const { app } = await build(t, { variables })
    for (
      const headers of [{}, { 'x-forwarded-for': '203.0.113.7' }, { 'x-forwarded-for': '127.0.0.1' }] as Record<
        string,
        string
      >[]
    ) t.equal((await post(app, '/api/auth/setup', ada, { headers })).statusCode, 403)
    t.equal((await post(app, '/api/auth/setup', { ...ada, setupToken: app.setup.token })).statusCode, 201)
  }
})

t.test('a PUBLIC_URL on this machine does not count as a proxy', async t => {
  const { app } = await build(t, { variables: { PUBLIC_URL: 'http://localhost:3000' } })
  t.equal((await post(app, '/api/auth/setup', ada)).statusCode, 201)
})

t.test('setup rejects invalid input', async t => {
  const { app } = await build(t)
  for (
    const wrong of [
      { ...ada, password: 'short' }, { ...ada, email: 'ada' }, { ...ada, name: '' }, { ...ada, name: 'a\0' },
      { ...ada, email: 'a\0@example.com' }, { ...ada, role: 'x' }, {}, []
    ]
  ) {
    const answer = await post(app, '/api/auth/setup', wrong)
    t.equal(answer.statusCode, 400, JSON.stringify(wrong))
    t.equal(answer.json().error, 'ValidationError')
  }
  t.same((await app.inject('/api/auth/setup-status')).json(), { setupRequired: true })
})

t.test('a session logs in, authenticates in all three forms, and logs out', async t => {
  const { app } = await build(t)
  await loggedIn(app)
  const answer = await post(app, '/api/auth/login', { ...credentials, email: 'ADA@example.com' })
  t.equal(answer.statusCode, 200)
  t.same(Object.keys(answer.json()), ['sessionToken', 'user'])
  t.same(Object.keys(answer.json().user).sort(), ['email', 'id', 'name'])
  const { sessionToken } = answer.json()
  for (
    const headers of [{ authorization: sessionToken }, { 'x-session-token': sessionToken }, {
      authorization: `Bearer ${sessionToken}`
    }]
  ) {
    const me = await app.inject({ url: '/api/auth/me', headers })
    t.equal(me.statusCode, 200)
    t.notMatch(me.body, /sess_|argon2/)
  }
  const ended: string[] = []
  app.sessions.onEnded(key => ended.push(key))
  t.equal(
    (await post(app, '/api/auth/logout', undefined, { headers: { authorization: sessionToken } })).statusCode, 204
  )
  t.equal(ended.length, 1, 'the listener for closing sockets is called')
  for (const url of ['/api/auth/me', '/api/applications']) {
    const after = await app.inject({ url, headers: { authorization: sessionToken } })
    t.equal(after.statusCode, 401)
    t.equal(after.json().code, 'CREDENTIAL_INVALID')
  }
})

t.test('a wrong password and an unknown address get the same response', async t => {
  const { app } = await build(t)
  await loggedIn(app)
  const wrong = await post(app, '/api/auth/login', { ...credentials, password: 'something else' })
  const unknown = await post(app, '/api/auth/login', { ...credentials, email: 'nobody@example.com' })
  t.equal(wrong.statusCode, 401)
  t.equal(wrong.json().code, 'LOGIN_FAILED')
  t.equal(unknown.statusCode, 401)
  t.same(unknown.json(), wrong.json())
  for (
    const body of [{}, { email: ada.email }, { email: 'a\0', password: 'x' }, { email: { a: 1 }, password: 'x' }, {
      ...credentials,
      extra: 1
    }]
  ) {
    t.equal((await post(app, '/api/auth/login', body)).statusCode, 400, JSON.stringify(body))
  }
})

t.test('guessing at one account is slowed down, whether it exists or not', async t => {
  const { app } = await build(t)
  await loggedIn(app)
  let attempts = 0
  const attempt = async (email: string, password: string) =>
    await post(app, '/api/auth/login', { email, password }, { remoteAddress: `10.0.0.${attempts++}` })
  /** Repeats until a delay applies. The first delay is a second, which may pass before the next attempt. */
  const guess = async (email: string) => {
    let failed = 0
    let code: number
    while ((code = (await attempt(email, 'wrong')).statusCode) === 401 && failed < 12) failed++
    t.equal(code, 429, email)
    t.ok(failed >= 5, `${email}: ${failed} mistakes`)
  }
  await guess('nobody@example.com')
  let blocked: Awaited<ReturnType<typeof attempt>>
  // A successful login clears the failures.
  for (let rounds = 0; ; rounds++) {
    await guess(ada.email)
    blocked = await attempt(ada.email, ada.password)
    if (blocked.statusCode !== 200 || rounds === 4) break
  }
  t.equal(blocked.statusCode, 429)
  t.match(blocked.json(), { error: 'RateLimitError', code: 'RATE_LIMITED' })
  t.ok(Number(blocked.headers['retry-after']) >= 1)
})

t.test('guessing from one address is limited over all accounts', async t => {
  const { app } = await build(t)
  const codes = []
  for (let i = 0; i < 21; i++) {
    codes.push((await post(app, '/api/auth/login', { email: `${i}@example.com`, password: 'wrong' })).statusCode)
  }
  t.same(codes, [...Array(20).fill(401), 429])
  t.equal(
    (await post(app, '/api/auth/login', { email: 'a@example.com', password: 'wrong' }, {
      headers: { 'x-forwarded-for': '10.1.1.1' }
    })).statusCode,
    429,
    'a forged header changes nothing'
  )
  t.equal(
    (await post(app, '/api/auth/login', { email: 'a@example.com', password: 'wrong' }, { remoteAddress: '10.1.1.1' }))
      .statusCode,
    401
  )
})

t.test('the addresses of an IPv6 network count as one', async t => {
  const { app } = await build(t)
  const ask = async (remoteAddress: string) =>
    (await post(app, '/api/auth/forgot-password', { email: 'a@example.com' }, { remoteAddress })).statusCode
  const statuses: number[] = []
  for (let i = 0; i < 21; i++) statuses.push(await ask(`2001:db8:1:2:${i.toString(16)}::${i}`))
  t.same(statuses, [...Array(20).fill(202), 429])
  t.equal(await ask('2001:db8:1:3::1'), 202)
})

t.test('a token can read its identity, and cannot log out', async t => {
  const { app } = await build(t)
  const { request, applicationId } = await tenant(app, {
    permissions: ['client', 'publish:chat.**'], environment: 'staging'
  })
  const me = await request('GET', '/api/auth/me')
  t.match(me.body, {
    kind: 'token', subject: 'tester', applicationId, environment: 'staging', permissions: ['client', 'publish:chat.**']
  })
  t.ok((me.body as { expiresAt: number }).expiresAt > Date.now())
  t.equal((await request('POST', '/api/auth/logout')).status, 403)
})
