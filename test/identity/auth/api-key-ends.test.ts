import t from 'tap'
import { build } from '../../support/build.ts'
import { createApiKey } from '../../support/api-keys.ts'
import { mailServer } from '../../support/mail-server.ts'
import { password, person, requests } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'
import { eventually } from '../../support/waiting.ts'

t.setTimeout(300_000)

const smtp = await mailServer(t)
const { app } = await build(t, { variables: { SMTP_URL: smtp.url, PUBLIC_URL: 'https://realtime.example.com' } })
const root = await person(app, 'super_admin')
const outcome = ({ status, body }: { status: number, body?: { code?: string } }) =>
  body?.code === undefined ? String(status) : `${status} ${body.code}`
const works = async ({ key }: { key: string }) =>
  (await requests(app, `Bearer ${key}`).get('/api/auth/me')).status === 200
const revocations = async (id: string) =>
  await app.db.selectFrom('audit_log').select(['actor_id', 'application_id'])
    .where('action', '=', 'api_key.revoked').where('resource_id', '=', id).execute()

await t.test('users list and revoke their own keys without any permission', async t => {
  const [shop, blog] = [await tenant(app), await tenant(app)]
  const ada = await person(app, ['admin', shop.applicationId], ['admin', blog.applicationId])
  const keys = [await createApiKey(ada, shop.applicationId), await createApiKey(ada, blog.applicationId)]
  const others = await createApiKey(await person(app, ['admin', shop.applicationId]), shop.applicationId)
  await root.remove(`/api/users/${ada.id}/roles/role_admin`)
  t.equal(outcome(await ada.request('DELETE', `/api/api-keys/${keys[0]?.id}`, undefined, {
    headers: { 'x-application-id': shop.applicationId }
  })), '403 APPLICATION_FORBIDDEN', 'the other route needs a permission')
  const listed = (await ada.get('/api/auth/api-keys')).body
  t.match(listed, [{ id: keys[1]?.id, active: false }, { id: keys[0]?.id, active: false }])
  t.equal(listed.length, 2, 'and no key of another user')
  const first = await ada.get('/api/auth/api-keys?limit=1')
  const cursor = String(first.headers['x-next-cursor'])
  t.match((await ada.get(`/api/auth/api-keys?limit=1&cursor=${cursor}`)).body, [{ id: keys[0]?.id }])
  t.equal(outcome(await ada.remove(`/api/auth/api-keys/${others.id}`)), '404 API_KEY_NOT_FOUND')
  t.equal(await works(others), true)
  for (const { id } of keys) t.equal(outcome(await ada.remove(`/api/auth/api-keys/${id}`)), '204')
  t.same((await ada.get('/api/auth/api-keys')).body, [])
  t.same(await revocations(keys[0]?.id ?? ''), [{ actor_id: ada.id, application_id: shop.applicationId }])
  for (const credential of [`Bearer ${others.key}`, `Bearer ${shop.token()}`]) {
    t.equal(outcome(await requests(app, credential).get('/api/auth/api-keys')), '403 SESSION_REQUIRED')
    t.equal(outcome(await requests(app, credential).remove(`/api/auth/api-keys/${others.id}`)), '403 SESSION_REQUIRED')
  }
})

await t.test('a mailed reset revokes the keys of the user, unless they decide otherwise', async t => {
  const shop = await tenant(app)
  const ada = await person(app, ['admin', shop.applicationId])
  const resetToken = async () => {
    await app.db.deleteFrom('password_resets').execute()
    const { mails } = smtp
    const before = mails.length
    await requests(app).post('/api/auth/forgot-password', { email: ada.email })
    const mail = await eventually(() => mails.slice(before).find(({ to, text }) =>
      to.includes(ada.email) && text.includes('reset_')))
    return /#token=(\S+)/.exec(mail.text)?.[1]
  }
  const key = await createApiKey(ada, shop.applicationId)
  const bystander = await createApiKey(await person(app, ['admin', shop.applicationId]), shop.applicationId)
  const token = await resetToken()
  t.equal(outcome(await requests(app).post('/api/auth/reset-password', { token, password })), '204')
  t.equal(await works(key), false)
  t.equal(await works(bystander), true)
  t.same(await revocations(key.id), [{ actor_id: ada.id, application_id: shop.applicationId }])
})

await t.test('a forgotten password need not end the keys', async t => {
  const shop = await tenant(app)
  const ada = await person(app, ['admin', shop.applicationId])
  const key = await createApiKey(ada, shop.applicationId)
  await requests(app).post('/api/auth/forgot-password', { email: ada.email })
  const mail = await eventually(() => smtp.mails.find(({ to, text }) =>
    to.includes(ada.email) && text.includes('reset_')))
  const token = /#token=(\S+)/.exec(mail.text)?.[1]
  const body = { token, password, revokeApiKeys: false }
  t.equal(outcome(await requests(app).post('/api/auth/reset-password', body)), '204')
  t.equal(await works(key), true)
})

await t.test('an administrator who sets a password ends the keys; the owner does not', async t => {
  const shop = await tenant(app)
  const ada = await person(app, ['admin', shop.applicationId])
  const change = async (by: typeof ada, body: object) =>
    outcome(await by.post(`/api/users/${ada.id}/change-password`, { newPassword: password, ...body }))
  const login = async () =>
    requests(app, (await requests(app).post('/api/auth/login', { email: ada.email, password })).body.sessionToken)
  const key = await createApiKey(ada, shop.applicationId)
  t.equal(await change(ada, { currentPassword: password }), '204')
  t.equal(await works(key), true, 'the own change')
  t.equal(await change(root, { revokeApiKeys: false }), '204')
  t.equal(await works(key), true, 'a change that keeps them')
  t.equal(await change(root, {}), '204')
  t.equal(await works(key), false, 'the change of an administrator')
  const second = await createApiKey(await login(), shop.applicationId)
  const again = { ...ada, ...await login() }
  t.equal(await change(again, { currentPassword: password, revokeApiKeys: true }), '204')
  t.equal(await works(second), false, 'an own change that ends them')
})

await t.test('a replay stops when its API key ends or its user loses the permission', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('past.orders')
  await shop.publish(topic, ...Array.from({ length: 50 }, (_, n) => ({ n })))
  const ada = await person(app, ['admin', shop.applicationId])
  const headers = { 'x-application-id': shop.applicationId }
  const permissions = ['debugger:create', 'publish:past.*']
  const requested = { topic, fromOffset: 1, target: 'subscribers', ratePerSecond: 1 }
  const key = await createApiKey(ada, shop.applicationId, { permissions })
  const lost = await createApiKey(ada, shop.applicationId, { permissions: ['debugger:create', 'publish:past.orders'] })
  const withKey = requests(app, `Bearer ${key.key}`)
  const replays = {
    key: await withKey.post('/api/debugger/replay', requested),
    stays: await requests(app, `Bearer ${lost.key}`).post('/api/debugger/replay', requested),
    session: await ada.post('/api/debugger/replay', requested, { headers }),
    token: await shop.request('POST', '/api/debugger/replay', requested)
  }
  const state = async (id: string) => (await shop.request('GET', `/api/debugger/replays/${id}`)).body
  const becomes = async (id: string, wanted: string) =>
    await eventually(async () => {
      const body = await state(id)
      return body.state === wanted && body
    })
  for (const { status, body } of Object.values(replays)) {
    t.equal(status, 202)
    await becomes(body.id, 'running')
  }
  t.equal(outcome(await ada.remove(`/api/auth/api-keys/${key.id}`)), '204')
  const ended = await becomes(replays.key.body.id, 'cancelled')
  t.match(ended.message, 'has ended, or has lost a permission')
  t.ok(ended.done < 50)
  const [entry] = await app.db.selectFrom('audit_log').select(['actor_kind', 'application_id'])
    .where('action', '=', 'replay.cancelled').where('resource_id', '=', replays.key.body.id).execute()
  t.same(entry, { actor_kind: 'system', application_id: shop.applicationId })
  t.equal((await state(replays.stays.body.id)).state, 'running', 'another key goes on')
  await root.remove(`/api/users/${ada.id}/roles/role_admin`)
  await becomes(replays.session.body.id, 'cancelled')
  await becomes(replays.stays.body.id, 'cancelled')
  t.equal((await state(replays.token.body.id)).state, 'running', 'a token cannot be looked up')
})

await t.test('a key of an administrator creates applications, and reaches none of them', async t => {
  const shop = await tenant(app)
  const admin = await person(app, 'admin')
  const key = await createApiKey(admin, shop.applicationId, { permissions: ['applications:create'] })
  const created = await requests(app, `Bearer ${key.key}`).post('/api/applications', { name: 'New' })
  t.equal(outcome(created), '201')
  t.equal(
    outcome(await requests(app, `Bearer ${key.key}`).get(`/api/applications/${created.body.id}`)),
    '403 PERMISSION_DENIED'
  )
  const local = await person(app, ['admin', shop.applicationId])
  t.equal(outcome(await local.post('/api/api-keys', { name: 'k', permissions: ['applications:create'] }, {
    headers: { 'x-application-id': shop.applicationId }
  })), '403 PERMISSION_NOT_HELD', 'not that of an administrator of one application')
})

await t.test('only users themselves, and those who may change them, see a second factor', async t => {
  const ada = await person(app, 'viewer')
  await app.db.updateTable('users').set({ mfa_secret_sealed: 'x', mfa_confirmed_at: 1 }).where('id', '=', ada.id)
    .execute()
  const viewer = await person(app, 'viewer')
  const seenBy = async (by: typeof viewer) => [
    (await by.get(`/api/users/${ada.id}`)).body.mfaEnabled,
    (await by.get(`/api/users?email=${ada.email}`)).body[0].mfaEnabled
  ]
  t.same(await seenBy(viewer), [null, null])
  t.same(await seenBy(ada), [true, true])
  t.same(await seenBy(await person(app, 'admin')), [true, true])
  const shop = await tenant(app)
  await root.post(`/api/users/${ada.id}/roles`, { roleId: 'role_viewer', applicationId: shop.applicationId })
  t.same(await seenBy(await person(app, ['viewer', shop.applicationId])), [null, null])
  t.same(await seenBy(await person(app, ['admin', shop.applicationId])), [true, true])
})
