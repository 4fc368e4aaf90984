import { sql } from 'kysely'
import t from 'tap'
import { hashOfNoPassword } from '../../../src/identity/auth/passwords.ts'
import { build } from '../../support/build.ts'
import { identityProvider } from '../../support/identity-provider.ts'
import { mailServer } from '../../support/mail-server.ts'
import { password, person, requests } from '../../support/people.ts'
import { comeBack, finish, signIn } from '../../support/sign-in.ts'
import { browser } from '../../support/browser.ts'
import { eventually, until } from '../../support/waiting.ts'

t.setTimeout(600_000)

const provider = await identityProvider(t)
const smtp = await mailServer(t)
const { app } = await build(t, { variables: { ...provider.variables, SMTP_URL: smtp.url } })
const root = await person(app, 'super_admin')
const anybody = requests(app)
t.beforeEach(() => { provider.state.tamper = undefined })

const setBy = async (email: string) =>
  (await app.db.selectFrom('users').select('password_set_by').where('email', '=', email).executeTakeFirstOrThrow())
    .password_set_by
const login = async (email: string, text = password) =>
  (await anybody.post('/api/auth/login', { email, password: text })).status

/** Runs `work` while a transaction has made a change that it has not committed yet and that `work` waits for. */
async function during<T> (change: ReturnType<typeof sql>, work: () => Promise<T>): Promise<T> {
  return await app.db.connection().execute(async db => {
    await sql`begin`.execute(db)
    const { rows: [own] } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db)
    await change.execute(db)
    const result = work()
    await until(async () => (await sql<{ pid: number }>`
      select pid from pg_stat_activity where ${own?.pid} = any(pg_blocking_pids(pid))`.execute(app.db)).rows.length > 0)
    await sql`commit`.execute(db)
    return await result
  })
}

await t.test('a sender who saw the token of an invite cannot prepare the account of an administrator', async t => {
  const admin = await person(app, 'admin')
  const email = 'colleague@example.com'
  const { body: { token } } = await admin.post('/api/invites', { email, roleId: 'role_viewer' })
  t.type(token, 'string')
  const accepted = await anybody.post('/api/auth/accept-invite', { token, name: 'Not the colleague', password })
  t.equal(accepted.status, 201, accepted.text)
  provider.users.set('colleague', { email, email_verified: true, groups: ['admins'] })
  t.equal((await signIn(app, provider, 'colleague')).status, 200)
  t.equal(await login(email), 401, 'the password of the sender has no effect')
  t.equal((await requests(app, accepted.body.sessionToken).get('/api/auth/me')).status, 401, 'nor has their session')
})

await t.test('a password that was chosen by a mailed invite stays', async t => {
  const { id: applicationId } = (await root.post('/api/applications', { name: 'Shop' })).body
  const admin = await person(app, ['admin', applicationId])
  const email = 'invited@example.com'
  const { body } = await admin.post('/api/invites', { email, roleId: 'role_viewer', applicationId })
  t.equal(body.token, undefined)
  const mail = await eventually(() => smtp.mails.find(({ to }) => to.includes(email)))
  const token = /#token=(\S+)/.exec(mail.text)?.[1]
  const { status, text } = await anybody.post('/api/auth/accept-invite', { token, name: 'Invited', password })
  t.equal(status, 201, text)
  provider.users.set('invited', { email, email_verified: true, groups: ['admins'] })
  t.equal((await signIn(app, provider, 'invited')).status, 200)
  t.equal(await login(email), 200)
})

await t.test('a password change under way does not survive the link', async t => {
  const { id, email, request } = await person(app, 'viewer')
  const change = sql`
    update users set password_set_by = 'none', password_hash = ${hashOfNoPassword()} where id = ${id}`
  const { status, body } = await during(change, async () => await request(
    'POST', `/api/users/${id}/change-password`, { currentPassword: password, newPassword: 'another long phrase' }
  ))
  t.match({ status, body }, { status: 409, body: { code: 'OIDC_ACCOUNT' } })
  t.equal(await setBy(email), 'none')
  t.equal(await login(email, 'another long phrase'), 401)
})

await t.test('a password reset under way is not mailed to an address that the account has left', async t => {
  const { id, email } = await person(app, 'viewer')
  const change = sql`update users set email = 'left@example.com', email_canonical = 'left@example.com' where id = ${id}`
  const { status } = await during(change, async () => await anybody.post('/api/auth/forgot-password', { email }))
  t.equal(status, 202)
  await anybody.post('/api/auth/forgot-password', { email: root.email })
  await eventually(() => smtp.mails.find(({ to, text }) => to.includes(root.email) && text.includes('reset_')))
  t.same(await app.db.selectFrom('password_resets').selectAll().where('user_id', '=', id).execute(), [])
  t.same(smtp.mails.filter(({ to }) => to.includes(email)), [])
})

await t.test('userinfo does not verify another address than its own', async t => {
  const victim = await person(app, 'super_admin')
  provider.users.set('mallory', { email: 'mallory@example.com', email_verified: true, groups: ['viewers'] })
  provider.claim(({ groups: _groups, ...claims }) => ({ ...claims, email: victim.email }))
  t.equal((await signIn(app, provider, 'mallory')).error, 'OIDC_EMAIL_UNVERIFIED')
  provider.claim(({ groups: _groups, ...claims }) => ({ ...claims, email: 'mallory@example.com' }))
  t.match((await signIn(app, provider, 'mallory')).body?.user, { email: 'mallory@example.com' })
})

await t.test('a refused user cannot use the code of an earlier sign-in', async t => {
  provider.users.set('leaver', { email: 'leaver@example.com', email_verified: true, groups: ['viewers'] })
  provider.state.user = 'leaver'
  const window = browser(app)
  const { code } = await finish(window, await comeBack(window))
  t.match(code, /^oidc_/)
  provider.users.set('leaver', { email: 'leaver@example.com', email_verified: true, groups: [] })
  t.equal((await signIn(app, provider, 'leaver')).error, 'OIDC_NO_ROLE')
  t.match((await window.post('/api/auth/oidc/exchange', { code })).body, { code: 'OIDC_CODE_INVALID' })
})

await t.test('claims that cannot be stored are refused or cleaned', async t => {
  const claims = { email: 'odd@example.com', email_verified: true, groups: ['viewers'] }
  provider.users.set('odd', { ...claims, name: `${'x'.repeat(199)}\u{1F600} and more` })
  t.match((await signIn(app, provider, 'odd')).body?.user, { name: 'x'.repeat(199) }, 'half a character')
  provider.users.set('nul', { ...claims, email: 'o\0dd@example.com' })
  t.equal((await signIn(app, provider, 'nul')).error, 'OIDC_EMAIL_MISSING')
  provider.users.set('subject', { ...claims, email: 'subject@example.com' })
  provider.claim(all => ({ ...all, ...provider.users.get('subject'), sub: 'a\0b' }))
  t.equal((await signIn(app, provider, 'subject')).error, 'OIDC_RESPONSE_INVALID')
})
