import { Secret, TOTP } from 'otpauth'
import t from 'tap'
import { build } from '../../support/build.ts'
import { createDatabase } from '../../support/database.ts'
import { password, person, requests } from '../../support/people.ts'
import { eventually } from '../../support/waiting.ts'

t.setTimeout(600_000)

const databaseUrl = await createDatabase(t)
const { app } = await build(t, { databaseUrl })
const { app: otherNode } = await build(t, { databaseUrl })
const anybody = requests(app)
const outcome = ({ status, body }: { status: number, body?: { code?: string } }) =>
  body?.code === undefined ? String(status) : `${status} ${body.code}`

/** Returns the code of an authenticator app, `steps` from now. */
const codeOf = (secret: string, steps = 0) =>
  new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: Date.now() + steps * 30_000 })
/** Allows a used code again, as if its time step had not passed. */
const forget = (id: string) => app.db.updateTable('users').set({ mfa_last_step: 1 }).where('id', '=', id).execute()

async function withMfa () {
  const ada = await person(app, 'viewer')
  const { body: { secret } } = await ada.post(`/api/users/${ada.id}/mfa/setup`, { currentPassword: password })
  const { body: { recoveryCodes } } = await ada.post(`/api/users/${ada.id}/mfa/confirm`, { code: codeOf(secret) })
  await forget(ada.id)
  return { ...ada, secret: secret as string, recoveryCodes: recoveryCodes as string[] }
}
const login = async (email: string) => (await anybody.post('/api/auth/login', { email, password })).body
const verify = (mfaToken: string, code: string) => anybody.post('/api/auth/mfa/verify', { mfaToken, code })

await t.test('a second factor is set up, confirmed and required at login', async t => {
  const ada = await person(app, 'viewer')
  const url = `/api/users/${ada.id}/mfa`
  t.equal(outcome(await ada.post(`${url}/confirm`, { code: '123456' })), '409 MFA_NOT_PENDING')
  t.equal(outcome(await ada.post(`${url}/disable`, {})), '409 MFA_NOT_PENDING')
  const { body: setup } = await ada.post(`${url}/setup`, { currentPassword: password })
  t.match(setup, {
    secret: /^[A-Z2-7]{32}$/, otpauthUrl: /^otpauth:\/\/totp\/realtime-platform:/,
    qrCode: /^data:image\/svg\+xml;base64,/
  })
  t.match(Buffer.from(setup.qrCode.split(',')[1], 'base64').toString(), /^<svg[^>]*>.*<\/svg>$/s)
  t.ok(setup.otpauthUrl.includes(setup.secret))
  t.notOk(
    JSON.stringify(await app.db.selectFrom('users').selectAll().where('id', '=', ada.id).execute()).includes(
      setup.secret
    ),
    'it is stored encrypted'
  )
  t.match(await login(ada.email), { sessionToken: /^sess_/ }, 'it takes effect when it is confirmed')
  t.equal(outcome(await ada.post(`${url}/confirm`, { code: '000000' })), '403 MFA_CODE_INVALID')
  const { body: { recoveryCodes } } = await ada.post(`${url}/confirm`, { code: codeOf(setup.secret) })
  t.equal(new Set(recoveryCodes).size, 10)
  t.match(recoveryCodes[0], /^[a-z2-9]{4}(-[a-z2-9]{4}){3}$/)
  t.equal(outcome(await ada.post(`${url}/setup`, { currentPassword: password })), '409 MFA_ENABLED')
  t.match((await person(app, 'super_admin').then(root => root.get(`/api/users/${ada.id}`))).body, { mfaEnabled: true })

  const pending = await login(ada.email)
  t.same(Object.keys(pending).sort(), ['mfaRequired', 'mfaToken'])
  t.match(pending, { mfaRequired: true, mfaToken: /^mfa_pending_/ })
  t.equal((await requests(app, pending.mfaToken).get('/api/auth/me')).status, 401, 'it is not a credential')
  await forget(ada.id)
  const entered = await verify(pending.mfaToken, codeOf(setup.secret))
  t.match(entered.body, { sessionToken: /^sess_/, user: { id: ada.id, email: ada.email } })
  t.equal(
    outcome(await verify(pending.mfaToken, codeOf(setup.secret, 1))), '401 MFA_CODE_INVALID', 'the challenge has ended'
  )
})

await t.test('a code is accepted once over all nodes, also concurrently', async t => {
  const ada = await withMfa()
  const code = codeOf(ada.secret)
  const challenges = await Promise.all([1, 2, 3, 4].map(() => login(ada.email)))
  const answers = await Promise.all(
    challenges.map(({ mfaToken }, i) =>
      requests(i % 2 === 0 ? app : otherNode).post('/api/auth/mfa/verify', { mfaToken, code })
    )
  )
  t.same(answers.map(outcome).sort(), ['200', '401 MFA_CODE_INVALID', '401 MFA_CODE_INVALID', '401 MFA_CODE_INVALID'])
  const { mfaToken } = await login(ada.email)
  t.equal(outcome(await verify(mfaToken, codeOf(ada.secret, -1))), '401 MFA_CODE_INVALID', 'nor an earlier one')
  t.equal(outcome(await verify(mfaToken, codeOf(ada.secret, 1))), '200', 'a later one is accepted')
})

await t.test('a recovery code works once, in any spelling', async t => {
  const ada = await withMfa()
  const code = ada.recoveryCodes[0] as string
  t.equal(outcome(await verify((await login(ada.email)).mfaToken, code.toUpperCase().replaceAll('-', ' '))), '200')
  t.equal(outcome(await verify((await login(ada.email)).mfaToken, code)), '401 MFA_CODE_INVALID')
  t.equal(outcome(await verify((await login(ada.email)).mfaToken, ada.recoveryCodes[1] as string)), '200')
  t.notOk(
    JSON.stringify(await app.db.selectFrom('recovery_codes').selectAll().execute()).includes(
      ada.recoveryCodes[2] as string
    )
  )
})

await t.test('a challenge allows five wrong codes, and guessing is slowed down by user', async t => {
  // The first delay is a second, which this machine may need for a response. Then the other account is tried.
  const ada = await eventually(async () => {
    const ada = await withMfa()
    const [{ mfaToken }, another] = [await login(ada.email), await login(ada.email)]
    const codes = []
    for (let i = 0; i < 6; i++) codes.push((await verify(mfaToken, '000000')).status)
    const late = outcome(await verify(another.mfaToken, codeOf(ada.secret)))
    t.same(codes, [401, 401, 401, 401, 401, 401])
    t.equal(outcome(await verify(mfaToken, codeOf(ada.secret))), '401 MFA_CODE_INVALID')
    return late === '429 RATE_LIMITED' && ada
  })
  t.equal((await ada.get('/api/auth/me')).status, 200, 'open sessions are not affected')
  await app.db.updateTable('mfa_challenges').set({ expires_at: Date.now() }).execute()
  const other = await withMfa()
  const late = await login(other.email)
  await app.db.updateTable('mfa_challenges').set({ expires_at: Date.now() }).execute()
  t.equal(outcome(await verify(late.mfaToken, codeOf(other.secret))), '401 MFA_CODE_INVALID', 'too late')
})

/**
 * Changes the password while a login has checked it but not opened the session yet. Returns the outcome of that login.
 */
async function overtaken (
  ada: { id: string, email: string }, login: () => Promise<{ status: number, body?: { code?: string } }>
) {
  const changing = await app.pool.connect()
  try {
    await changing.query('begin')
    await changing.query("update users set password_hash = password_hash || 'x' where id = $1", [ada.id])
    const answer = login()
    await eventually(async () =>
      (await app.pool.query("select from pg_locks where not granted and locktype = 'transactionid'")).rowCount === 1
    )
    await changing.query('delete from mfa_challenges where user_id = $1', [ada.id])
    await changing.query('delete from sessions where user_id = $1', [ada.id])
    await changing.query('commit')
    return outcome(await answer)
  } finally {
    changing.release()
  }
}

await t.test('a concurrent login with the old password fails after a change', async t => {
  const ada = await person(app, 'viewer')
  t.equal(
    await overtaken(ada, () => anybody.post('/api/auth/login', { email: ada.email, password })), '401 LOGIN_FAILED'
  )
  const grace = await withMfa()
  t.equal(
    await overtaken(grace, () => anybody.post('/api/auth/login', { email: grace.email, password })), '401 LOGIN_FAILED',
    'no code is requested'
  )
  const hedy = await withMfa()
  const { mfaToken } = await login(hedy.email)
  t.equal(await overtaken(hedy, () => verify(mfaToken, hedy.recoveryCodes[0] as string)), '401 MFA_CODE_INVALID')
  for (const table of ['sessions', 'mfa_challenges'] as const) {
    t.same(
      await app.db.selectFrom(table).select('user_id').where('user_id', 'in', [ada.id, grace.id, hedy.id]).execute(),
      [], table
    )
  }
})

await t.test('users and administrators can disable it, and a new password does not', async t => {
  const ada = await withMfa()
  const url = `/api/users/${ada.id}/mfa/disable`
  t.equal(outcome(await ada.post(url, {})), '403 PASSWORD_WRONG')
  t.equal(outcome(await ada.post(url, { code: ada.recoveryCodes[0] })), '403 PASSWORD_WRONG')
  t.equal(outcome(await ada.post(url, { currentPassword: 'wrong', code: ada.recoveryCodes[0] })), '403 PASSWORD_WRONG')
  t.equal(outcome(await ada.post(url, { currentPassword: password })), '403 MFA_CODE_INVALID')
  t.equal(outcome(await ada.post(url, { currentPassword: password, code: '000000' })), '403 MFA_CODE_INVALID')
  const root = await person(app, 'super_admin')
  await root.post(`/api/users/${ada.id}/change-password`, { newPassword: password })
  t.match(await login(ada.email), { mfaRequired: true })
  t.equal(outcome(await (await person(app, 'viewer')).post(url, { code: codeOf(ada.secret) })), '404 USER_NOT_FOUND')
  t.equal(outcome(await root.post(url)), '204')
  t.match(await login(ada.email), { sessionToken: /^sess_/ })

  const grace = await withMfa()
  t.equal(
    outcome(
      await grace.post(`/api/users/${grace.id}/mfa/disable`, {
        currentPassword: password,
        code: grace.recoveryCodes[0]
      })
    ),
    '204'
  )
  t.match(await login(grace.email), { sessionToken: /^sess_/ })
})

await t.test('a user who gains permissions during the request is not changed', async t => {
  const admin = await person(app, 'admin')
  for (const [path, body] of [['mfa/disable', {}], ['change-password', { newPassword: 'taken over now' }]] as const) {
    const ada = await withMfa()
    const promoting = await app.pool.connect()
    try {
      await promoting.query('begin')
      await promoting.query("select pg_advisory_xact_lock(hashtext('realtime.setup'))")
      const answer = admin.post(`/api/users/${ada.id}/${path}`, body)
      await eventually(async () =>
        (await app.pool.query("select from pg_locks where not granted and locktype = 'advisory'")).rowCount === 1
      )
      await promoting.query("insert into role_assignments (user_id, role_id) values ($1, 'role_super_admin')", [ada.id])
      await promoting.query('commit')
      t.equal(outcome(await answer), '403 PERMISSION_NOT_HELD', path)
    } finally {
      promoting.release()
    }
    t.match(await login(ada.email), { mfaRequired: true })
  }
})
