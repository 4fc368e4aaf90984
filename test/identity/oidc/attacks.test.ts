import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { createStartedSignIns } from '../../../src/identity/oidc/started-sign-ins.ts'
import { browser } from '../../support/browser.ts'
import { build } from '../../support/build.ts'
import { identityProvider, publicUrl } from '../../support/identity-provider.ts'
import { readableLog } from '../../support/log-lines.ts'
import { requests } from '../../support/people.ts'
import { callbackUrl, comeBack, finish, fragmentOf, signIn, startUrl } from '../../support/sign-in.ts'

t.setTimeout(600_000)

const provider = await identityProvider(t)
provider.users.set('ada', { email: 'ada@example.com', email_verified: true, groups: ['admins'] })
provider.users.set('eve', { email: 'eve@example.com', email_verified: true, groups: ['viewers'] })
const log = readableLog('debug')
const { app } = await build(t, {
  variables: {
    ...provider.variables, ACCESS_LOG: 'true', LOG_LEVEL: 'debug', CORS_ORIGINS: 'https://console.example.com'
  },
  logger: log.logger
})
const stateInvalid = { error: 'OIDC_STATE_INVALID' }
t.beforeEach(() => {
  provider.state.user = 'ada'
  provider.state.tamper = undefined
})

await t.test('a callback needs its state and the cookie of the browser that started', async t => {
  const window = browser(app)
  const callback = await comeBack(window)
  const other = new URL(callback)
  other.searchParams.set('state', 'another')
  t.same(await finish(window, other.href), stateInvalid, 'another state')
  other.searchParams.delete('state')
  t.same(await finish(window, other.href), stateInvalid, 'no state')
  t.same(await finish(browser(app), callback), stateInvalid, 'no cookie')
  const victim = browser(app)
  await comeBack(victim)
  t.same(await finish(victim, callback), stateInvalid, "another browser's cookie")
  const forger = browser(app)
  await comeBack(forger)
  for (const [name, cookie] of forger.cookies) {
    forger.cookies.set(name, { ...cookie, value: `${cookie.value.slice(0, -4)}AAAA` })
  }
  t.same(await finish(forger, callback), stateInvalid, 'a changed cookie')
  t.match(await finish(window, callback), { code: /^oidc_/ }, 'none of these has used it up')
})

await t.test('a callback works once, also if it is sent twice at the same time', async t => {
  const window = browser(app)
  const callback = await comeBack(window)
  const before = provider.requests.filter(request => request === 'POST /token').length
  const results = await Promise.all([1, 2, 3].map(async () => await finish(window, callback)))
  t.equal(results.filter(({ code }) => code !== undefined).length, 1)
  t.same(results.map(({ error }) => error).filter(error => error !== undefined), Array(2).fill('OIDC_STATE_INVALID'))
  t.match(await finish(window, callback), stateInvalid, 'and later')
  t.equal(provider.requests.filter(request => request === 'POST /token').length, before + 1, 'the code is sent once')
})

await t.test('a stolen code of the provider is useless without the verifier of its sign-in', async t => {
  const [victim, thief] = [browser(app), browser(app)]
  const stolen = new URL(await comeBack(victim)).searchParams.get('code') ?? ''
  const callback = new URL(await comeBack(thief))
  callback.searchParams.set('code', stolen)
  t.match(await finish(thief, callback.href), { error: 'OIDC_RESPONSE_INVALID' })
})

await t.test('a callback that names another issuer, or none, is refused', async t => {
  for (const iss of ['https://evil.example', undefined]) {
    const window = browser(app)
    const callback = new URL(await comeBack(window))
    t.equal(callback.searchParams.get('iss'), provider.issuer)
    if (iss === undefined) callback.searchParams.delete('iss')
    else callback.searchParams.set('iss', iss)
    t.match(await finish(window, callback.href), { error: 'OIDC_RESPONSE_INVALID' }, iss ?? 'none')
  }
})

await t.test('an ID token must be signed, current, and for this sign-in', async t => {
  const now = Math.floor(Date.now() / 1000)
  const { privateKey: foreign } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const hit = async (label: string, expected: object) => t.match(await signIn(app, provider, 'ada'), expected, label)
  const refused = { error: 'OIDC_RESPONSE_INVALID' }
  provider.claim(claims => claims)
  await hit('unchanged and signed again', { status: 200 })
  for (const [label, changes] of Object.entries({
    'another nonce': { nonce: 'another' },
    'no nonce': { nonce: undefined },
    'another issuer': { iss: 'https://evil.example' },
    'another audience': { aud: 'another-client' },
    'several audiences without azp': { aud: ['realtime', 'another-client'] },
    expired: { exp: now - 60, iat: now - 600 },
    'issued in the future': { nbf: now + 600 },
    'no subject': { sub: undefined },
    'no expiry': { exp: undefined }
  })) {
    provider.claim(claims => ({ ...claims, ...changes }))
    await hit(label, refused)
  }
  provider.claim(claims => ({ ...claims, exp: now - 10 }))
  await hit('expired within the tolerance of clocks', { status: 200 })
  provider.claim(claims => claims, { key: foreign })
  await hit('signed by another key', refused)
  provider.claim(claims => claims, { header: { alg: 'none' } })
  await hit('alg none', refused)
  provider.claim(claims => claims, { header: { alg: 'HS256' } })
  await hit('HS256', refused)
  provider.state.tamper = (path, body) =>
    path === '/token' ? { ...body, id_token: String(body['id_token']).replace(/[^.]+$/, '') } : body
  await hit('no signature', refused)
  provider.state.tamper = (path, body) => path === '/token' ? { ...body, id_token: undefined } : body
  await hit('no ID token', refused)
  provider.state.tamper = (path, body) => path === '/me' ? { ...body, sub: 'eve' } : body
  await hit('claims of another user', refused)
})

await t.test('the one-time code works once, for a minute, and in its browser only', async t => {
  const open = async (window: ReturnType<typeof browser>, code: string | undefined) => {
    const { status, body } = await window.post('/api/auth/oidc/exchange', { code })
    return body.code === undefined ? status : `${status} ${body.code}`
  }
  const [window, thief] = [browser(app), browser(app)]
  const { code } = await finish(window, await comeBack(window))
  t.equal(await open(browser(app), code), '401 OIDC_CODE_INVALID', 'no cookie')
  provider.state.user = 'eve'
  await finish(thief, await comeBack(thief))
  t.equal(await open(thief, code), '401 OIDC_CODE_INVALID', 'the cookie of another browser')
  const results = await Promise.all([1, 2, 3].map(async () => await open(window, code)))
  t.same(results.sort(), [200, '401 OIDC_CODE_INVALID', '401 OIDC_CODE_INVALID'])
  t.equal(await open(window, 'oidc_guess'), '401 OIDC_CODE_INVALID')
  const late = await finish(window, await comeBack(window))
  const stored = JSON.stringify(await app.db.selectFrom('oidc_sign_ins').selectAll().execute())
  t.notOk(stored.includes(late['code'] ?? 'none'), 'only its hash is stored')
  await app.db.updateTable('oidc_sign_ins').set({ code_expires_at: Date.now() - 1 }).execute()
  t.equal(await open(window, late['code']), '401 OIDC_CODE_INVALID', 'after its minute')
})

await t.test('a sign-in that took too long is refused', async t => {
  const started = createStartedSignIns({ encryption: app.encryption, publicUrl })
  const window = browser(app)
  const callback = await comeBack(window)
  const [[name, cookie] = ['', { host: '', path: '/', value: '' }]] =
    [...window.cookies].filter(([name]) => name.includes('realtime_oidc'))
  const open = started.read(`__Secure-realtime_oidc=${cookie.value}`)
  t.equal(open.length, 1)
  const [, late = ''] = /=([^;]*)/.exec(started.write(open.map(one => ({ ...one, expiresAt: Date.now() - 1 })))) ?? []
  window.cookies.set(name, { ...cookie, value: late })
  t.same(await finish(window, callback), stateInvalid)
  window.cookies.set(name, cookie)
  t.match(await finish(window, callback), { code: /^oidc_/ }, 'which its own time decides')
})

await t.test('each route is limited by address, as a login is', async t => {
  const remoteAddress = '192.0.2.7'
  for (const [method, url] of [
    ['GET', '/api/auth/oidc/start'], ['GET', '/api/auth/oidc/callback?state=x'], ['POST', '/api/auth/oidc/exchange']
  ] as const) {
    const payload = method === 'POST' ? { code: 'oidc_guess' } : undefined
    const send = async () => (await app.inject({ method, url, remoteAddress, ...(payload && { payload }) })).statusCode
    const statuses: number[] = []
    for (let i = 0; i < 21; i++) statuses.push(await send())
    t.same(statuses.filter(status => status === 429), [429], url)
  }
})

await t.test('two tabs of a browser sign in side by side', async t => {
  const window = browser(app)
  const [first, second] = [await comeBack(window), await comeBack(window)]
  const codes = [await finish(window, first), await finish(window, second)].map(({ code }) => code)
  for (const code of codes) t.equal((await window.post('/api/auth/oidc/exchange', { code })).status, 200)
  t.equal(window.cookies.has(`${new URL(publicUrl).host} __Secure-realtime_oidc`), false, 'the cookie is deleted')
  for (let i = 0; i < 5; i++) await comeBack(window, `?returnTo=/${'x'.repeat(490)}`)
  const [cookie] = [...window.cookies].filter(([name]) => name.includes('realtime_oidc')).map(([, value]) => value)
  t.ok((cookie?.value.length ?? 0) < 3900, `the cookie has a limited length: ${cookie?.value.length}`)
})

await t.test('the cookie is for these routes and this browser only, and nothing is cached', async t => {
  const page = await browser(app).get(startUrl)
  const attributes = 'Max-Age=600; Path=/api/auth/oidc; HttpOnly; SameSite=Lax; Secure'
  t.match(page.setCookies[0], new RegExp(`^__Secure-realtime_oidc=v2\\.[^;]*; ${attributes}$`))
  const { headers } = await requests(app).get('/api/auth/oidc/start')
  t.match(headers, { 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' })
  t.match(new URL(page.location ?? '').searchParams.get('code_challenge_method'), 'S256')
})

await t.test('a sign-in returns to own paths and known consoles only', async t => {
  for (const text of ['//evil.example', '/\\evil.example', '/%2Fevil.example', 'https://evil.example', '/a\tb']) {
    const { status, body } = await requests(app).get(`/api/auth/oidc/start?returnTo=${encodeURIComponent(text)}`)
    t.match({ status, body }, { status: 400, body: { code: 'VALIDATION_FAILED' } }, JSON.stringify(text))
  }
  const window = browser(app)
  const callback = await comeBack(window, `?returnTo=${encodeURIComponent('https://console.example.com/topics')}`)
  const { location } = await window.get(callback)
  t.match(location, 'https://console.example.com/login#')
  t.match(fragmentOf(location ?? ''), { code: /^oidc_/, returnTo: '/topics' })
  const headers = { origin: 'https://console.example.com', 'access-control-request-method': 'POST' }
  const allows = async (url: string, origin = headers.origin) =>
    (await app.inject({ method: 'OPTIONS', url, headers: { ...headers, origin } }))
      .headers['access-control-allow-credentials']
  t.equal(await allows('/api/auth/oidc/exchange'), 'true', 'that console may send the cookie')
  t.equal(await allows('/api/auth/oidc/exchange', 'https://evil.example'), undefined, 'no other page may')
  t.equal(await allows('/api/auth/login'), undefined, 'and only there')
})

await t.test('an error of the provider leads to the sign-in page with a code', async t => {
  provider.state.user = undefined
  const window = browser(app)
  const denied = await finish(window, await comeBack(window, '?returnTo=/topics'))
  t.same(denied, { error: 'OIDC_DENIED', returnTo: '/topics' })
  provider.state.user = 'ada'
  const failed = new URL(await comeBack(window))
  failed.searchParams.delete('code')
  failed.searchParams.set('error', 'server_error')
  failed.searchParams.set('error_description', '<script>alert(1)</script>')
  t.match(await finish(window, failed.href), { error: 'OIDC_PROVIDER_ERROR' })
  t.same(await finish(browser(app), `${callbackUrl}?error=access_denied&state=x`), stateInvalid, 'not without a cookie')
})

await t.test('no code, state, token or secret is logged or audited', async t => {
  const window = browser(app)
  const callback = await comeBack(window)
  const { code, state } = Object.fromEntries(new URL(callback).searchParams)
  const handed = await finish(window, callback)
  const { body } = await window.post('/api/auth/oidc/exchange', { code: handed['code'] })
  await window.get(callback)
  const cookie = [...window.cookies.values()].map(({ value }) => value)
  const written = log.text() + JSON.stringify(await app.db.selectFrom('audit_log').selectAll().execute())
  t.match(written, '/api/auth/oidc/callback', 'the requests are logged')
  t.match(written, '"oidc.refused"', 'with reasons of refusals')
  t.match(written, '"user.login_refused"')
  const fixed = ['the secret of the client', 'code_verifier']
  const secrets = [code, state, handed['code'], body.sessionToken, ...fixed, ...cookie]
  for (const secret of secrets) t.notOk(written.includes(secret ?? 'missing'), secret)
  t.notMatch(written, /code=|state=|eyJ[\w-]+\.[\w-]+\./)
})
