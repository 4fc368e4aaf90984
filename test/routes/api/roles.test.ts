import t from 'tap'
import { build } from '../../build.ts'
import { person, requests } from '../../people.ts'
import { tenant } from '../../tenant.ts'

t.setTimeout(180_000)

const { app } = await build(t)
const root = await person(app, 'super_admin')
const outcome = ({ status, body }: { status: number, body?: { code?: string } }) => body?.code === undefined ? String(status) : `${status} ${body.code}`
const pairs = (...names: string[]) => names.map(name => ({ resource: name.split(':')[0], action: name.split(':')[1] }))
const named = (change: object = {}) => ({ name: `role-${Math.random().toString(36).slice(2)}`, description: 'd', permissions: pairs('topics:read'), ...change })

await t.test('create, list, change, delete', async t => {
  const created = await root.post('/api/roles', named({ name: 'auditor', permissions: pairs('audit:read', 'topics:read', 'topics:read') }))
  t.equal(created.status, 201)
  t.match(created.body, { id: /^role_/, name: 'auditor', builtIn: false, permissions: pairs('topics:read', 'audit:read') })
  const list = await root.get('/api/roles')
  t.same(list.body.map(({ name }: { name: string }) => name), ['admin', 'auditor', 'editor', 'super_admin', 'viewer'])
  t.ok(list.body.find(({ name }: { name: string }) => name === 'editor').permissions.length > 10, 'what the built-in ones hold is said')
  t.equal(outcome(await root.post('/api/roles', named({ name: 'auditor' }))), '409 ROLE_EXISTS')
  const { id } = created.body
  t.match((await root.patch(`/api/roles/${id}`, { permissions: pairs('keys:read') })).body, { name: 'auditor', permissions: pairs('keys:read') })
  t.equal(outcome(await root.patch(`/api/roles/${id}`, { name: 'viewer' })), '409 ROLE_EXISTS')
  for (const wrong of [{}, named({ permissions: pairs('topics:fly') }), named({ permissions: pairs('*:read') }), named({ name: 'A b' }), named({ extra: 1 })]) t.equal(outcome(await root.post('/api/roles', wrong)), '400 VALIDATION_FAILED')
  t.equal((await root.remove(`/api/roles/${id}`)).status, 204)
  t.equal(outcome(await root.remove(`/api/roles/${id}`)), '404 ROLE_NOT_FOUND')
  t.equal(outcome(await root.patch(`/api/roles/${id}`, { name: 'x' })), '404 ROLE_NOT_FOUND')
  for (const name of ['super_admin', 'admin', 'editor', 'viewer']) {
    t.equal(outcome(await root.patch(`/api/roles/role_${name}`, { permissions: pairs('keys:create') })), '409 ROLE_BUILT_IN')
    t.equal(outcome(await root.remove(`/api/roles/role_${name}`)), '409 ROLE_BUILT_IN')
  }
})

await t.test('a change counts from the next request of its holders on', async t => {
  const { body: role } = await root.post('/api/roles', named({ permissions: pairs('users:read') }))
  const ada = await person(app, role.id)
  t.equal((await ada.get('/api/users')).status, 200)
  await root.patch(`/api/roles/${role.id}`, { permissions: pairs('roles:read') })
  t.equal((await ada.get('/api/users')).status, 403)
  t.equal((await ada.get('/api/roles')).status, 200)
  await root.remove(`/api/roles/${role.id}`)
  t.equal((await ada.get('/api/roles')).status, 403)
})

await t.test('nobody puts into a role, or changes for its holders, what they do not hold there', async t => {
  const [shop, bank] = [await tenant(app), await tenant(app)]
  const { body: keeper } = await root.post('/api/roles', named({ permissions: pairs('roles:create', 'roles:update', 'roles:delete', 'roles:read', 'topics:read') }))
  const ada = await person(app, keeper.id)
  t.equal((await ada.post('/api/roles', named({ permissions: pairs('topics:read') }))).status, 201)
  t.equal(outcome(await ada.post('/api/roles', named({ permissions: pairs('topics:read', 'keys:create') }))), '403 PERMISSION_NOT_HELD')
  t.equal(outcome(await ada.patch(`/api/roles/${keeper.id}`, { permissions: pairs('roles:create', 'keys:create') })), '403 PERMISSION_NOT_HELD', 'not for themselves either')
  const { body: strong } = await root.post('/api/roles', named({ permissions: pairs('keys:delete') }))
  t.equal(outcome(await ada.patch(`/api/roles/${strong.id}`, { permissions: pairs('topics:read') })), '200', 'nobody has it')
  await root.patch(`/api/roles/${strong.id}`, { permissions: pairs('keys:delete') })
  await person(app, strong.id)
  t.equal(outcome(await ada.patch(`/api/roles/${strong.id}`, { permissions: pairs('topics:read') })), '403 PERMISSION_NOT_HELD', 'somebody has it')
  t.equal(outcome(await ada.remove(`/api/roles/${strong.id}`)), '403 PERMISSION_NOT_HELD')

  const token = requests(app, `Bearer ${shop.token(['admin'])}`)
  const { body: shopRole } = await token.post('/api/roles', named())
  await person(app, [shopRole.id, shop.applicationId])
  t.equal(outcome(await token.patch(`/api/roles/${shopRole.id}`, { permissions: pairs('topics:read', 'topics:create') })), '200')
  await person(app, [shopRole.id, bank.applicationId])
  t.equal(outcome(await token.patch(`/api/roles/${shopRole.id}`, { permissions: pairs('topics:delete') })), '403 PERMISSION_NOT_HELD', 'somebody has it elsewhere, too')
  t.equal(outcome(await token.remove(`/api/roles/${shopRole.id}`)), '403 PERMISSION_NOT_HELD')
  t.equal(outcome(await token.patch(`/api/roles/${keeper.id}`, { description: 'x' })), '403 PERMISSION_NOT_HELD', 'held everywhere')
})
