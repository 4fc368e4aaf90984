import t from 'tap'
import { build } from '../../support/build.ts'
import { person, requests } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'

t.setTimeout(600_000)

const { app } = await build(t)
const root = await person(app, 'super_admin')
const outcome = ({ status, body }: { status: number, body?: { code?: string } }) =>
  body?.code === undefined ? String(status) : `${status} ${body.code}`
const pairs = (...names: string[]) => names.map(name => ({ resource: name.split(':')[0], action: name.split(':')[1] }))
const named = (change: object = {}) => ({
  name: `role-${Math.random().toString(36).slice(2)}`,
  description: 'd',
  permissions: pairs('topics:read'),
  ...change
})

await t.test('a role is created, listed, changed and deleted', async t => {
  const created = await root.post(
    '/api/roles', named({ name: 'auditor', permissions: pairs('audit:read', 'topics:read', 'topics:read') })
  )
  t.equal(created.status, 201)
  t.match(created.body, {
    id: /^role_/, name: 'auditor', builtIn: false, permissions: pairs('topics:read', 'audit:read')
  })
  const list = await root.get('/api/roles')
  t.same(list.body.map(({ name }: { name: string }) => name), ['admin', 'auditor', 'editor', 'super_admin', 'viewer'])
  t.ok(
    list.body.find(({ name }: { name: string }) => name === 'editor').permissions.length > 10,
    'built-in roles are listed with their permissions'
  )
  t.equal(outcome(await root.post('/api/roles', named({ name: 'auditor' }))), '409 ROLE_EXISTS')
  const { id } = created.body
  t.match((await root.patch(`/api/roles/${id}`, { permissions: pairs('keys:read') })).body, {
    name: 'auditor',
    permissions: pairs('keys:read')
  })
  t.equal(outcome(await root.patch(`/api/roles/${id}`, { name: 'viewer' })), '409 ROLE_EXISTS')
  for (
    const wrong of [
      {}, named({ permissions: pairs('topics:fly') }), named({ permissions: pairs('*:read') }), named({ name: 'A b' }),
      named({ extra: 1 })
    ]
  ) t.equal(outcome(await root.post('/api/roles', wrong)), '400 VALIDATION_FAILED')
  t.equal((await root.remove(`/api/roles/${id}`)).status, 204)
  t.equal(outcome(await root.remove(`/api/roles/${id}`)), '404 ROLE_NOT_FOUND')
  t.equal(outcome(await root.patch(`/api/roles/${id}`, { name: 'x' })), '404 ROLE_NOT_FOUND')
  for (const name of ['super_admin', 'admin', 'editor', 'viewer']) {
    t.equal(
      outcome(await root.patch(`/api/roles/role_${name}`, { permissions: pairs('keys:create') })),
      '409 ROLE_BUILT_IN'
    )
    t.equal(outcome(await root.remove(`/api/roles/role_${name}`)), '409 ROLE_BUILT_IN')
  }
})

await t.test('a change takes effect with the next request of each holder', async t => {
  const { body: role } = await root.post('/api/roles', named({ permissions: pairs('users:read') }))
  const ada = await person(app, role.id)
  t.equal((await ada.get('/api/users')).status, 200)
  await root.patch(`/api/roles/${role.id}`, { permissions: pairs('roles:read') })
  t.equal((await ada.get('/api/users')).status, 403)
  t.equal((await ada.get('/api/roles')).status, 200)
  await root.remove(`/api/roles/${role.id}`)
  t.equal((await ada.get('/api/roles')).status, 403)
})

await t.test('only a session that holds all of a role everywhere can create, change or delete it', async t => {
  const shop = await tenant(app)
  const { body: keeper } = await root.post(
    '/api/roles',
    named({ permissions: pairs('roles:create', 'roles:update', 'roles:delete', 'roles:read', 'topics:read') })
  )
  const ada = await person(app, keeper.id, ['admin', shop.applicationId])
  const { body: own } = await ada.post('/api/roles', named({ permissions: pairs('topics:read') }))
  t.equal(
    outcome(await ada.post('/api/roles', named({ permissions: pairs('topics:read', 'keys:create') }))),
    '403 PERMISSION_NOT_HELD'
  )
  t.equal(
    outcome(await ada.post('/api/roles', named({ permissions: pairs('topics:create') }))), '403 PERMISSION_NOT_HELD',
    'holding it in one application is not enough'
  )
  t.equal(
    outcome(await ada.patch(`/api/roles/${own.id}`, { permissions: pairs('topics:read', 'topics:create') })),
    '403 PERMISSION_NOT_HELD',
    'after the change as well'
  )
  t.equal(
    outcome(await ada.patch(`/api/roles/${keeper.id}`, { permissions: pairs('roles:create', 'keys:create') })),
    '403 PERMISSION_NOT_HELD',
    'not for themselves either'
  )
  const { body: strong } = await root.post('/api/roles', named({ permissions: pairs('keys:delete') }))
  for (const change of [{ permissions: pairs('topics:read') }, { name: 'other-name' }, { description: 'x' }]) {
    t.equal(
      outcome(await ada.patch(`/api/roles/${strong.id}`, change)),
      '403 PERMISSION_NOT_HELD',
      'before the change as well, even if no user has the role'
    )
  }
  t.equal(outcome(await ada.remove(`/api/roles/${strong.id}`)), '403 PERMISSION_NOT_HELD')
  t.equal(outcome(await ada.patch(`/api/roles/${own.id}`, { description: 'x' })), '200')
  t.equal((await ada.remove(`/api/roles/${own.id}`)).status, 204)
})

await t.test('a token cannot change a role, wherever the role is or may be assigned', async t => {
  const [shop, bank] = [await tenant(app), await tenant(app)]
  const token = requests(app, `Bearer ${shop.token(['admin'])}`)
  const everything =
    (await root.get('/api/roles')).body.find(({ name }: { name: string }) => name === 'super_admin').permissions
  t.equal(everything.length, 88)
  t.equal(outcome(await token.post('/api/roles', named())), '403 PERMISSION_NOT_HELD')
  t.equal(
    outcome(await token.post('/api/roles', named({ permissions: [] }))), '403 PERMISSION_NOT_HELD', 'nor an empty one'
  )
  const inPlaces: [string, (roleId: string) => Promise<unknown>][] = [
    ['nowhere', async () => {}],
    ['in its own application', roleId => person(app, [roleId, shop.applicationId])],
    ['in another application', roleId => person(app, [roleId, bank.applicationId])],
    ['everywhere', roleId => person(app, roleId)],
    [
      'in an invite to its own application',
      roleId => root.post('/api/invites', { email: 'a@example.com', roleId, applicationId: shop.applicationId })
    ],
    [
      'in an invite to another application',
      roleId => root.post('/api/invites', { email: 'a@example.com', roleId, applicationId: bank.applicationId })
    ],
    ['in an invite to everything', roleId => root.post('/api/invites', { email: 'a@example.com', roleId })]
  ]
  for (const [where, give] of inPlaces) {
    const { body: role } = await root.post('/api/roles', named())
    await give(role.id)
    for (
      const change of [{ permissions: everything }, { permissions: [] }, { name: 'renamed' }, { description: 'x' }]
    ) {
      t.equal(
        outcome(await token.patch(`/api/roles/${role.id}`, change)),
        '403 PERMISSION_NOT_HELD',
        `a role that is assigned ${where}: ${Object.keys(change).join()}`
      )
    }
    t.equal(
      outcome(await token.remove(`/api/roles/${role.id}`)),
      '403 PERMISSION_NOT_HELD',
      `a role that is assigned ${where}`
    )
    t.match(
      (await root.get('/api/roles')).body.find(({ id }: { id: string }) => id === role.id), role, 'it is unchanged'
    )
  }
})
