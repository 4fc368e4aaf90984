import t from 'tap'
import { createApiKey } from '../../support/api-keys.ts'
import { build, listen } from '../../support/build.ts'
import { connectWs } from '../../support/clients.ts'
import { createDatabase } from '../../support/database.ts'
import { password, person, requests } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'
import { eventually } from '../../support/waiting.ts'

t.setTimeout(600_000)

const { app } = await build(t)
const root = await person(app, 'super_admin')
const outcome = ({ status, body }: { status: number, body?: { code?: string } }) =>
  body?.code === undefined ? String(status) : `${status} ${body.code}`
const grace = (change: object = {}) => ({
  name: 'Grace',
  email: `grace-${Math.random()}@example.com`,
  password,
  ...change
})

await t.test('a user is created, read, changed and deleted', async t => {
  const created = await root.post(
    '/api/users', grace({ email: 'Grace@example.com', roles: [{ roleId: 'role_viewer' }] })
  )
  t.equal(created.status, 201)
  t.match(created.body, {
    id: /^usr_/, email: 'Grace@example.com', name: 'Grace', mfaEnabled: false,
    roles: [{ roleId: 'role_viewer', name: 'viewer', applicationId: null }]
  })
  t.notMatch(created.text, /argon2|password/)
  const { id } = created.body
  t.same((await root.get(`/api/users/${id}`)).body, created.body)
  t.same((await root.get('/api/users?email=GRACE@example.com')).body, [created.body])
  t.equal(outcome(await root.post('/api/users', grace({ email: 'grace@EXAMPLE.com' }))), '409 USER_EXISTS')
  t.match((await root.patch(`/api/users/${id}`, { name: 'Rear Admiral' })).body, {
    name: 'Rear Admiral',
    email: 'Grace@example.com'
  })
  t.match(
    (await root.patch(`/api/users/${id}`, { email: 'GRACE@example.com' })).body,
    { email: 'GRACE@example.com' },
    'her own address in another case'
  )
  t.equal(outcome(await root.patch(`/api/users/${id}`, { email: root.email })), '409 USER_EXISTS')
  t.equal(outcome(await root.remove(`/api/users/${id}`)), '204')
  for (
    const answer of [
      await root.get(`/api/users/${id}`),
      await root.patch(`/api/users/${id}`, { name: 'x' }),
      await root.remove(`/api/users/${id}`),
      await root.post(`/api/users/${id}/roles`, { roleId: 'role_viewer' }),
      await root.post(`/api/users/${id}/change-password`, { newPassword: password }),
      await root.post(`/api/users/${id}/mfa/disable`, {})
    ]
  ) {
    t.equal(outcome(answer), '404 USER_NOT_FOUND')
  }
  for (
    const wrong of [
      {}, grace({ email: 'x' }), grace({ password: 'short' }), grace({ roles: [{}] }), grace({ extra: 1 }),
      grace({ name: 'a\0' })
    ]
  ) {
    t.equal(outcome(await root.post('/api/users', wrong)), '400 VALIDATION_FAILED', JSON.stringify(wrong))
  }
  t.equal(outcome(await root.post('/api/users', grace({ roles: [{ roleId: 'role_none' }] }))), '404 ROLE_NOT_FOUND')
  t.equal(
    outcome(await root.post('/api/users', grace({ roles: [{ roleId: 'role_viewer', applicationId: 'app_none' }] }))),
    '404 APPLICATION_NOT_FOUND'
  )
})

await t.test('users are listed in pages', async t => {
  for (let i = 0; i < 3; i++) await root.post('/api/users', grace())
  const seen: string[] = []
  for (let cursor: string | undefined = ''; cursor !== undefined;) {
    const page = await root.get(`/api/users?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`)
    t.ok(page.body.length <= 2)
    seen.push(...page.body.map(({ id }: { id: string }) => id))
    cursor = page.headers['x-next-cursor'] as string | undefined
  }
  t.equal(new Set(seen).size, seen.length)
  t.equal(seen.length, (await app.db.selectFrom('users').select('id').execute()).length)
})

await t.test('users change their password, administrators change those of others, and sessions end', async t => {
  const ada = await person(app, 'viewer')
  const other = await app.sessions.create(ada.id, { address: undefined, userAgent: undefined })
  const url = `/api/users/${ada.id}/change-password`
  t.equal(outcome(await ada.post(url, { newPassword: 'another long one' })), '403 PASSWORD_WRONG')
  t.equal(
    outcome(await ada.post(url, { currentPassword: 'wrong', newPassword: 'another long one' })), '403 PASSWORD_WRONG'
  )
  t.equal(outcome(await ada.post(url, { currentPassword: password, newPassword: 'short' })), '400 VALIDATION_FAILED')
  t.equal(outcome(await ada.post(url, { currentPassword: password, newPassword: 'another long one' })), '204')
  t.equal((await ada.get('/api/auth/me')).status, 401)
  t.equal((await requests(app, other.token).get('/api/auth/me')).status, 401)
  const anybody = requests(app)
  t.equal(outcome(await anybody.post('/api/auth/login', { email: ada.email, password })), '401 LOGIN_FAILED')
  t.equal((await anybody.post('/api/auth/login', { email: ada.email, password: 'another long one' })).status, 200)

  const viewer = await person(app, 'viewer')
  t.equal(
    outcome(await viewer.post(url, { newPassword: 'a third long one' })), '404 USER_NOT_FOUND',
    'a caller who may not see her'
  )
  t.equal(outcome(await root.post(url, { newPassword: 'a third long one' })), '204')
  t.equal((await anybody.post('/api/auth/login', { email: ada.email, password: 'a third long one' })).status, 200)
})

await t.test('guessing the current password is slowed down, apart from failed logins', async t => {
  const ada = await person(app, 'viewer')
  const url = `/api/users/${ada.id}/change-password`
  for (let i = 0; i < 5; i++) {
    t.equal((await ada.post(url, { currentPassword: 'wrong', newPassword: password })).status, 403)
  }
  // Each failure doubles the delay. The first one is a second, which an attempt may take here.
  const refused = await eventually(async () => {
    const answer = await ada.post(url, { currentPassword: 'wrong', newPassword: password })
    return answer.status !== 403 && answer
  })
  t.equal(outcome(refused), '429 RATE_LIMITED')
  t.ok(Number(refused.headers['retry-after']) >= 1)
  const anybody = requests(app)
  t.equal((await anybody.post('/api/auth/login', { email: ada.email, password })).status, 200)

  const grace = await person(app, 'viewer')
  await eventually(async () => {
    for (let i = 0; i < 8; i++) await anybody.post('/api/auth/login', { email: grace.email, password: 'wrong' })
    return outcome(await anybody.post('/api/auth/login', { email: grace.email, password })) === '429 RATE_LIMITED'
  })
  t.equal((await grace.get('/api/auth/me')).status, 200, 'open sessions are not affected')
  t.equal(
    (await grace.post(`/api/users/${grace.id}/change-password`, {
      currentPassword: password,
      newPassword: 'another long one'
    })).status,
    204
  )
})

await t.test('a principal cannot grant, remove or change more than it holds', async t => {
  const { applicationId } = await tenant(app)
  const admin = await person(app, 'admin')
  const editor = await person(app, 'editor')
  const auditor = await root.post('/api/roles', {
    name: 'key-rotator', permissions: [{ resource: 'keys', action: 'update' }]
  })
  t.equal(auditor.status, 201)

  t.equal(
    outcome(await admin.post(`/api/users/${admin.id}/roles`, { roleId: 'role_super_admin' })),
    '403 PERMISSION_NOT_HELD'
  )
  t.equal(
    outcome(await admin.post(`/api/users/${editor.id}/roles`, { roleId: 'role_super_admin', applicationId })),
    '403 PERMISSION_NOT_HELD'
  )
  t.equal(
    outcome(await admin.post(`/api/users/${editor.id}/roles`, { roleId: auditor.body.id })),
    '403 PERMISSION_NOT_HELD'
  )
  t.equal(
    outcome(await admin.post('/api/users', grace({ roles: [{ roleId: 'role_super_admin' }] }))),
    '403 PERMISSION_NOT_HELD'
  )
  t.equal(
    outcome(await admin.post(`/api/users/${root.id}/change-password`, { newPassword: 'taken over now' })),
    '403 PERMISSION_NOT_HELD'
  )
  t.equal(
    outcome(await admin.patch(`/api/users/${root.id}`, { email: 'eve@example.com' })),
    '403 PERMISSION_NOT_HELD',
    'a password reset would follow'
  )
  t.equal(outcome(await admin.remove(`/api/users/${root.id}`)), '403 PERMISSION_NOT_HELD')
  t.equal(outcome(await admin.remove(`/api/users/${root.id}/roles/role_super_admin`)), '403 PERMISSION_NOT_HELD')
  t.equal(outcome(await admin.post(`/api/users/${root.id}/mfa/disable`, {})), '403 PERMISSION_NOT_HELD')
  t.equal(outcome(await admin.post(`/api/users/${root.id}/mfa/setup`)), '403 SESSION_REQUIRED')
  t.equal((await root.get('/api/auth/me')).status, 200)

  t.equal((await admin.post(`/api/users/${editor.id}/roles`, { roleId: 'role_viewer' })).status, 201)
  t.equal(outcome(await admin.post(`/api/users/${editor.id}/roles`, { roleId: 'role_viewer' })), '409 ROLE_ASSIGNED')
  t.equal((await admin.post(`/api/users/${editor.id}/roles`, { roleId: 'role_admin', applicationId })).status, 201)
  t.equal((await admin.remove(`/api/users/${editor.id}/roles/role_admin?applicationId=${applicationId}`)).status, 204)
  t.equal(outcome(await admin.remove(`/api/users/${editor.id}/roles/role_admin`)), '404 ROLE_NOT_FOUND')
  t.equal((await editor.get('/api/topics', { headers: { 'x-application-id': applicationId } })).status, 200)
  t.equal((await admin.remove(`/api/users/${editor.id}/roles/role_viewer`)).status, 204)
  t.equal((await admin.remove(`/api/users/${editor.id}/roles/role_editor`)).status, 204)
  t.equal(
    (await editor.get('/api/topics', { headers: { 'x-application-id': applicationId } })).status, 403,
    'from the next request on'
  )
  t.equal((await admin.remove(`/api/users/${editor.id}`)).status, 204)
})

await t.test('an administrator of one application sees and changes only its users', async t => {
  const [shop, bank] = [await tenant(app), await tenant(app)]
  const shopAdmin = await person(app, ['admin', shop.applicationId])
  const shopViewer = await person(app, ['viewer', shop.applicationId])
  const both = await person(app, ['viewer', shop.applicationId], ['editor', bank.applicationId])
  const banker = await person(app, ['viewer', bank.applicationId])
  const token = { ...requests(app, `Bearer ${shop.token(['admin'])}`), who: 'a token' }

  for (const { who, ...ruler } of [{ ...shopAdmin, who: 'a session' }, token]) {
    // Tokens never change passwords or second factors.
    const hidden = who === 'a session' ? '404 USER_NOT_FOUND' : '403 SESSION_REQUIRED'
    const list = await ruler.get('/api/users')
    t.same(list.body.map(({ id }: { id: string }) => id).sort(), [shopAdmin.id, shopViewer.id, both.id].sort(), who)
    t.notOk(list.text.includes(bank.applicationId), 'the list does not reveal roles in other applications')
    const ofShop = await ruler.get(`/api/users?applicationId=${shop.applicationId}`)
    t.same(ofShop.body, list.body)
    for (const applicationId of [bank.applicationId, 'app_none']) {
      const { status, body } = await ruler.get(`/api/users?applicationId=${applicationId}`)
      t.same([status, body], [200, []], `${who} filters by an application that it cannot see`)
    }
    t.match((await ruler.get(`/api/users/${both.id}`)).body.roles, [{
      name: 'viewer',
      applicationId: shop.applicationId
    }])
    for (const stranger of [banker, root]) {
      t.equal(outcome(await ruler.get(`/api/users/${stranger.id}`)), '404 USER_NOT_FOUND')
      t.equal(outcome(await ruler.patch(`/api/users/${stranger.id}`, { name: 'x' })), '404 USER_NOT_FOUND')
      t.equal(outcome(await ruler.remove(`/api/users/${stranger.id}`)), '404 USER_NOT_FOUND')
      t.equal(
        outcome(await ruler.post(`/api/users/${stranger.id}/change-password`, { newPassword: 'taken over now' })),
        hidden
      )
      t.equal(
        outcome(
          await ruler.post(`/api/users/${stranger.id}/roles`, {
            roleId: 'role_viewer',
            applicationId: shop.applicationId
          })
        ),
        '404 USER_NOT_FOUND'
      )
      t.equal(outcome(await ruler.post(`/api/users/${stranger.id}/mfa/disable`, {})), hidden)
    }
    t.equal(
      outcome(await ruler.patch(`/api/users/${both.id}`, { email: 'eve@example.com' })),
      '403 PERMISSION_NOT_HELD',
      'who has a role elsewhere'
    )
    t.equal(outcome(await ruler.remove(`/api/users/${both.id}`)), '403 PERMISSION_NOT_HELD')
    t.equal(
      outcome(await ruler.post(`/api/users/${shopViewer.id}/roles`, { roleId: 'role_viewer' })),
      '403 PERMISSION_NOT_HELD',
      'not everywhere'
    )
    t.equal(
      outcome(
        await ruler.post(`/api/users/${shopViewer.id}/roles`, {
          roleId: 'role_viewer',
          applicationId: bank.applicationId
        })
      ),
      '403 APPLICATION_FORBIDDEN'
    )
    t.equal(outcome(await ruler.post('/api/users', grace())), '400 VALIDATION_FAILED', "a user who would be nobody's")
    t.equal(
      outcome(await ruler.post('/api/users', grace({ roles: [{ roleId: 'role_super_admin' }] }))),
      '403 PERMISSION_NOT_HELD'
    )
    const made = await person(app, ['editor', shop.applicationId])
    t.equal(
      (await ruler.post(`/api/users/${made.id}/roles`, { roleId: 'role_viewer', applicationId: shop.applicationId }))
        .status,
      201
    )
    t.equal((await ruler.remove(`/api/users/${made.id}/roles/role_viewer`)).status, 204)
    t.equal((await ruler.patch(`/api/users/${made.id}`, { name: 'Renamed' })).status, 200)
    t.equal((await ruler.remove(`/api/users/${made.id}`)).status, 204)
    t.same(
      (await ruler.get('/api/admin/audit')).body.filter?.((entry: { applicationId: string }) =>
        entry.applicationId !== shop.applicationId
      ) ?? [],
      []
    )
  }
})

await t.test('no token or API key changes a password or second factor', async t => {
  const shop = await tenant(app)
  const admin = await person(app, ['admin', shop.applicationId])
  const viewer = await person(app, ['viewer', shop.applicationId])
  const { key } = await createApiKey(root, shop.applicationId, { permissions: ['admin'] })
  const { key: own } = await createApiKey(admin, shop.applicationId, { permissions: ['users:read', 'service'] })
  await app.db.updateTable('users').set({ mfa_confirmed_at: 1 }).where('id', '=', viewer.id).execute()
  for (const credential of [shop.token(['admin']), shop.token(['client']), key, own]) {
    const program = requests(app, `Bearer ${credential}`)
    for (const id of [admin.id, viewer.id, root.id, 'usr_none']) {
      for (
        const [path, body] of [
          ['change-password', { newPassword: 'taken over now' }],
          ['change-password', { currentPassword: password, newPassword: 'taken over now' }],
          ['mfa/disable', {}],
          ['mfa/disable', { currentPassword: password, code: '000000' }],
          ['mfa/setup', { currentPassword: password }],
          ['mfa/confirm', { code: '000000' }]
        ] as const
      ) t.equal(outcome(await program.post(`/api/users/${id}/${path}`, body)), '403 SESSION_REQUIRED', path)
    }
    const update = outcome(await program.patch(`/api/users/${viewer.id}`, { email: 'eve@example.com' }))
    t.match(update, /^403 PERMISSION_/, 'a password reset would follow')
  }
  t.match((await root.get(`/api/users/${viewer.id}`)).body, { mfaEnabled: true })
  for (const { email } of [admin, root]) {
    t.equal((await requests(app).post('/api/auth/login', { email, password })).status, 200)
  }
})

await t.test('GET /api/auth/me lists what a role grants where it is assigned', async t => {
  const { applicationId } = await tenant(app)
  const ada = await person(app, 'admin', ['admin', applicationId])
  const { body: { roles } } = await ada.get('/api/auth/me')
  const of = (place: string | null): string[] =>
    roles.find((role: { applicationId: string | null }) => role.applicationId === place).permissions
  const platformWide = ['applications:create', 'roles:create', 'roles:update', 'roles:delete', 'keys:read']
  t.same(of(null).filter(name => platformWide.includes(name)).sort(), [...platformWide].sort())
  t.same(of(applicationId).filter(name => platformWide.includes(name)), [])
  t.same(of(null).filter(name => !platformWide.includes(name)), of(applicationId))
})

await t.test("a deleted user's sockets are closed", async t => {
  const { applicationId } = await tenant(app)
  const ada = await person(app, 'viewer')
  const client = await connectWs(await listen(app), { token: ada.token, applicationId })
  t.equal((await root.remove(`/api/users/${ada.id}`)).status, 204)
  t.match(await client.closed, { code: 4403, reason: 'CREDENTIAL_REVOKED' })
})

await t.test('the last super_admin cannot be removed, even by concurrent requests on two nodes', async t => {
  const databaseUrl = await createDatabase(t)
  const nodes = await Promise.all([build(t, { databaseUrl }), build(t, { databaseUrl })])
  const [first, second] = nodes.map(({ app }) => app) as [typeof app, typeof app]
  const only = await person(first, 'super_admin')
  t.equal(outcome(await only.remove(`/api/users/${only.id}`)), '409 LAST_SUPER_ADMIN')
  t.equal(outcome(await only.remove(`/api/users/${only.id}/roles/role_super_admin`)), '409 LAST_SUPER_ADMIN')
  t.equal(outcome(await only.remove('/api/roles/role_super_admin')), '409 ROLE_BUILT_IN')
  t.equal(outcome(await only.patch('/api/roles/role_super_admin', { permissions: [] })), '409 ROLE_BUILT_IN')
  t.equal((await only.get('/api/auth/me')).status, 200, 'nothing has changed')

  for (let round = 0; round < 8; round++) {
    const admins = await Promise.all([
      person(first, 'super_admin'), person(second, 'super_admin'), person(first, 'super_admin')
    ])
    await first.db.deleteFrom('role_assignments').where('user_id', 'not in', admins.map(({ id }) => id)).execute()
    // Each is removed by another one, so that the caller may lose the role as well.
    const answers = await Promise.all(admins.flatMap(({ id }, i) => {
      const by = requests(i % 2 === 0 ? first : second, admins[(i + 1) % 3]?.token)
      return [by.remove(`/api/users/${id}/roles/role_super_admin`), by.remove(`/api/users/${id}`)]
    }))
    const left = await first.db.selectFrom('role_assignments').select('user_id').where(
      'role_id', '=', 'role_super_admin'
    ).where('application_id', 'is', null).execute()
    t.ok(left.length >= 1, `${left.length} left after ${answers.map(outcome).join(', ')}`)
  }
})

t.test('the users of an application are on the first page, however many others there are', async t => {
  const { app } = await build(t)
  const [shop, other] = [await tenant(app), await tenant(app)]
  await app.pool.query(
    `insert into users (id, email, email_canonical, name, password_hash, created_at, updated_at)
    select 'usr_' || n, 'u' || n || '@example.com', 'u' || n || '@example.com', 'User', '', n, 0
    from generate_series(1, 20001) n`)
  await app.pool.query(`insert into role_assignments (user_id, role_id, application_id)
    select 'usr_' || n, 'role_viewer', $1 from generate_series(1, 20001) n`, [other.applicationId])
  const member = await person(app, ['viewer', shop.applicationId])
  for (const { get } of [await person(app, ['admin', shop.applicationId]), await person(app, 'super_admin')]) {
    const { body } = await get(`/api/users?applicationId=${shop.applicationId}&sort=createdAt`)
    t.ok(body.some(({ id }: { id: string }) => id === member.id), JSON.stringify(body))
    const { body: viewers } = await get(`/api/users?applicationId=${shop.applicationId}&roleId=role_viewer`)
    t.same(viewers.map(({ id }: { id: string }) => id), [member.id])
  }
})
