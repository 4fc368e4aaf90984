import { Kysely, PostgresDialect } from 'kysely'
import t from 'tap'
import { up } from '../../../db/migrations/0016-canonical-addresses.ts'
import { HashingQueue } from '../../../src/identity/auth/hashing-queue.ts'
import { passwordHashings } from '../../../src/identity/auth/passwords.ts'
import { build } from '../../support/build.ts'
import { mailServer } from '../../support/mail-server.ts'
import { password, person, requests, type Person } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'
import { eventually } from '../../support/waiting.ts'

t.setTimeout(600_000)

const smtp = await mailServer(t)
const { app } = await build(t, { variables: { SMTP_URL: smtp.url, PUBLIC_URL: 'https://realtime.example.com' } })
const root = await person(app, 'super_admin')
const anybody = requests(app)
const outcome = ({ status, body }: { status: number, body?: { code?: string } }) =>
  body?.code === undefined ? String(status) : `${status} ${body.code}`
const login = async (email: string, given: string, remoteAddress: string) =>
  outcome(await anybody.post('/api/auth/login', { email, password: given }, { remoteAddress }))
const mailTo = (email: string, text: RegExp) =>
  eventually(() => smtp.mails.find(mail => mail.to.includes(email) && text.test(mail.text)))
/** Uses up the free failures of a network and an account. */
async function failFrom (email: string, addresses: string[]) {
  for (const address of addresses) for (let i = 0; i < 5; i++) await login(email, 'wrong', address)
}

await t.test('failed logins of strangers do not lock the owner out', async t => {
  const ada = await person(app, 'viewer')
  t.equal(await login(ada.email, password, '203.0.113.7'), '200', 'her network becomes known')
  await failFrom(ada.email, ['198.51.100.1'])
  t.equal(await login(ada.email, password, '192.0.2.1'), '200', 'one stranger does not delay other networks')
  await failFrom(ada.email, Array.from({ length: 12 }, (_, i) => `198.51.${i}.1`))
  const guess = await eventually(async () => {
    const answer = await login(
      ada.email,
      'wrong',
      `10.${Math.floor(Math.random() * 250)}.${Math.floor(Math.random() * 250)}.1`
    )
    return answer !== '401 LOGIN_FAILED' && answer
  })
  t.equal(guess, '429 RATE_LIMITED', 'many networks together are delayed')
  t.equal(await login(ada.email, password, '203.0.113.9'), '200', 'the known network is not delayed')
  const networks = await app.db.selectFrom('known_networks').selectAll().where('user_id', '=', ada.id).execute()
  t.notOk(JSON.stringify(networks).includes('203.0.113'), 'the network is stored as a hash')
})

await t.test('logins from known networks, and resets, have a queue apart from strangers', async t => {
  const { run } = HashingQueue.prototype
  const hashings = t.capture(HashingQueue.prototype, 'run', run)
  const kinds = () => hashings().map(({ args: [{ kind }] }) => kind)
  const ada = await person(app, 'viewer')
  kinds()
  t.equal(await login(ada.email, password, '203.0.113.17'), '200')
  t.equal(await login(ada.email, password, '203.0.113.18'), '200')
  t.equal(await login(ada.email, 'wrong', '203.0.113.19'), '401 LOGIN_FAILED')
  t.equal(await login(ada.email, password, '2001:db8::1'), '200')
  t.same(kinds(), ['login', 'knownLogin', 'knownLogin', 'login'])
  await anybody.post('/api/auth/forgot-password', { email: ada.email })
  const token = /#token=(reset_[\w-]+)/.exec((await mailTo(ada.email, /reset_/)).text)?.[1]
  t.equal(
    (await anybody.post('/api/auth/reset-password', { token, password: 'a new long pass phrase' }, {
      remoteAddress: '192.0.2.98'
    })).status,
    204
  )
  t.same(kinds(), ['knownLogin'])
})

await t.test('strangers do not delay a password reset', async t => {
  const ada = await person(app, 'viewer')
  await failFrom(ada.email, Array.from({ length: 12 }, (_, i) => `198.51.${100 + i}.1`))
  await anybody.post('/api/auth/forgot-password', { email: ada.email })
  const mail = await mailTo(ada.email, /reset_/)
  const token = /#token=(reset_[\w-]+)/.exec(mail.text)?.[1]
  t.equal(
    (await anybody.post('/api/auth/reset-password', { token, password: 'a new long pass phrase' }, {
      remoteAddress: '192.0.2.99'
    })).status,
    204
  )
  t.equal(await login(ada.email, 'a new long pass phrase', '192.0.2.99'), '200')
  await mailTo(ada.email, /password of your account was changed/)
})

await t.test('all spellings of an address are the same account everywhere', async t => {
  const email = `kim${Date.now()}@example.com`
  t.equal((await root.post('/api/users', { name: 'Kim', email, password })).status, 201)
  const spellings = [
    email.toUpperCase(),
    email.replace('k', '\u212A'),
    email.replace('@', '\uff20'),
    `${email}.`,
    ` ${email}`,
    email.replace('kim', 'k\u200bim')
  ]
  for (const [i, spelling] of spellings.entries()) {
    t.equal(await login(spelling, password, `192.0.2.${i}`), '200', JSON.stringify(spelling))
  }
  t.equal(
    await login(email.replace('i', '\u0130'), password, '192.0.2.50'), '401 LOGIN_FAILED',
    'a lookalike letter is another address'
  )
  // A new spelling gives no additional guesses.
  for (let i = 0; i < 5; i++) await login(spellings[i] ?? '', 'wrong', '198.51.100.77')
  t.equal(await login(email, password, '198.51.100.77'), '429 RATE_LIMITED')
  t.equal(
    outcome(await root.post('/api/users', { name: 'Kim', email: email.toUpperCase(), password })), '409 USER_EXISTS'
  )
  t.equal((await root.get(`/api/users?email=${encodeURIComponent(spellings[1] ?? '')}`)).body.length, 1)
})

await t.test('the migration keeps accounts with equal canonical addresses apart', async t => {
  const { app } = await build(t)
  for (
    const statement of [
      'drop trigger users_email_canonical on users', 'drop function users_email_canonical', 'drop table known_networks',
      'alter table users drop column email_canonical', 'create unique index users_email on users (lower(email))'
    ]
  ) {
    await app.pool.query(statement)
  }
  const addresses = ['Ada@example.com', '\uff41da@example.com', 'ada@example.com.', 'grace@example.com']
  for (const [i, email] of addresses.entries()) {
    await app.pool.query(
      "insert into users (id, email, name, password_hash, created_at, updated_at) values ($1, $2, 'x', 'x', $3, 0)",
      [`usr_${i}`, email, i]
    )
  }
  await up(new Kysely<unknown>({ dialect: new PostgresDialect({ pool: app.pool }) }))
  const { rows } = await app.pool.query('select email_canonical from users order by created_at')
  t.same(rows.map(row => row.email_canonical), [
    'ada@example.com', 'ada@example.com usr_1', 'ada@example.com usr_2', 'grace@example.com'
  ])
  await app.pool.query(
    `insert into users (id, email, name, password_hash, created_at, updated_at)
      values ('usr_old', 'OLD@example.com', 'x', 'x', 9, 0)`
  )
  t.equal(
    (await app.users.findByEmail('old@example.com'))?.user.id, 'usr_old',
    'a node of the previous version stores one as well'
  )
})

await t.test('an administrator of an application cannot find out who has an account', async t => {
  const { applicationId, token } = await tenant(app)
  const session = await person(app, ['admin', applicationId])
  const known = await person(app, 'viewer')
  const roles = [{ roleId: 'role_viewer', applicationId }]
  const before = passwordHashings()
  for (
    const [who, admin] of [['session', session], ['token', requests(app, `Bearer ${token(['admin'])}`)]] as [
      string,
      Person
    ][]
  ) {
    for (const path of ['/api/users', '/api/invites']) {
      const body = (email: string) =>
        path === '/api/users' ? { name: 'X', email, password, roles } : { email, ...roles[0] }
      const [known1, fresh] = [
        await admin.post(path, body(known.email)),
        await admin.post(path, body(`fresh-${who}@example.com`))
      ]
      t.equal(known1.status, path === '/api/users' ? 202 : 201)
      t.equal(fresh.status, known1.status)
      t.same(Object.keys(fresh.body).sort(), Object.keys(known1.body).sort())
      t.notMatch(fresh.text + known1.text, /invite_/, 'the token is only in the mail')
    }
    t.same((await admin.get(`/api/users?email=${known.email}`)).body, [])
    t.equal((await admin.get(`/api/users/${known.id}`)).status, 404)
  }
  for (const email of [known.email, 'fresh-self@example.com']) {
    t.equal(
      outcome(await session.patch(`/api/users/${session.id}`, { email, currentPassword: password })),
      '403 PERMISSION_NOT_HELD',
      'changing an address does not reveal it either'
    )
  }
  t.equal(passwordHashings(), before, 'nothing was hashed')
  t.match((await mailTo(known.email, /invite_/)).text, /accept-invite#token=invite_/)
})

await t.test('refusals come before a password is hashed', async t => {
  const before = passwordHashings()
  const admin = await person(app, 'admin')
  const user = { name: 'X', email: 'unhashed@example.com', password }
  t.equal(outcome(await root.post('/api/users', { ...user, email: root.email })), '409 USER_EXISTS')
  t.equal(outcome(await root.post('/api/users', { ...user, roles: [{ roleId: 'role_none' }] })), '404 ROLE_NOT_FOUND')
  t.equal(
    outcome(await admin.post('/api/users', { ...user, roles: [{ roleId: 'role_super_admin' }] })),
    '403 PERMISSION_NOT_HELD'
  )
  t.equal(
    outcome(await admin.post(`/api/users/${root.id}/change-password`, { newPassword: password })),
    '403 PERMISSION_NOT_HELD'
  )
  t.equal(
    outcome(await admin.post(`/api/users/${admin.id}/change-password`, { newPassword: password })),
    '403 PASSWORD_WRONG'
  )
  t.equal(
    outcome(await anybody.post('/api/auth/accept-invite', { token: 'invite_guess', name: 'X', password })),
    '403 INVITE_INVALID'
  )
  t.equal(outcome(await anybody.post('/api/auth/setup', user)), '403 SETUP_DONE')
  t.equal(passwordHashings(), before)
})

await t.test('a flood of new users does not affect logins', async t => {
  const ada = await person(app, 'viewer')
  const flood = Array.from(
    { length: 60 },
    (_, i) => root.post('/api/users', { name: 'X', email: `flood-${i}@example.com`, password })
  )
  const logins = await Promise.all(Array.from({ length: 5 }, (_, i) => login(ada.email, password, `192.0.${i}.1`)))
  t.same(logins, Array(5).fill('200'))
  const answers = await Promise.all(flood)
  t.ok(answers.every(({ status }) => status === 201 || status === 429), answers.map(outcome).join())
  for (const { status, headers } of answers) if (status === 429) t.ok(Number(headers['retry-after']) >= 1)
})

await t.test('changing how a user logs in requires more than an open session, and is mailed', async t => {
  const ada = await person(app, 'super_admin')
  const moved = `moved-${ada.email}`
  for (const currentPassword of [undefined, 'wrong', '']) {
    t.equal(outcome(await ada.patch(`/api/users/${ada.id}`, { email: moved, currentPassword })), '403 PASSWORD_WRONG')
    t.equal(outcome(await ada.post(`/api/users/${ada.id}/mfa/setup`, { currentPassword })), '403 PASSWORD_WRONG')
  }
  t.equal(outcome(await ada.post(`/api/users/${ada.id}/mfa/setup`)), '403 PASSWORD_WRONG', 'without a body')
  t.equal((await ada.patch(`/api/users/${ada.id}`, { name: 'Ada' })).status, 200, 'a name requires no password')
  const { body: { secret } } = await ada.post(`/api/users/${ada.id}/mfa/setup`, { currentPassword: password })
  t.match(secret, /^[A-Z2-7]{32}$/)
  t.match((await ada.patch(`/api/users/${ada.id}`, { email: moved, currentPassword: password })).body, { email: moved })
  await mailTo(ada.email, /address of your account was changed/)
  t.equal(
    (await root.patch(`/api/users/${ada.id}`, { email: ada.email })).status,
    200,
    'an administrator needs no password'
  )
  await mailTo(moved, /address of your account was changed/)
})
