import t from 'tap'
import type { ApiKey } from '../../../schemas/api-keys.ts'
import { generateApiKey } from '../../../src/identity/auth/api-key-text.ts'
import { apiKeysPerApplicationMax } from '../../../src/identity/auth/api-key-admin.ts'
import { build } from '../../support/build.ts'
import { createApiKey } from '../../support/api-keys.ts'
import { readableLog } from '../../support/log-lines.ts'
import { password, person, requests } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'
import { eventually } from '../../support/waiting.ts'

t.setTimeout(300_000)

const { logger, text: logged } = readableLog('trace')
const { app } = await build(t, { logger, variables: { ACCESS_LOG: 'true' } })
const root = await person(app, 'super_admin')
const by = (key: string) => requests(app, `Bearer ${key}`)
const outcome = ({ status, body }: { status: number, body?: { code?: string } }) =>
  body?.code === undefined ? String(status) : `${status} ${body.code}`
const day = 24 * 3_600_000

/** An administrator of a new application, and requests about its keys. */
async function setUp () {
  const shop = await tenant(app)
  const admin = await person(app, ['admin', shop.applicationId])
  const headers = { 'x-application-id': shop.applicationId }
  return {
    shop,
    admin,
    create: async (fields: object, as = admin) => await as.post('/api/api-keys', fields, { headers }),
    list: async (query = '', as = admin) => await as.get(`/api/api-keys${query}`, { headers }),
    revoke: async (id: string, as = admin) =>
      await as.request('DELETE', `/api/api-keys/${id}`, undefined, { headers })
  }
}

await t.test('a key is created, used, listed and revoked', async t => {
  const { shop, admin, create, list, revoke } = await setUp()
  const created = await create({ name: 'Nightly import', permissions: ['topics:read', 'topics:create'] })
  t.equal(created.status, 201, created.text)
  const { key, ...apiKey } = created.body
  t.match(key, /^rtk_[0-9A-Za-z]{49}$/)
  t.match(apiKey, {
    id: /^apk_/,
    name: 'Nightly import',
    prefix: key.slice(0, 12),
    applicationId: shop.applicationId,
    environment: null,
    permissions: ['topics:read', 'topics:create'],
    active: true,
    createdBy: admin.id,
    createdAt: Number,
    expiresAt: null,
    lastUsedAt: null
  })
  t.strictSame((await list()).body, [apiKey], 'without the key')

  const program = by(key)
  t.equal((await program.post('/api/topics', { name: 'made.by', description: 'd', owner: 'o' })).status, 201)
  t.equal((await program.get('/api/topics', { headers: { 'x-environment': 'production' } })).status, 200)
  t.equal(outcome(await program.get('/api/services')), '403 PERMISSION_DENIED')
  t.strictSame((await program.get('/api/auth/me')).body, {
    kind: 'token', subject: apiKey.id, applicationId: shop.applicationId, permissions: ['topics:create', 'topics:read'],
    expiresAt: null
  })
  t.equal(outcome(await program.get('/api/auth/sessions')), '403 SESSION_REQUIRED')
  const used = await eventually(async () => {
    const [{ lastUsedAt }] = (await list()).body
    return lastUsedAt as number | null ?? undefined
  })
  t.ok(used >= apiKey.createdAt)

  t.equal((await revoke(apiKey.id)).status, 204)
  t.equal(outcome(await program.get('/api/topics')), '401 CREDENTIAL_INVALID')
  t.same((await list()).body, [])
  t.equal(outcome(await revoke(apiKey.id)), '404 API_KEY_NOT_FOUND')
})

await t.test('a key is in no other place of the database than its hash, and never in the log', async t => {
  const { shop, create, list, revoke } = await setUp()
  const { body: { key, id } } = await create({
    name: 'Writer', permissions: ['topics:create', 'publish', 'documents:create', 'documents:read']
  })
  const program = by(key)
  const topic = await shop.topic('log.events')
  const headers = { 'idempotency-key': 'once' }
  t.equal((await program.post(`/api/topics/${topic}/events`, { payload: 1 }, { headers })).status, 201)
  t.equal((await program.post('/api/sync/cart/documents', { id: 'a', data: {} })).status, 201)
  t.equal((await program.post('/api/topics', { name: 'its.own', description: 'd', owner: 'o' })).status, 201)
  t.equal(
    (await shop.request('PATCH', '/api/topics/its.own', { description: `call it with ${key}` })).status, 200,
    'somebody writes the key into a text, which the audit log keeps'
  )
  await app.db.updateTable('topics').set({ description: 'd' }).where('name', '=', 'its.own').execute()
  for (
    const path of [`/api/api-keys/${key}`, `/api/nowhere/${key}?key=${key}`, `/api/topics/${key}`, `/ws?token=${key}`]
  ) {
    await app.inject({ url: path, headers: { authorization: `Bearer ${key}` } })
    await app.inject({ method: 'DELETE', url: path, headers: { authorization: `Bearer ${key}` } })
  }
  await app.inject({ url: '/api/topics', headers: { authorization: key } })
  await app.inject({ url: '/api/topics', headers: { authorization: `Bearer ${key}x` } })
  await eventually(async () => (await list()).body[0].lastUsedAt !== null)
  await app.tracing.recorder.flush()

  const secret = key.slice(12)
  const { rows: tables } = await app.pool.query<{ name: string }>(
    "select format('%I', tablename) as name from pg_tables where schemaname = 'public'"
  )
  t.ok(tables.length > 40)
  const forms = [secret, Buffer.from(key).toString('hex'), Buffer.from(key).toString('base64').slice(20, 60)]
  for (const { name } of tables) {
    const { rows } = await app.pool.query<{ row: string }>(`select t::text as row from ${name} as t`)
    const dump = rows.map(({ row }) => row).join('\n')
    for (const form of forms) t.notOk(dump.includes(form), name)
  }
  t.equal((await revoke(id)).status, 204)
  t.match(logged(), /api_key\.created/)
  t.match(logged(), /api_key\.revoked/)
  for (const form of forms) t.notOk(logged().includes(form), 'the log')
})

await t.test('invalid input is refused with a typed error', async t => {
  const { create, list } = await setUp()
  const good = { name: 'A key', permissions: ['topics:read'] }
  for (
    const change of [
      { name: undefined }, { name: '' }, { name: 'x'.repeat(101) }, { name: 'a\0b' }, { name: 7 },
      { permissions: undefined }, { permissions: [] }, { permissions: ['nonsense'] }, { permissions: ['topics:fly'] },
      { permissions: Array.from({ length: 101 }, () => 'topics:read') }, { permissions: 'topics:read' },
      { permissions: ['subscribe:a..b'] }, { permissions: ['x'.repeat(500)] },
      { environment: 'moon' }, { environment: null }, { environment: 'staging', permissions: ['users:read'] },
      { expiresAt: Date.now() - 1 }, { expiresAt: 0 }, { expiresAt: 1.5 }, { expiresAt: 1e300 }, { expiresAt: 'soon' },
      { expiresAt: null }, { key: 'rtk_mine' }, { createdBy: 'usr_other' }
    ]
  ) {
    t.equal(outcome(await create({ ...good, ...change })), '400 VALIDATION_FAILED', JSON.stringify(change))
  }
  for (const query of ['?limit=0', '?q=', `?q=${'x'.repeat(101)}`, '?active=maybe', '?cursor=nonsense', '?other=1']) {
    t.equal(outcome(await list(query)), '400 VALIDATION_FAILED', query)
  }
  t.same((await list()).body, [])
  t.equal(outcome(await root.get('/api/api-keys')), '400 APPLICATION_REQUIRED')
  const elsewhere = { headers: { 'x-application-id': 'app_none' } }
  t.equal(outcome(await root.post('/api/api-keys', good, elsewhere)), '404 APPLICATION_NOT_FOUND')
})

await t.test('nobody creates a key with more than they hold, and no token or key creates one', async t => {
  const { shop, create } = await setUp()
  const { body: role } = await root.post('/api/roles', {
    name: 'key-maker', permissions: [
      { resource: 'api-keys', action: 'create' }, { resource: 'topics', action: 'read' },
      { resource: 'events', action: 'read' }
    ]
  })
  const maker = await person(app, [role.id, shop.applicationId])
  for (
    const [permissions, expected] of [
      [['topics:read'], '201'],
      [['subscribe:order.*'], '201'],
      [['topics:read', 'topics:create'], '403 PERMISSION_NOT_HELD'],
      [['publish:order.*'], '403 PERMISSION_NOT_HELD'],
      [['service'], '403 PERMISSION_NOT_HELD'],
      [['admin'], '403 PERMISSION_NOT_HELD']
    ] as const
  ) t.equal(outcome(await create({ name: 'A key', permissions }, maker)), expected, permissions.join())
  t.equal(
    outcome(await create({ name: 'A key', permissions: ['admin'] })), '403 PERMISSION_NOT_HELD',
    'an administrator of one application does not hold what affects all'
  )
  t.equal(outcome(await create({ name: 'A key', permissions: ['admin'] }, root)), '201')

  const all = await createApiKey(root, shop.applicationId, { permissions: ['admin'] })
  const input = { name: 'A key', permissions: ['topics:read'] }
  t.equal(outcome(await by(all.key).post('/api/api-keys', input)), '403 SESSION_REQUIRED')
  t.equal(outcome(await by(shop.token(['admin'])).post('/api/api-keys', input)), '403 SESSION_REQUIRED')
  t.equal((await by(all.key).get('/api/api-keys')).status, 200, 'they may list keys')
  t.equal((await by(shop.token(['admin'])).remove(`/api/api-keys/${all.id}`)).status, 204, 'and revoke them')
})

await t.test('a key cannot change users, roles or invites, even if its creator can', async t => {
  const { shop, admin, create } = await setUp()
  const { applicationId } = shop
  for (const permission of ['users:create', 'users:update', 'users:delete', 'roles:create', 'invites:create']) {
    const { status, body } = await create({ name: 'A key', permissions: ['topics:read', permission] }, root)
    t.match({ status, body }, {
      status: 400, body: { code: 'VALIDATION_FAILED', details: [{ path: '/permissions/1' }] }
    }, permission)
  }
  const friend = await person(app)
  const email = `eve-${applicationId}@example.com`
  const { key } = await createApiKey(root, applicationId, { permissions: ['admin'] })
  const program = by(key)
  for (
    const [method, path, body] of [
      ['POST', '/api/users', { name: 'Eve', email, password, roles: [{ roleId: 'role_viewer' }] }],
      ['PATCH', `/api/users/${admin.id}`, { name: 'Eve' }],
      ['DELETE', `/api/users/${admin.id}`, undefined],
      ['POST', `/api/users/${admin.id}/roles`, { roleId: 'role_viewer', applicationId }],
      ['POST', `/api/users/${friend.id}/roles`, { roleId: 'role_viewer', applicationId }],
      ['DELETE', `/api/users/${admin.id}/roles/role_admin`, undefined],
      ['POST', '/api/roles', { name: 'eve', permissions: [{ resource: 'topics', action: 'read' }] }],
      ['POST', '/api/invites', { email, roleId: 'role_viewer', applicationId }],
      ['DELETE', '/api/invites/inv_none', undefined]
    ] as const
  ) t.equal(outcome(await program.request(method, path, body)), '403 PERMISSION_DENIED', `${method} ${path}`)
  for (const path of ['/api/users', '/api/roles', '/api/invites']) t.equal((await program.get(path)).status, 200, path)
})

await t.test('a token that a key issues can only read, so that it leaves nothing behind', async t => {
  const { shop } = await setUp()
  const { applicationId } = shop
  const issue = async (held: string[], granted: string[]) => {
    const { key } = await createApiKey(root, applicationId, { permissions: held })
    return outcome(await by(key).post('/auth/token', { applicationId, permissions: granted }))
  }
  for (
    const held of [
      ['admin'], ['service'], ['tokens:create', 'subscribe', 'publish', 'documents:read', 'webhooks:create']
    ]
  ) {
    t.equal(await issue(held, ['client']), '200', held.join())
    t.equal(await issue(held, ['subscribe:order.*', 'documents:read']), '200', held.join())
    for (
      const granted of [
        'webhooks:create', 'publish', 'events:create', 'tokens:create', 'documents:create', 'invites:create',
        'users:update', 'topics:read', 'service', 'admin'
      ]
    ) t.equal(await issue(held, ['subscribe', granted]), '403 PERMISSION_NOT_HELD', `${held.join()}: ${granted}`)
  }
  const narrow = ['tokens:create', 'subscribe:order.*']
  t.equal(await issue(narrow, ['subscribe:order.*']), '200')
  for (const more of ['subscribe', 'documents:read', 'client']) {
    t.equal(await issue(narrow, [more]), '403 PERMISSION_NOT_HELD', `no more than the key holds: ${more}`)
  }
  t.equal(await issue(['subscribe'], ['subscribe']), '403 PERMISSION_DENIED')
})

await t.test('a key is accepted as a bearer token only, letter by letter', async t => {
  const { shop } = await setUp()
  const { key } = await createApiKey(root, shop.applicationId, { permissions: ['topics:read'] })
  const status = async (headers: Record<string, string>) =>
    (await app.inject({ url: '/api/topics', headers })).statusCode
  t.equal(await status({ authorization: `Bearer ${key}` }), 200)
  t.equal(await status({ authorization: `bearer   ${key}` }), 200)
  const last = key.endsWith('a') ? 'b' : 'a'
  for (
    const headers of [
      { authorization: key }, { 'x-session-token': key }, { authorization: `Basic ${key}` },
      { authorization: `Bearer ${key.slice(0, -1)}${last}` }, { authorization: `Bearer ${key.toLowerCase()}` },
      { authorization: `Bearer ${key}${key}` }, { authorization: 'Bearer rtk_' },
      { authorization: `Bearer ${generateApiKey()}` }, { authorization: `Bearer ${key.slice(4)}` }
    ] as Record<string, string>[]
  ) t.equal(await status(headers), 401, JSON.stringify(headers))
  const anybody = requests(app)
  t.equal(outcome(await anybody.post('/auth/verify', { token: key })), '401 CREDENTIAL_INVALID', 'it is no JWT')
})

await t.test('a pinned key acts in its environment only', async t => {
  const { shop } = await setUp()
  const { key } = await createApiKey(root, shop.applicationId, { permissions: ['admin'], environment: 'staging' })
  const pinned = by(key)
  t.equal((await pinned.post('/api/topics', { name: 'a.b', description: 'd', owner: 'o' })).body.environment, 'staging')
  for (const [environment, expected] of [['staging', '200'], ['production', '403 ENVIRONMENT_FORBIDDEN']] as const) {
    t.equal(outcome(await pinned.get('/api/topics', { headers: { 'x-environment': environment } })), expected)
  }
  t.equal(outcome(await pinned.post('/api/services', { name: 'x' })), '403 ENVIRONMENT_FORBIDDEN')
  t.equal(outcome(await pinned.get('/api/api-keys')), '403 PERMISSION_DENIED')
  const { applicationId } = shop
  const { body: { token } } = await pinned.post('/auth/token', { applicationId, permissions: ['client'] })
  t.equal((await by(token).get('/api/auth/me')).body.environment, 'staging', 'a token that it issues is pinned as well')
})

await t.test('a key has no more than its creator, and ends with what the creator holds of it', async t => {
  const { shop, admin, list } = await setUp()
  const { applicationId } = shop
  const made = await createApiKey(admin, applicationId, { permissions: ['topics:read', 'topics:create', 'service'] })
  const program = by(made.key)
  const topic = (name: string) => program.post('/api/topics', { name, description: 'd', owner: 'o' })
  t.equal((await topic('one.one')).status, 201)
  t.equal((await program.post('/auth/token', { applicationId, permissions: ['client'] })).status, 200)

  const { body: role } = await root.post('/api/roles', {
    name: 'issuer', permissions: [
      { resource: 'topics', action: 'read' }, { resource: 'tokens', action: 'create' },
      { resource: 'events', action: 'read' }
    ]
  })
  await root.post(`/api/users/${admin.id}/roles`, { roleId: role.id, applicationId })
  await root.remove(`/api/users/${admin.id}/roles/role_admin?applicationId=${applicationId}`)
  t.equal(outcome(await topic('two.two')), '403 PERMISSION_DENIED')
  t.equal((await program.get('/api/topics')).status, 200)
  t.equal(
    outcome(await program.post('/auth/token', { applicationId, permissions: ['client'] })), '403 PERMISSION_NOT_HELD',
    'a client may read documents, which the creator no longer may'
  )
  t.equal((await program.post('/auth/token', { applicationId, permissions: ['subscribe'] })).status, 200)
  t.match((await program.get('/api/auth/me')).body.permissions, ['topics:read', 'events:read', 'tokens:create'])

  await root.remove(`/api/users/${admin.id}/roles/${role.id}?applicationId=${applicationId}`)
  t.equal(outcome(await program.get('/api/topics')), '401 CREDENTIAL_INVALID')
  const shown = async () => (await list('', root)).body as ApiKey[]
  t.match(await shown(), [{ id: made.id, active: false }])
  await root.post(`/api/users/${admin.id}/roles`, { roleId: 'role_admin', applicationId })
  t.equal((await topic('two.two')).status, 201, 'a role that is granted again counts again')
  t.match(await shown(), [{ id: made.id, active: true }])
  t.equal((await root.remove(`/api/users/${admin.id}`)).status, 204)
  t.equal(outcome(await program.get('/api/topics')), '401 CREDENTIAL_INVALID')
  t.same(await shown(), [])
})

await t.test('a key with an expiry ends then', async t => {
  const { shop, list } = await setUp()
  const expiresAt = Date.now() + 2000
  const { key, id } = await createApiKey(root, shop.applicationId, { permissions: ['topics:read'], expiresAt })
  t.equal((await by(key).get('/api/auth/me')).body.expiresAt, expiresAt)
  await eventually(async () => (await by(key).get('/api/topics')).status === 401)
  t.ok(Date.now() >= expiresAt)
  t.match((await list('?active=false')).body, [{ id, active: false, expiresAt }])
})

await t.test('a token that a key issues lasts at most a day, and no longer than the key', async t => {
  const { shop } = await setUp()
  const { applicationId } = shop
  const issue = async (fields: object) => {
    const { key } = await createApiKey(root, applicationId, { permissions: ['service'], ...fields })
    const { body } = await by(key).post('/auth/token', {
      applicationId, permissions: ['subscribe'], expiresIn: 31_536_000
    })
    return body.expiresAt as number
  }
  t.ok(await issue({}) <= Date.now() + day)
  const expiresAt = Date.now() + 60_000
  t.ok(await issue({ expiresAt }) <= expiresAt)
  const { key, id } = await createApiKey(root, applicationId, { permissions: ['service'] })
  t.equal(
    outcome(await by(key).post('/auth/token', { applicationId, permissions: ['admin'] })), '403 PERMISSION_NOT_HELD'
  )
  const { body: { token } } = await by(key).post('/auth/token', { applicationId, permissions: ['client'] })
  t.equal((await by(token).get('/api/auth/me')).body.subject, id)
})

await t.test('a list is filtered and paged', async t => {
  const { shop, list } = await setUp()
  const ids: string[] = []
  for (let i = 0; i < 5; i++) {
    const name = i % 2 === 0 ? `Import ${i}` : `100% sure_${i}`
    const { id } = await createApiKey(root, shop.applicationId, { name })
    ids.unshift(id)
  }
  await app.db.updateTable('api_keys').set({ expires_at: 1 }).where('id', '=', ids[0] ?? '').execute()
  const idsOf = async (query: string) => ((await list(query)).body as ApiKey[]).map(({ id }) => id)
  t.same(await idsOf(''), ids, 'newest first')
  t.same(await idsOf('?q=iMPORT'), [ids[0], ids[2], ids[4]])
  t.same(await idsOf('?q=100%25'), [ids[1], ids[3]], 'no character is special')
  t.same(await idsOf('?q=sure_'), [ids[1], ids[3]])
  const [{ prefix }] = (await list()).body
  t.same(await idsOf(`?q=${prefix}`), [ids[0]])
  t.same(await idsOf('?active=true'), ids.slice(1))
  t.same(await idsOf('?active=false'), ids.slice(0, 1))
  t.same(await idsOf('?active=true&q=import'), [ids[2], ids[4]])

  const first = await list('?limit=2&active=true')
  const cursor = String(first.headers['x-next-cursor'])
  const second = await list(`?limit=2&active=true&cursor=${cursor}`)
  t.same([...first.body, ...second.body].map(({ id }) => id), ids.slice(1))
  t.equal(second.headers['x-next-cursor'], undefined)
  t.equal(outcome(await list(`?limit=2&active=false&cursor=${cursor}`)), '400 VALIDATION_FAILED')
})

await t.test('an application has a limited number of keys, also under concurrent requests', async t => {
  const { shop, create } = await setUp()
  const { applicationId } = shop
  await app.pool.query(
    `insert into api_keys (id, key_hash, application_id, name, prefix, permissions, created_by, created_at, expires_at)
      select 'apk_' || n || $1, sha256((n || $1)::bytea), $1, 'k', 'rtk_', '{subscribe}', $2, 0,
        case when n = 1 then $4::bigint when n = 2 then $5::bigint end
      from generate_series(1, $3) as n`,
    [applicationId, root.id, apiKeysPerApplicationMax, Date.now() - 31 * day, Date.now() - 29 * day]
  )
  const input = { name: 'A key', permissions: ['subscribe'] }
  const outcomes = await Promise.all(Array.from({ length: 4 }, async () => outcome(await create(input))))
  t.same(outcomes.sort(), ['201', '409 API_KEY_LIMIT', '409 API_KEY_LIMIT', '409 API_KEY_LIMIT'],
    'a key that expired more than 30 days ago has made room for one')
  t.equal(
    (await app.db.selectFrom('api_keys').select('id').where('application_id', '=', applicationId).execute()).length,
    apiKeysPerApplicationMax
  )
})

await t.test('a key is its own author, client and caller', async t => {
  const { shop, admin, revoke } = await setUp()
  const { applicationId } = shop
  const [one, two] = [
    await createApiKey(admin, applicationId, { name: 'One', permissions: ['topics:create', 'publish'] }),
    await createApiKey(admin, applicationId, { name: 'Two', permissions: ['topics:create', 'publish'] })
  ]
  t.equal((await by(one.key).post('/api/topics', { name: 'a.b', description: 'd', owner: 'o' })).status, 201)
  t.equal((await revoke(two.id)).status, 204)
  const entries = await app.db.selectFrom('audit_log').selectAll().where('application_id', '=', applicationId)
    .orderBy('sequence').execute()
  t.match(entries, [
    {
      action: 'api_key.created', resource: 'api_key', resource_id: one.id, actor_kind: 'session', actor_id: admin.id,
      before: null, after: { name: 'One', prefix: one.prefix, permissions: ['topics:create', 'publish'] }
    },
    { action: 'api_key.created', resource_id: two.id },
    { action: 'topic.created', actor_kind: 'api-key', actor_id: one.id, actor_name: 'One' },
    { action: 'api_key.revoked', resource_id: two.id, actor_id: admin.id, before: { name: 'Two' }, after: null }
  ])
  const { body: shown } = await root.get(`/api/admin/audit?actor=${one.id}`)
  t.match(shown, [{ actor: { kind: 'api-key', id: one.id, name: 'One' }, action: 'topic.created' }])

  const three = await createApiKey(admin, applicationId, { permissions: ['publish'] })
  const publish = (key: string, payload: unknown) =>
    by(key).post('/api/topics/a.b/events', { payload }, { headers: { 'idempotency-key': 'same' } })
  t.equal((await publish(one.key, 1)).status, 201)
  t.equal((await publish(three.key, 2)).status, 201, 'each key has its own idempotency keys')
  t.equal(outcome(await publish(one.key, 2)), '409 IDEMPOTENCY_KEY_REUSED')
})
