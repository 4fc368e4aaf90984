import { Secret, TOTP } from 'otpauth'
import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { readableLog } from '../../support/log-lines.ts'
import { password, person, requests, type Person } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'
import { eventually } from '../../support/waiting.ts'

/* Security events are logged at `info`, with address and user agent, and recorded in the audit log. */

t.setTimeout(600_000)

const { logger, lines, text } = readableLog()
const { app } = await build(t, { logger, variables: { RATE_LIMIT_MAX: '0' } })
await listen(app)
const from = { remoteAddress: '203.0.113.7', headers: { 'user-agent': 'sign-in/1.0' } }

let root: Person
/** Returns the log lines and audit entries since the last call. */
let [seenLines, seenEntries] = [0, 0]
async function left () {
  const logged = lines().slice(seenLines).filter(({ msg }) => /^(user|token|role|invite|key|api_key)\./.test(msg))
  seenLines = lines().length
  const entries = await app.db.selectFrom('audit_log').selectAll().where('sequence', '>', seenEntries).orderBy(
    'sequence'
  ).execute()
  seenEntries = entries.at(-1)?.sequence ?? seenEntries
  return { logged, entries }
}

await t.test('setup, logins, refused logins and logouts are recorded', async t => {
  const anybody = requests(app)
  const ada = { email: 'ada@example.com', password }
  const { body: first } = await anybody.post('/api/auth/setup', { ...ada, name: 'Ada' }, {
    headers: { ...from.headers, host: 'localhost' }, remoteAddress: '127.0.0.1'
  })
  const set = await left()
  t.same(set.logged.map(({ msg }) => msg), ['user.set_up', 'user.logged_in'])
  t.match(set.logged[0], {
    level: 30, address: '127.0.0.1', userAgent: 'sign-in/1.0', email: ada.email, resourceName: 'Ada', reqId: /^req_/
  })
  t.notOk(set.logged.some(line => 'name' in line), 'pino-pretty would show it as the name of the logger')

  const { body: { sessionToken, user } } = await anybody.post('/api/auth/login', ada, from)
  t.match(await left(), {
    logged: [{
      level: 30, msg: 'user.logged_in', actor: user.id, actorName: ada.email, resourceId: user.id, session: /^sess_/,
      secondFactor: false, address: '203.0.113.7', userAgent: 'sign-in/1.0'
    }],
    entries: [{
      action: 'user.logged_in', actor_kind: 'session', actor_id: user.id, address: '203.0.113.7',
      user_agent: 'sign-in/1.0', after: { secondFactor: false }
    }]
  })
  for (const [email, resourceId] of [[ada.email, user.id], ['nobody@example.com', null]] as const) {
    t.equal((await anybody.post('/api/auth/login', { email, password: 'a wrong pass phrase' }, from)).status, 401)
    const { logged, entries } = await left()
    t.match(logged, [{
      level: 30, msg: 'user.login_refused', actor: 'anonymous', reason: 'password', address: '203.0.113.7',
      userAgent: 'sign-in/1.0'
    }])
    t.equal(logged[0]?.['resourceId'] ?? null, resourceId)
    t.match(entries, [{
      action: 'user.login_refused', resource_id: resourceId, actor_id: 'anonymous', user_agent: 'sign-in/1.0',
      after: { reason: 'password' }
    }])
  }
  const session = requests(app, sessionToken)
  const { body: sessions } = await session.get('/api/auth/sessions')
  const other = sessions.find(({ current }: { current: boolean }) => !current)
  await session.remove(`/api/auth/sessions/${other.id}`)
  await session.post('/api/auth/logout', undefined, from)
  t.match(await left(), {
    logged: [{ msg: 'user.session_ended', session: other.id, actor: user.id }, {
      msg: 'user.logged_out', actor: user.id, address: '203.0.113.7'
    }],
    entries: [{ action: 'user.session_ended' }, { action: 'user.logged_out', resource_id: user.id }]
  })
  t.ok(!text().includes(first.sessionToken) && !text().includes(sessionToken))
  root = await person(app, 'super_admin')
})

await t.test('each step of a second factor is recorded', async t => {
  const ada = await person(app, 'viewer')
  const { body: { secret } } = await ada.post(`/api/users/${ada.id}/mfa/setup`, { currentPassword: password }, from)
  const code = (steps = 0) =>
    new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: Date.now() + steps * 30_000 })
  await ada.post(`/api/users/${ada.id}/mfa/confirm`, { code: code() === '000000' ? '000001' : '000000' }, from)
  await ada.post(`/api/users/${ada.id}/mfa/confirm`, { code: code() }, from)
  await app.db.updateTable('users').set({ mfa_last_step: 1 }).where('id', '=', ada.id).execute()
  const { body: { mfaToken } } = await requests(app).post('/api/auth/login', { email: ada.email, password }, from)
  for (const tried of ['no code', code()]) {
    await requests(app).post('/api/auth/mfa/verify', { mfaToken, code: tried }, from)
  }
  await app.db.updateTable('users').set({ mfa_last_step: 1 }).where('id', '=', ada.id).execute()
  await ada.post(`/api/users/${ada.id}/mfa/disable`, { currentPassword: 'a wrong pass phrase', code: code() }, from)
  t.equal(
    (await ada.post(`/api/users/${ada.id}/mfa/disable`, { currentPassword: password, code: code() }, from)).status,
    204
  )
  const { logged, entries } = await left()
  const expected = [
    'user.mfa_set_up',
    'user.proof_refused code',
    'user.mfa_enabled',
    'user.login_code_required',
    'user.login_refused code',
    'user.logged_in',
    'user.proof_refused password',
    'user.mfa_disabled'
  ]
  t.same(logged.map(({ msg, reason }) => [msg, reason].filter(Boolean).join(' ')), expected)
  t.same(entries.map(({ action, after }) => [action, after?.['reason']].filter(Boolean).join(' ')), expected)
  for (const line of logged) {
    t.match(line, { level: 30, resourceId: ada.id, address: '203.0.113.7', userAgent: 'sign-in/1.0' })
  }
  t.match(logged[5], { secondFactor: true })
  for (const hidden of [secret, mfaToken]) t.notOk(text().includes(hidden))
})

await t.test('changes of tokens, keys, roles, invites and passwords are recorded', async t => {
  const shop = await tenant(app)
  const { body: issued } = await root.post('/auth/token', {
    applicationId: shop.applicationId, permissions: ['client'], subject: 'phone'
  }, from)
  const claims = JSON.parse(Buffer.from(issued.token.split('.')[1], 'base64url').toString()) as { jti: string }
  t.match(await left(), {
    logged: [{
      msg: 'token.issued', actor: root.id, resourceId: claims.jti, subject: 'phone', applicationId: shop.applicationId,
      expiresAt: issued.expiresAt, keyId: /^key_/, address: '203.0.113.7', userAgent: 'sign-in/1.0'
    }],
    entries: [{
      action: 'token.issued', resource_id: claims.jti, application_id: shop.applicationId,
      after: { subject: 'phone', permissions: ['client'] }, user_agent: 'sign-in/1.0'
    }]
  })
  t.equal(
    (await requests(app, `Bearer ${issued.token}`).post('/auth/token', {
      applicationId: shop.applicationId,
      permissions: ['admin']
    }, from)).status,
    403
  )
  t.same(await left(), { logged: [], entries: [] }, 'a refused token is not recorded as issued')

  const { body: key } = await root.post('/api/admin/keys', { algorithm: 'HS256' }, from)
  await root.post(`/api/admin/keys/${key.keyId}/rotate`, undefined, from)
  await root.post(`/api/admin/keys/${key.keyId}/revoke`, undefined, from)
  const ofShop = { ...from, headers: { ...from.headers, 'x-application-id': shop.applicationId } }
  const { body: apiKey } = await root.post('/api/api-keys', { name: 'Import', permissions: ['publish'] }, ofShop)
  await root.request('DELETE', `/api/api-keys/${apiKey.id}`, undefined, ofShop)
  const { body: role } = await root.post('/api/roles', { name: 'reader', permissions: [] }, from)
  await root.request('PATCH', `/api/roles/${role.id}`, { description: 'x' }, from)
  const { body: grace } = await root.post('/api/users', { name: 'Grace', email: 'grace@example.com', password }, from)
  await root.post(`/api/users/${grace.id}/roles`, { roleId: role.id }, from)
  await root.request('DELETE', `/api/users/${grace.id}/roles/${role.id}`, undefined, from)
  await root.request('DELETE', `/api/roles/${role.id}`, undefined, from)
  const { body: invite } = await root.post('/api/invites', { email: 'linus@example.com', roleId: 'role_viewer' }, from)
  await requests(app).post('/api/auth/accept-invite', { token: invite.token, name: 'Linus', password }, from)
  await root.post(`/api/users/${grace.id}/change-password`, { newPassword: 'another pass phrase' }, from)
  await requests(app).post('/api/auth/forgot-password', { email: 'grace@example.com' }, from)
  await eventually(() => lines().some(({ msg }) => msg === 'user.password_reset_requested'))
  const { logged, entries } = await left()
  const expected = [
    'key.created',
    'key.created',
    'key.deactivated',
    'key.revoked',
    'api_key.created',
    'api_key.revoked',
    'role.created',
    'role.updated',
    'user.created',
    'user.role_assigned',
    'user.role_removed',
    'role.deleted',
    'invite.created',
    'invite.accepted',
    'user.logged_in',
    'user.password_changed',
    'user.password_reset_requested'
  ]
  t.same(logged.map(({ msg }) => msg), expected)
  t.same(entries.map(({ action }) => action), expected)
  for (const line of logged) t.match(line, { level: 30, address: '203.0.113.7', userAgent: 'sign-in/1.0' }, line.msg)
  t.match(logged.find(({ msg }) => msg === 'user.role_assigned'), {
    role: 'reader', resourceId: grace.id, actor: root.id
  })
  for (const hidden of [issued.token, key.secret, apiKey.key, 'another pass phrase', password]) {
    t.notOk(text().includes(hidden))
  }
})

await t.test('a change that is rolled back is not logged', async t => {
  const linus = await person(app, 'admin')
  await app.pool.query("alter table audit_log add constraint refuses check (action <> 'user.deleted')")
  t.equal((await root.remove(`/api/users/${linus.id}`)).status, 500)
  await app.pool.query('alter table audit_log drop constraint refuses')
  t.same((await left()).logged, [])
  t.equal((await root.remove(`/api/users/${linus.id}`)).status, 204)
  t.match((await left()).logged, [{ msg: 'user.deleted', resourceId: linus.id }])
})

await t.test('a user agent is recorded as one line of limited length', async t => {
  const hostile = `a\u001b[31m\u009b2J\u202e\u2028\r\nfake line ${'x'.repeat(10_000)}`
  await requests(app).post('/api/auth/login', { email: root.email, password }, { headers: { 'user-agent': hostile } })
  const { logged: [line], entries: [entry] } = await left()
  for (const stored of [line?.['userAgent'], entry?.user_agent]) {
    t.match(stored, /^a\[31m2Jfake line x+$/)
    t.ok((stored as string).length <= 500)
  }
  const { body: [newest] } = await root.get('/api/admin/audit?limit=1&action=user.logged_in')
  t.equal(newest.userAgent, entry?.user_agent)
})

await t.test('refused logins do not fill the audit log, and omitted entries are counted', async t => {
  const attempt = async (host: number) =>
    await requests(app).post('/api/auth/login', { email: `${host}@example.com`, password: 'a wrong pass phrase' }, {
      remoteAddress: `198.18.${host >> 8}.${host & 255}`
    })
  for (let i = 0; i < 105; i++) t.equal((await attempt(i)).status, 401)
  const { logged, entries } = await left()
  t.equal(logged.filter(({ msg }) => msg === 'user.login_refused').length, 105, 'the log has all of them')
  t.ok(entries.length < 105 && entries.length > 90, `${entries.length} entries`)
  const tooMany = { email: 'often@example.com', password: 'a wrong pass phrase' }
  for (let i = 0; i < 7; i++) await requests(app).post('/api/auth/login', tooMany, from)
  t.match((await left()).logged.at(-1), { msg: 'user.login_refused', reason: 'rate_limited', address: '203.0.113.7' })
})
