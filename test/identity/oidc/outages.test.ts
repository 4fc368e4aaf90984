import t from 'tap'
import { browser } from '../../support/browser.ts'
import { build } from '../../support/build.ts'
import { identityProvider } from '../../support/identity-provider.ts'
import { readableLog } from '../../support/log-lines.ts'
import { password, person, requests } from '../../support/people.ts'
import { comeBack, finish, signIn, startUrl } from '../../support/sign-in.ts'

t.setTimeout(600_000)

const provider = await identityProvider(t)
provider.users.set('ada', { email: 'ada@example.com', email_verified: true, groups: ['admins'] })
provider.state.user = 'ada'

const failures: [string, NonNullable<typeof provider.state.intercept>][] = [
  ['5xx', (_request, response) => { response.writeHead(503).end('down'); return true }],
  ['a reset', request => { request.socket.destroy(); return true }],
  ['no answer', () => true],
  ['an endless answer', (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const part = ' '.repeat(65_536)
    const more = () => { while (!response.destroyed && response.write(part)); }
    response.on('drain', more)
    more()
    return true
  }],
  ['no JSON', (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"issuer":')
    return true
  }],
  ['a redirect', (_request, response) => { response.writeHead(302, { location: '/elsewhere' }).end(); return true }],
  ['another issuer', (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ issuer: 'https://evil.example', authorization_endpoint: 'https://evil.example/auth' }))
    return true
  }]
]
const quick = {
  adapt: (config: Parameters<NonNullable<Parameters<typeof build>[1]>['adapt'] & object>[0]) => {
    if (config.oidc !== undefined) config.oidc.requestTimeoutMs = 500
  }
}

await t.test('the server starts without the provider, start is 503, and passwords work', async t => {
  const log = readableLog()
  for (const [label, intercept] of failures) {
    provider.state.intercept = intercept
    const { app } = await build(t, { variables: provider.variables, logger: log.logger, ...quick })
    const { status, body, headers } = await requests(app).get('/api/auth/oidc/start')
    t.match({ status, body }, { status: 503, body: { code: 'OIDC_UNAVAILABLE' } }, label)
    t.equal(headers['retry-after'], '5')
    const local = await person(app, 'viewer')
    t.equal((await requests(app).post('/api/auth/login', { email: local.email, password })).status, 200)
    t.equal((await requests(app).get('/health')).status, 200)
    provider.state.intercept = undefined
    t.equal((await signIn(app, provider, 'ada')).status, 200, 'and sign-ins work once it is back')
  }
  const lines = log.lines().filter(({ msg }) => msg === 'oidc.discovery_failed')
  t.equal(lines.length, failures.length, 'each failure is logged')
  t.match(lines[0], { issuer: provider.issuer, reason: String })
})

await t.test('a known provider that fails during a sign-in leads to the sign-in page', async t => {
  const { app } = await build(t, { variables: provider.variables, ...quick })
  for (const [label, intercept] of failures.slice(0, 3)) {
    provider.state.intercept = undefined
    const window = browser(app)
    const callback = await comeBack(window)
    provider.state.intercept = intercept
    t.match(await finish(window, callback), { error: 'OIDC_UNAVAILABLE' }, label)
    t.equal((await window.get(startUrl)).status, 302, 'what is known of the provider is used')
  }
  provider.state.intercept = undefined
})

await t.test('concurrent first sign-ins look the provider up once', async t => {
  const { app } = await build(t, { variables: provider.variables })
  const before = provider.requests.length
  await Promise.all([1, 2, 3, 4, 5].map(async () => await requests(app).get('/api/auth/oidc/start')))
  t.same(provider.requests.slice(before), ['GET /.well-known/openid-configuration'])
})

await t.test('a fault of the server is a 500 without detail', async t => {
  const { app } = await build(t, { variables: provider.variables })
  const window = browser(app)
  const callback = await comeBack(window)
  await app.db.schema.alterTable('oidc_identities').renameTo('away').execute()
  const { status, text } = await window.get(callback)
  t.equal(status, 500)
  t.match(JSON.parse(text), { code: 'INTERNAL' })
  t.notMatch(text, 'oidc_identities')
})
