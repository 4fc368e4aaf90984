import t from 'tap'
import { build } from '../../support/build.ts'
import { password, person, requests } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'

t.setTimeout(600_000)

const { app } = await build(t)
const root = await person(app, 'super_admin')
interface Entry {
  id: string
  at: number
  actor: { kind: string, id: string, name: string }
  action: string
  resource: string
  resourceId: string
  applicationId: string | null
  environment: string | null
  address: string
  requestId: string
  before: Record<string, unknown> | null
  after: Record<string, unknown> | null
}
const entries = async (query = '') => (await root.get(`/api/admin/audit?limit=1000${query}`)).body as Entry[]

await t.test('an entry has the author, time, address, and the states before and after', async t => {
  const shop = await tenant(app)
  const token = requests(app, `Bearer ${shop.token(['admin'], { subject: 'deploy' })}`)
  const since = Date.now()
  await token.post('/api/topics', { name: 'order.placed', description: 'd', owner: 'o' }, {
    headers: { 'x-environment': 'staging', 'x-request-id': 'deploy-1' }, remoteAddress: '203.0.113.7'
  })
  const session = { 'x-application-id': shop.applicationId, 'x-environment': 'staging' }
  await root.request('PATCH', '/api/topics/order.placed', { owner: 'p' }, { headers: session })
  await root.request('PATCH', '/api/topics/missing.one', { owner: 'p' }, { headers: session })
  await root.request('DELETE', '/api/topics/order.placed', undefined, { headers: session })
  const [deleted, updated, created, ...rest] = await entries(`&applicationId=${shop.applicationId}`)
  t.same(rest, [], 'a refused request has no entry')
  t.match(created, {
    id: /^aud_/,
    actor: { kind: 'token', id: `${shop.applicationId}/deploy`, name: null },
    action: 'topic.created',
    resource: 'topic',
    resourceId: 'order.placed',
    applicationId: shop.applicationId,
    environment: 'staging',
    address: '203.0.113.7',
    requestId: 'deploy-1',
    before: null,
    after: { name: 'order.placed', owner: 'o' }
  })
  t.ok(created !== undefined && created.at >= since && created.at <= Date.now())
  t.match(updated, {
    actor: { kind: 'session', id: root.id, name: root.email }, action: 'topic.updated', before: { owner: 'o' },
    after: { owner: 'p' }
  })
  t.match(deleted, { action: 'topic.deleted', before: { owner: 'p' }, after: null })
  t.match(await entries('&action=topic.updated&resourceId=order.placed'), [{ id: updated?.id }])
  t.equal((await entries(`&actor=${root.id}&resource=topic`)).length, 2)
  t.same(await entries(`&to=${since}&resource=topic`), [])
  const first = await root.get('/api/admin/audit?limit=1')
  t.not(
    (await root.get(`/api/admin/audit?limit=1&cursor=${first.headers['x-next-cursor'] as string}`)).body[0].id,
    first.body[0].id
  )
  t.match(await root.get('/api/admin/audit?cursor=x'), { status: 400 })
})

await t.test('every change of a setting has an entry without secrets', async t => {
  const { body: application } = await root.post('/api/applications', { name: 'Shop' })
  const scoped = { headers: { 'x-application-id': application.id } }
  const patch = (url: string, body: unknown) => root.request('PATCH', url, body, scoped)
  const drop = (url: string) => root.request('DELETE', url, undefined, scoped)
  await root.patch(`/api/applications/${application.id}`, { name: 'Store' })
  await root.post('/api/topics', { name: 'a.b', description: 'd', owner: 'o' }, scoped)
  await root.post('/api/schemas/a.b', { schema: { type: 'object' } }, scoped)
  const { body: service } = await root.post('/api/services', { name: 'cart' }, scoped)
  await patch(`/api/services/${service.id}`, { description: 'x' })
  await drop(`/api/services/${service.id}`)
  const { body: webhook } = await root.post('/api/webhooks', {
    url: 'https://example.com/hook',
    events: ['*'],
    secret: 'a-webhook-secret-of-ours'
  }, scoped)
  await patch(`/api/webhooks/${webhook.id}`, { description: 'x' })
  for (const what of ['deactivate', 'activate']) {
    await root.post(`/api/webhooks/${webhook.id}/${what}`, undefined, scoped)
  }
  const { body: renewed } = await root.post(`/api/webhooks/${webhook.id}/rotate-secret`, {}, scoped)
  await drop(`/api/webhooks/${webhook.id}`)
  const { body: mapping } = await root.post('/api/database/mappings', {
    table: 'orders', topic: 'a.b', events: ['insert'], payload: { id: '$row.id' }
  }, scoped)
  await patch(`/api/database/mappings/${mapping.id}`, { events: ['insert', 'update'] })
  await root.post(`/api/database/mappings/${mapping.id}/versions`, { environment: 'development' }, scoped)
  await root.post(`/api/database/mappings/${mapping.id}/promote`, { environment: 'development' }, scoped)
  await root.post(`/api/database/mappings/${mapping.id}/rollback`, { environment: 'development', version: 1 }, scoped)
  await root.request('PUT', '/api/database/connection', {
    connectionString: 'postgres://somebody:a-database-password@127.0.0.1:1/shop'
  }, scoped)
  await drop('/api/database/connection')
  await root.request('PUT', '/api/debugger/sampling', { sample: 0.5 }, scoped)
  await root.post('/api/topics/a.b/events', { events: [{ payload: {} }, { payload: {} }, { payload: {} }] }, scoped)
  const { body: replay } = await root.post('/api/debugger/replay', {
    topic: 'a.b', fromOffset: 1, target: 'subscribers', ratePerSecond: 1
  }, scoped)
  await root.post(`/api/debugger/replays/${replay.id}/cancel`, undefined, scoped)
  const { body: role } = await root.post('/api/roles', { name: 'reader', permissions: [] })
  await root.patch(`/api/roles/${role.id}`, { description: 'x' })
  const { body: user } = await root.post('/api/users', { name: 'Grace', email: 'grace@example.com', password })
  await root.patch(`/api/users/${user.id}`, { name: 'G' })
  await root.post(`/api/users/${user.id}/roles`, { roleId: role.id })
  await root.remove(`/api/users/${user.id}/roles/${role.id}`)
  await root.post(`/api/users/${user.id}/change-password`, { newPassword: 'a new secret phrase' })
  const { body: setup } = await root.post(`/api/users/${root.id}/mfa/setup`, { currentPassword: password })
  await root.post(`/api/users/${root.id}/mfa/disable`, { code: '000000' })
  await root.remove(`/api/users/${user.id}`)
  await root.remove(`/api/roles/${role.id}`)
  const { body: withdrawn } = await root.post('/api/invites', { email: 'x@example.com', roleId: 'role_viewer' })
  await root.remove(`/api/invites/${withdrawn.id}`)
  const { body: invite } = await root.post('/api/invites', { email: 'y@example.com', roleId: 'role_viewer' })
  await requests(app).post('/api/auth/accept-invite', { token: invite.token, name: 'Y', password })
  const { body: key } = await root.post('/api/admin/keys', { algorithm: 'HS256' })
  const { body: rotated } = await root.post(`/api/admin/keys/${key.keyId}/rotate`)
  await root.post(`/api/admin/keys/${rotated.keyId}/deactivate`)
  await root.post(`/api/admin/keys/${key.keyId}/revoke`)
  await root.request('DELETE', `/api/applications/${application.id}?force=true`)
  const all = await entries()
  const actions = new Set(all.map(({ action }) => action))
  for (
    const action of [
      'application.created', 'application.updated', 'application.deleted', 'topic.created', 'schema.registered',
      'service.created', 'service.updated', 'service.deleted', 'webhook.created', 'webhook.updated',
      'webhook.activated', 'webhook.deactivated', 'webhook.secret_rotated', 'webhook.deleted', 'mapping.created',
      'mapping.updated', 'mapping.versioned', 'mapping.promoted', 'mapping.rolled_back', 'database.connected',
      'database.disconnected', 'trace_sampling.updated', 'replay.created', 'replay.cancelled', 'role.created',
      'role.updated', 'role.deleted', 'user.created', 'user.updated', 'user.deleted', 'user.role_assigned',
      'user.role_removed', 'user.password_changed', 'user.mfa_set_up', 'user.mfa_disabled', 'invite.created',
      'invite.withdrawn', 'invite.accepted', 'key.created', 'key.deactivated', 'key.revoked'
    ]
  ) t.ok(actions.has(action), action)
  t.match(all.find(({ action }) => action === 'invite.accepted'), { actor: { kind: 'session', name: 'y@example.com' } })
  const text = JSON.stringify(await app.db.selectFrom('audit_log').selectAll().execute())
  for (
    const secret of [
      'a-webhook-secret-of-ours', renewed.secret, 'a-database-password', password, 'a new secret phrase', key.secret,
      setup.secret, invite.token, root.token, 'argon2', 'PRIVATE'
    ]
  ) t.notOk(text.includes(secret), secret.slice(0, 8))
})

await t.test('deletions that follow from another deletion have entries', async t => {
  const [shop, bank] = [await tenant(app), await tenant(app)]
  const { body: role } = await root.post('/api/roles', {
    name: 'going', permissions: [{ resource: 'topics', action: 'read' }]
  })
  const [ada, grace] = [
    await person(app, [role.id, shop.applicationId]), await person(app, role.id, ['viewer', bank.applicationId])
  ]
  const invited = async (by: { post: typeof root.post }, invite: object) =>
    (await by.post('/api/invites', { email: 'x@example.com', ...invite })).body.id as string
  const [ofRole, ofBank] = [
    await invited(root, { roleId: role.id }),
    await invited(root, { roleId: 'role_viewer', applicationId: bank.applicationId })
  ]
  const sender = await person(app, 'admin')
  const ofSender = await invited(sender, { roleId: 'role_viewer', applicationId: shop.applicationId })

  t.equal((await root.remove(`/api/roles/${role.id}`)).status, 204)
  const lost = async (id: string) =>
    (await entries(`&action=user.role_removed&resourceId=${id}`)).map((
      { actor, applicationId, before }
    ) => [actor.id, applicationId, before?.['role']])
  t.same(await lost(ada.id), [[root.id, shop.applicationId, 'going']])
  t.same(await lost(grace.id), [[root.id, null, 'going']])
  t.match(await entries(`&action=invite.withdrawn&resourceId=${ofRole}`), [{
    actor: { id: root.id },
    before: { role: 'going', email: 'x@example.com' }
  }])

  t.equal((await root.remove(`/api/applications/${bank.applicationId}`)).status, 204)
  t.same((await lost(grace.id))[0], [root.id, bank.applicationId, 'viewer'])
  t.match(await entries(`&action=invite.withdrawn&resourceId=${ofBank}`), [{ applicationId: bank.applicationId }])

  t.equal((await root.remove(`/api/users/${sender.id}`)).status, 204)
  t.match(await entries(`&action=invite.withdrawn&resourceId=${ofSender}`), [{
    applicationId: shop.applicationId,
    before: { invitedBy: sender.id }
  }])
  t.match(
    (await entries('&action=key.created')).at(-1), { actor: { kind: 'system' }, after: { algorithm: 'HS256' } },
    "the first key is the platform's own"
  )
})

await t.test('the mask covers secrets at any depth, and limits the size', async t => {
  const { mask } = await import('../../../src/identity/audit/mask.ts')
  t.same(
    mask({
      url: 'https://user:pass@example.com/hook',
      secret: 'whsec_x',
      nested: [{ connectionString: 'postgres://u:p@h/d', password: null, clientSecret: 'y', hasSecret: true }],
      name: 'a\0b',
      'b\0\ud800': 'c\ud800',
      note: 'see postgres://u:p@h/d'
    }),
    {
      url: 'https://***@example.com/hook',
      secret: '***',
      nested: [{ connectionString: '***', password: null, clientSecret: '***', hasSecret: true }],
      name: 'ab',
      'b\ufffd': 'c\ufffd',
      note: 'see postgres://***@h/d'
    }
  )
  t.same(
    mask({
      url: 'https://example.com/hook?api_key=x&shop=7&X-Amz-Signature=y#token=z',
      text: 'postgres://u:p@ss@h/d a://b?c=d@e',
      description: 'call it with rtk_4fK9sLq27cTzGm1VbYxWnE8uRdPj5oHa3iQkMwBvXyZtSgLNfCr', prefix: 'rtk_4fK9sLq2'
    }),
    {
      url: 'https://example.com/hook?api_key=***&shop=7&X-Amz-Signature=***#token=***',
      text: 'postgres://***@h/d a://b?c=d@e',
      description: 'call it with rtk_***', prefix: 'rtk_4fK9sLq2'
    }
  )
  t.match(mask({ list: Array.from({ length: 100 }, () => 'x'.repeat(1000)) }), { truncated: true })
})

await t.test('the mask handles long repetitive texts in linear time', async t => {
  const { mask } = await import('../../../src/identity/audit/mask.ts')
  for (const part of ['a.', 'a+b://', '://', '://a', '?a', '&=', 'a@', '?secret', 'rtk_', 'rtk_abcdefghi', '\ud800']) {
    t.equal((mask({ text: part.repeat(500_000) })['text'] as string).length, 2000, part)
  }
})

await t.test('entries cannot be changed, deleted or truncated', async t => {
  const before = (await entries()).length
  for (const statement of ["update audit_log set action = 'x.y'", 'delete from audit_log', 'truncate audit_log']) {
    await t.rejects(app.pool.query(statement), /append-only/, statement)
  }
  t.equal((await entries()).length, before)
})

await t.test('a change and its entry are committed or rolled back together', async t => {
  const shop = await tenant(app)
  const token = requests(app, `Bearer ${shop.token(['admin'])}`)
  await app.pool.query("alter table audit_log add constraint refuses check (resource_id <> 'doomed.topic')")
  t.equal((await token.post('/api/topics', { name: 'doomed.topic', description: 'd', owner: 'o' })).status, 500)
  t.equal((await token.get('/api/topics/doomed.topic')).status, 404)
  await app.pool.query('alter table audit_log drop constraint refuses')
  t.equal((await token.post('/api/topics', { name: 'doomed.topic', description: 'd', owner: 'o' })).status, 201)
})

await t.test("a token, and a user with rights for one application, see only that application's entries", async t => {
  const [shop, bank] = [await tenant(app), await tenant(app)]
  for (const { request } of [shop, bank]) {
    await request('POST', '/api/topics', { name: 'a.b', description: 'd', owner: 'o' })
  }
  const { body: role } = await root.post('/api/roles', {
    name: 'auditor', permissions: [{ resource: 'audit', action: 'read' }]
  })
  const auditor = await person(app, [role.id, shop.applicationId])
  for (
    const reader of [
      auditor,
      requests(app, `Bearer ${shop.token(['audit:read'])}`),
      requests(app, `Bearer ${shop.token(['admin'])}`)
    ]
  ) {
    t.match((await reader.get('/api/admin/audit')).body.map(({ applicationId }: Entry) => applicationId), [
      shop.applicationId
    ])
    t.same((await reader.get(`/api/admin/audit?applicationId=${bank.applicationId}`)).body, [])
  }
  t.equal((await (await person(app, 'editor')).get('/api/admin/audit')).status, 403)
})
