import t from 'tap'
import { build } from '../../support/build.ts'
import { identityProvider } from '../../support/identity-provider.ts'
import { mailServer } from '../../support/mail-server.ts'
import { password, person, requests } from '../../support/people.ts'
import { signIn } from '../../support/sign-in.ts'
import { eventually } from '../../support/waiting.ts'

t.setTimeout(600_000)

const provider = await identityProvider(t)
const smtp = await mailServer(t)
const { app } = await build(t, {
  variables: {
    ...provider.variables,
    SMTP_URL: smtp.url,
    OIDC_ROLE_MAP: JSON.stringify({
      admins: { role: 'super_admin' },
      viewers: { role: 'viewer' },
      shop: [{ role: 'editor', applicationId: 'app_shop' }, { role: 'viewer', applicationId: 'app_blog' }],
      gone: { role: 'editor', applicationId: 'app_gone' },
      unknown: { role: 'no_such_role' }
    })
  }
})
for (const id of ['app_shop', 'app_blog']) {
  await app.db.insertInto('applications')
    .values({ id, name: id, description: '', created_at: 0, updated_at: 0 }).execute()
}
/** Keeps the roles of the last super_admin out of the way. */
const root = await person(app, 'super_admin')

const user = (id: string, claims: object) =>
  provider.users.set(id, { email: `${id}@example.com`, email_verified: true, ...provider.users.get(id), ...claims })
const rolesOf = async (token: string) =>
  (await requests(app, token).get('/api/auth/me')).body.roles
    .map(({ name, applicationId }: { name: string, applicationId: string | null }) => [name, applicationId])
const audited = async (id: string) =>
  (await app.db.selectFrom('audit_log').select(['action', 'after', 'before']).where('resource_id', '=', id)
    .orderBy('sequence').execute())
const stored = async (id: string) =>
  await app.db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
const outcome = ({ status, body }: { status: number, body?: { code?: string } }) =>
  body?.code === undefined ? String(status) : `${status} ${body.code}`

await t.test('each sign-in replaces all roles by those of the claim', async t => {
  user('ada', { groups: ['viewers', 'shop', 'others'], name: 'Ada' })
  const first = await signIn(app, provider, 'ada')
  t.match(first.body?.user, { email: 'ada@example.com', name: 'Ada' })
  const { id } = first.body?.user ?? { id: '' }
  const token = first.body?.sessionToken ?? ''
  t.same(await rolesOf(token), [['editor', 'app_shop'], ['viewer', 'app_blog'], ['viewer', null]])
  t.same((await audited(id)).map(({ action }) => action), [
    'user.created', 'user.role_assigned', 'user.role_assigned', 'user.role_assigned', 'user.logged_in'
  ])
  t.match((await audited(id))[0]?.after, { email: 'ada@example.com', issuer: provider.issuer, subject: 'ada' })
  await root.post(`/api/users/${id}/roles`, { roleId: 'role_admin' })
  user('ada', { groups: ['shop'] })
  const second = await signIn(app, provider, 'ada')
  t.equal(second.body?.user.id, id)
  t.same(await rolesOf(second.body?.sessionToken ?? ''), [['editor', 'app_shop'], ['viewer', 'app_blog']])
  t.same(await rolesOf(token), [['editor', 'app_shop'], ['viewer', 'app_blog']], 'an open session follows')
  t.match((await audited(id)).at(-2), { action: 'user.role_removed', before: { role: 'viewer' } })
})

await t.test('a text and a nested claim count as well', async t => {
  user('text', { groups: 'viewers' })
  t.equal((await signIn(app, provider, 'text')).status, 200)
  const { app: nested } = await build(t, {
    variables: { ...provider.variables, OIDC_ROLE_CLAIM: 'realm_access.roles' }
  })
  user('nested', { groups: [], realm_access: { roles: ['admins'] } })
  t.equal((await signIn(nested, provider, 'nested')).status, 200)
  user('flat', { groups: ['admins'] })
  t.equal((await signIn(nested, provider, 'flat')).error, 'OIDC_NO_ROLE')
})

await t.test('without a role, a user is refused, and loses roles, sessions, and the rights of API keys', async t => {
  user('grace', { groups: [] })
  t.equal((await signIn(app, provider, 'grace')).error, 'OIDC_NO_ROLE')
  t.same(await app.db.selectFrom('users').select('id').where('email', '=', 'grace@example.com').execute(), [])
  for (const groups of [undefined, 'others', ['gone'], ['unknown'], { viewers: true }]) {
    user('grace', { groups })
    t.equal((await signIn(app, provider, 'grace')).error, 'OIDC_NO_ROLE', JSON.stringify(groups))
  }
  user('grace', { groups: ['admins'] })
  const { body } = await signIn(app, provider, 'grace')
  const grace = requests(app, body?.sessionToken)
  const key = await grace.post('/api/api-keys', { name: 'k', permissions: ['topics:read'] }, {
    headers: { 'x-application-id': 'app_shop' }
  })
  const withKey = requests(app, `Bearer ${key.body.key}`)
  t.equal((await withKey.get('/api/topics')).status, 200)
  user('grace', { groups: ['others'] })
  t.equal((await signIn(app, provider, 'grace')).error, 'OIDC_NO_ROLE')
  t.equal((await grace.get('/api/auth/me')).status, 401, 'the session has ended')
  t.equal((await withKey.get('/api/topics')).status, 401, 'and so has the key')
  t.match((await audited(body?.user.id ?? '')).slice(-2), [
    { action: 'user.role_removed', before: { role: 'super_admin' } },
    { action: 'user.login_refused', after: { reason: 'provider', code: 'OIDC_NO_ROLE' } }
  ])
  user('grace', { groups: ['admins'] })
  t.equal((await signIn(app, provider, 'grace')).body?.user.id, body?.user.id)
  t.equal((await withKey.get('/api/topics')).status, 200, 'with the role, the key works again')
})

await t.test('groups that the provider only names take nothing away', async t => {
  user('many', { groups: ['viewers'] })
  const { body } = await signIn(app, provider, 'many')
  provider.claim(claims => ({ ...claims, email: 'many@example.com', _claim_names: { groups: 'src1' } }))
  t.equal((await signIn(app, provider, 'many')).error, 'OIDC_RESPONSE_INVALID')
  provider.state.tamper = undefined
  t.same(await rolesOf(body?.sessionToken ?? ''), [['viewer', null]])
})

await t.test('the last super_admin stays one', async t => {
  const { app } = await build(t, { variables: provider.variables })
  user('last', { groups: ['admins'] })
  const first = await signIn(app, provider, 'last')
  user('last', { groups: ['viewers'] })
  const { body } = await signIn(app, provider, 'last')
  const roles = async () =>
    (await app.db.selectFrom('role_assignments').select('role_id').where('user_id', '=', body?.user.id ?? '').execute())
      .map(({ role_id: role }) => role).sort()
  t.same(await roles(), ['role_super_admin', 'role_viewer'])
  user('last', { groups: [] })
  t.equal((await signIn(app, provider, 'last')).error, 'OIDC_NO_ROLE')
  t.same(await roles(), ['role_super_admin'])
  t.equal((await requests(app, first.body?.sessionToken).get('/api/auth/me')).status, 401)
  t.equal((await requests(app).get('/api/auth/methods')).body.setupRequired, false, 'there is no second setup')
})

await t.test('an account is linked by a verified address, and keeps a password of its owner', async t => {
  const owner = await person(app, 'admin')
  await app.db.updateTable('users').set({ password_set_by: 'owner' }).where('id', '=', owner.id).execute()
  provider.users.set('owner', { email: owner.email.toUpperCase(), email_verified: false, groups: ['viewers'] })
  t.equal((await signIn(app, provider, 'owner')).error, 'OIDC_EMAIL_UNVERIFIED')
  t.same(await app.db.selectFrom('oidc_identities').select('subject').where('user_id', '=', owner.id).execute(), [])
  t.same(await rolesOf(owner.token), [['admin', null]], 'a refused link changes nothing')
  user('owner', { email_verified: true })
  const { body } = await signIn(app, provider, 'owner')
  t.equal(body?.user.id, owner.id)
  t.same(await rolesOf(owner.token), [['viewer', null]], 'with the roles of the provider')
  t.equal(outcome(await requests(app).post('/api/auth/login', { email: owner.email, password })), '200')
  t.match((await audited(owner.id)).find(({ action }) => action === 'user.provider_linked')?.after, {
    issuer: provider.issuer, subject: 'owner', passwordRemoved: false
  })
  await eventually(() => smtp.mails.find(({ to, text }) => to.includes(owner.email) && text.includes('connected')))
})

await t.test('a password that somebody else may know ends with the link, with its sessions', async t => {
  const admin = await person(app, 'admin')
  const made = await admin.post('/api/users', { name: 'Bob', email: 'bob@example.com', password, roles: [] })
  t.equal(made.status, 201)
  const early = (await requests(app).post('/api/auth/login', { email: 'bob@example.com', password })).body.sessionToken
  user('bob', { groups: ['admins'] })
  const { body } = await signIn(app, provider, 'bob')
  t.equal(body?.user.id, made.body.id)
  t.equal((await requests(app, early).get('/api/auth/me')).status, 401)
  const login = await requests(app).post('/api/auth/login', { email: 'bob@example.com', password })
  t.equal(outcome(login), '401 LOGIN_FAILED')
  t.match(await stored(made.body.id), {
    password_set_by: 'none', password_hash: /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/
  })

  const moved = await person(app, 'admin')
  await app.db.updateTable('users').set({ password_set_by: 'owner' }).where('id', '=', moved.id).execute()
  t.equal(outcome(await root.patch(`/api/users/${moved.id}`, { email: 'carol@example.com' })), '200')
  t.equal((await stored(moved.id)).password_set_by, 'other', 'a new address has another owner')
})

await t.test('an account has one subject, and a subject keeps its account', async t => {
  user('first', { groups: ['viewers'] })
  const { body } = await signIn(app, provider, 'first')
  provider.users.set('second', { email: 'first@example.com', email_verified: true, groups: ['admins'] })
  t.equal((await signIn(app, provider, 'second')).error, 'OIDC_ACCOUNT_CONFLICT')
  user('first', { email: 'renamed@example.com', email_verified: false })
  t.match((await signIn(app, provider, 'first')).body?.user, { id: body?.user.id, email: 'first@example.com' })
  user('first', { email_verified: true })
  t.match((await signIn(app, provider, 'first')).body?.user, { id: body?.user.id, email: 'renamed@example.com' })
  user('first', { email: root.email })
  t.match(
    (await signIn(app, provider, 'first')).body?.user, { id: body?.user.id, email: 'renamed@example.com' },
    'an address that is taken is not followed'
  )
  t.match((await signIn(app, provider, 'second')).body?.user.id, /^usr_/, 'the former address is free')
})

await t.test('a new account needs an address, verified or not', async t => {
  for (const email of [undefined, '', 'nobody', 7, `${'x'.repeat(250)}@example.com`, 'a b@example.com']) {
    provider.users.set('odd', { email, email_verified: true, groups: ['viewers'] })
    t.equal((await signIn(app, provider, 'odd')).error, 'OIDC_EMAIL_MISSING', String(email))
  }
  provider.users.set('odd', { email: 'odd@example.com', groups: ['viewers'], name: 'O\u0000dd' })
  t.match((await signIn(app, provider, 'odd')).body?.user, { email: 'odd@example.com', name: 'Odd' })
})

await t.test('sign-ins of one new user at the same time create one account', async t => {
  user('many-tabs', { groups: ['viewers'] })
  const answers = await Promise.all([1, 2, 3, 4].map(async () => await signIn(app, provider, 'many-tabs')))
  t.same(answers.map(({ status }) => status), [200, 200, 200, 200])
  t.equal(new Set(answers.map(({ body }) => body?.user.id)).size, 1)
})

await t.test('a deleted user comes back with a new account', async t => {
  user('deleted', { groups: ['viewers'] })
  const { body } = await signIn(app, provider, 'deleted')
  t.equal(outcome(await root.remove(`/api/users/${body?.user.id}`)), '204')
  const again = await signIn(app, provider, 'deleted')
  t.equal(again.status, 200)
  t.not(again.body?.user.id, body?.user.id)
})

await t.test('a user of the provider has no password, and none can be set', async t => {
  user('eve', { groups: ['admins'] })
  const { body } = await signIn(app, provider, 'eve')
  const { id, email } = body?.user ?? { id: '', email: '' }
  const eve = requests(app, body?.sessionToken)
  for (const text of ['', ' ', 'nobody has this one', password]) {
    const { status } = await requests(app).post('/api/auth/login', { email, password: text })
    t.ok(status === 401 || status === 400, `${status}`)
  }
  const change = { currentPassword: password, newPassword: 'another long phrase' }
  t.equal(outcome(await eve.post(`/api/users/${id}/change-password`, change)), '409 OIDC_ACCOUNT')
  t.equal(outcome(await root.post(`/api/users/${id}/change-password`, change)), '409 OIDC_ACCOUNT')
  t.equal(outcome(await eve.post(`/api/users/${id}/mfa/setup`, { currentPassword: password })), '409 OIDC_ACCOUNT')
  t.equal(outcome(await eve.patch(`/api/users/${id}`, { email: 'new@example.com' })), '409 OIDC_ACCOUNT')
  t.equal(outcome(await eve.patch(`/api/users/${id}`, { name: 'Eve' })), '200')
  t.equal((await requests(app).post('/api/auth/forgot-password', { email })).status, 202)
  const mail = await eventually(() => smtp.mails.find(({ to }) => to.includes(email)))
  t.match(mail.text, 'sign in with your identity provider')
  t.notMatch(mail.text, 'reset_')

  const { app: without } = await build(t, {
    databaseUrl: app.config.database.url ?? '', variables: { SMTP_URL: smtp.url, PUBLIC_URL: 'https://x.example' }
  })
  await requests(without).post('/api/auth/forgot-password', { email })
  const link = await eventually(() => smtp.mails.find(({ to, text }) => to.includes(email) && text.includes('reset_')))
  const token = /#token=(\S+)/.exec(link.text)?.[1]
  t.equal(outcome(await requests(without).post('/api/auth/reset-password', { token, password })), '204')
  t.equal(
    outcome(await requests(without).post('/api/auth/login', { email, password })), '200',
    'without the provider, its users can set a password'
  )
})

await t.test('a session of the provider ends at its time, even if it is used', async t => {
  user('dan', { groups: ['viewers'] })
  const { body } = await signIn(app, provider, 'dan')
  const dan = requests(app, body?.sessionToken)
  const { expiresAt } = (await dan.get('/api/auth/me')).body
  await app.db.updateTable('sessions').set({ seen_at: Date.now() - 120_000 })
    .where('user_id', '=', body?.user.id ?? '').execute()
  t.equal((await dan.get('/api/auth/me')).body.expiresAt, expiresAt)
  await app.db.updateTable('sessions').set({ seen_at: Date.now() - 120_000 }).where('user_id', '=', root.id).execute()
  const { expires_at: before } = await app.db.selectFrom('sessions').select('expires_at')
    .where('user_id', '=', root.id).executeTakeFirstOrThrow()
  t.ok((await root.get('/api/auth/me')).body.expiresAt > before, 'another session is extended')
})
