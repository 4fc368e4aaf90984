import t from 'tap'
import { build } from '../../support/build.ts'
import { identityProvider } from '../../support/identity-provider.ts'
import { readableLog } from '../../support/log-lines.ts'
import { password, person, requests } from '../../support/people.ts'
import { signIn } from '../../support/sign-in.ts'

t.setTimeout(600_000)

const provider = await identityProvider(t)
provider.users.set('ada', { email: 'ada@example.com', email_verified: true, groups: ['admins'] })
const code = ({ status, body }: { status: number, body?: { code?: string } }) => `${status} ${body?.code ?? ''}`.trim()

await t.test('without a provider, its routes are 404', async t => {
  const { app } = await build(t)
  const anybody = requests(app)
  t.same((await anybody.get('/api/auth/methods')).body, { password: true, setupRequired: true, oidc: null })
  t.equal(code(await anybody.get('/api/auth/oidc/start')), '404 OIDC_NOT_CONFIGURED')
  t.equal(code(await anybody.get('/api/auth/oidc/callback?code=x&state=y')), '404 OIDC_NOT_CONFIGURED')
  t.equal(code(await anybody.post('/api/auth/oidc/exchange', { code: 'x' })), '404 OIDC_NOT_CONFIGURED')
})

await t.test('beside the provider, passwords, setup and invites work', async t => {
  const { app } = await build(t, { variables: provider.variables })
  const anybody = requests(app)
  t.same((await anybody.get('/api/auth/methods')).body, {
    password: true, setupRequired: true,
    oidc: { name: new URL(provider.issuer).host, startUrl: 'https://realtime.example.com/api/auth/oidc/start' }
  })
  const first = { name: 'Root', email: 'root@example.com', password, setupToken: app.setup.token }
  t.equal((await anybody.post('/api/auth/setup', first)).status, 201)
  const login = await anybody.post('/api/auth/login', { email: first.email, password })
  t.equal(login.status, 200)
  const root = requests(app, login.body.sessionToken)
  const invite = await root.post('/api/invites', { email: 'bob@example.com', roleId: 'role_viewer' })
  const accepted = await anybody.post('/api/auth/accept-invite', { token: invite.body.token, name: 'Bob', password })
  t.equal(accepted.status, 201)
  t.equal((await signIn(app, provider, 'ada')).status, 200)
  t.same(
    (await app.db.selectFrom('users').select(['email', 'password_set_by']).orderBy('email').execute()),
    [
      { email: 'ada@example.com', password_set_by: 'none' }, { email: 'bob@example.com', password_set_by: 'other' },
      { email: 'root@example.com', password_set_by: 'owner' }
    ]
  )
})

await t.test('OIDC_ONLY refuses everything that has to do with passwords', async t => {
  const { app, databaseUrl } = await build(t, { variables: { ...provider.variables, OIDC_ONLY: 'true' } })
  const anybody = requests(app)
  t.match((await anybody.get('/api/auth/methods')).body, { password: false, setupRequired: false })
  t.same((await anybody.get('/api/auth/setup-status')).body, { setupRequired: false })
  t.equal(app.setup.token, undefined)
  const local = await person(app, 'viewer')
  const { email } = local
  const refusals = {
    setup: { name: 'Root', email, password },
    login: { email, password },
    'mfa/verify': { mfaToken: 'mfa_pending_x', code: '123456' },
    'forgot-password': { email },
    'reset-password': { token: 'reset_x', password },
    'accept-invite': { token: 'invite_x', name: 'x', password }
  }
  for (const [route, body] of Object.entries(refusals)) {
    t.equal(code(await anybody.post(`/api/auth/${route}`, body)), '403 OIDC_ONLY', route)
  }
  const { body } = await signIn(app, provider, 'ada')
  const ada = requests(app, body?.sessionToken)
  t.match((await ada.get('/api/auth/me')).body, { roles: [{ name: 'super_admin' }] }, 'the provider names the first')
  t.equal(code(await ada.post('/api/invites', { email: 'x@example.com', roleId: 'role_viewer' })), '403 OIDC_ONLY')
  t.equal(code(await ada.post('/api/users', { name: 'x', email: 'x@example.com', password })), '403 OIDC_ONLY')
  t.equal(
    code(await ada.post(`/api/users/${local.id}/change-password`, { newPassword: password })), '403 OIDC_ONLY'
  )
  t.equal((await local.get('/api/auth/me')).status, 200, 'an open session goes on')
  const { app: rescue } = await build(t, { databaseUrl, variables: provider.variables })
  t.equal((await requests(rescue).post('/api/auth/login', { email, password })).status, 200, 'unset, passwords work')
})

await t.test('a role that does not exist is named at start, and may be created later', async t => {
  const log = readableLog('warn')
  const { app } = await build(t, {
    logger: log.logger,
    variables: { ...provider.variables, OIDC_ROLE_MAP: JSON.stringify({ admins: { role: 'operators' } }) }
  })
  t.match(log.lines(), [{ msg: 'oidc.role_unknown', variable: 'OIDC_ROLE_MAP', roles: ['operators'] }])
  t.equal((await signIn(app, provider, 'ada')).error, 'OIDC_NO_ROLE')
  t.ok(log.lines().some(({ msg, role }) => msg === 'oidc.role_ignored' && role === 'operators'))
  const root = await person(app, 'super_admin')
  const permissions = [{ resource: 'topics', action: 'read' }]
  t.equal((await root.post('/api/roles', { name: 'operators', permissions })).status, 201)
  t.equal((await signIn(app, provider, 'ada')).status, 200)
})
