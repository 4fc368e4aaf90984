import t from 'tap'
import { browser } from '../../support/browser.ts'
import { build, listen } from '../../support/build.ts'
import { identityProvider, publicUrl } from '../../support/identity-provider.ts'
import { requests } from '../../support/people.ts'
import { comeBack, finish, fragmentOf } from '../../support/sign-in.ts'

t.setTimeout(600_000)

const provider = await identityProvider(t)
provider.users.set('ada', { email: 'ada@example.com', email_verified: true, name: 'Ada', groups: ['admins'] })
provider.state.user = 'ada'
const { app, databaseUrl } = await build(t, { variables: provider.variables })

await t.test('a browser signs in with the provider, and its code opens a session', async t => {
  const window = browser(app)
  const callback = await comeBack(window, '?returnTo=/topics%3Fq%3D1')
  const { location, status } = await window.get(callback)
  t.equal(status, 302)
  t.match(location, `${publicUrl}/login#`)
  const { code, returnTo } = fragmentOf(location ?? '')
  t.equal(returnTo, '/topics?q=1')
  const { status: opened, body } = await window.post('/api/auth/oidc/exchange', { code })
  t.equal(opened, 200)
  t.match(body, { sessionToken: /^sess_/, user: { email: 'ada@example.com', name: 'Ada' } })
  const ada = requests(app, body.sessionToken)
  t.match((await ada.get('/api/auth/me')).body, {
    kind: 'session', roles: [{ name: 'super_admin', applicationId: null }]
  })
  const [entry] = (await ada.get('/api/admin/audit?action=user.logged_in')).body
  t.match(entry, { actor: { id: body.user.id, name: 'ada@example.com' }, after: { provider: true } })
  t.equal((await ada.post('/api/auth/logout')).status, 204)
})

await t.test('a node continues what another one has started', async t => {
  const { app: other } = await build(t, { databaseUrl, variables: provider.variables })
  const window = browser(app)
  const callback = await comeBack(window)
  window.moveTo(other)
  const { code } = await finish(window, callback)
  window.moveTo(app)
  t.same(await finish(window, callback), { error: 'OIDC_STATE_INVALID', returnTo: '/' }, 'and no node a second time')
  t.equal((await window.post('/api/auth/oidc/exchange', { code })).status, 200)
})

await t.test('on this machine, plain http is enough', async t => {
  const { app: plain } = await build(t, { variables: { ...provider.variables, PUBLIC_URL: 'http://127.0.0.1:1' } })
  const url = await listen(plain)
  const response = await fetch(`${url}/api/auth/oidc/start`, { redirect: 'manual' })
  t.equal(response.status, 302)
  t.match(response.headers.get('location'), `${provider.issuer}/auth?`)
  const cookie = response.headers.get('set-cookie') ?? ''
  t.match(cookie, /^realtime_oidc=.*; Path=\/api\/auth\/oidc; HttpOnly; SameSite=Lax$/)
  t.equal((await fetch(`${url}/login`, { redirect: 'manual' })).headers.get('location'),
    '/docs/AUTH.md#sign-in-with-an-identity-provider', 'without a console, the sign-in page is its guide')
})
