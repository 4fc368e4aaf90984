import t from 'tap'
import { createKysely, createPool } from '../../../db/connection.ts'
import { parsePermissions, permissionNames, permissionsOfRole } from '../../../src/identity/access/permission-set.ts'
import {
  applicationsWith, authorize, authorizeGrant, coversAt, authorizeTopic, isAllowed, isEntityOwning, reachesApplication,
  type PermissionName
} from '../../../src/identity/access/permissions.ts'
import { createDatabase } from '../../support/database.ts'
import { sessionPrincipal, tokenPrincipal } from '../../support/principals.ts'
import { codeOf } from '../../support/refusal.ts'

const scope = { applicationId: 'app_a', environment: 'development' } as const
const elsewhere = { applicationId: 'app_b', environment: 'development' } as const
const names = (...list: PermissionName[]) => list

t.test('an admin token has every permission in its application and none in another', async t => {
  const admin = tokenPrincipal(['admin'])
  t.ok(permissionNames.every(name => isAllowed(admin, scope, name)))
  t.notOk(permissionNames.some(name => isAllowed(admin, elsewhere, name)))
})

t.test('a service token can write, a client token can only read', async t => {
  const service = tokenPrincipal(['service'])
  for (
    const name of names(
      'topics:read', 'schemas:read', 'events:create', 'events:read', 'documents:create', 'documents:update',
      'documents:delete', 'socket:create', 'tokens:create'
    )
  ) t.ok(isAllowed(service, scope, name), name)
  for (
    const name of names(
      'topics:create', 'schemas:create', 'mappings:read', 'users:read', 'keys:read', 'applications:read',
      'webhooks:read'
    )
  ) t.notOk(isAllowed(service, scope, name), name)
  const client = tokenPrincipal(['client'])
  t.same(permissionNames.filter(name => isAllowed(client, scope, name)), ['documents:read', 'events:read'])
})

t.test('a pinned token has permissions in its environment only, and no global ones', async t => {
  const pinned = tokenPrincipal(['admin'], { environment: 'staging' })
  t.ok(isAllowed(pinned, { ...scope, environment: 'staging' }, 'topics:create'))
  t.notOk(isAllowed(pinned, { ...scope, environment: 'production' }, 'topics:create'))
  t.notOk(isAllowed(pinned, null, 'users:read'))
  t.notOk(isAllowed(pinned, { applicationId: 'app_a' }, 'applications:delete'))
  t.ok(isAllowed(pinned, { applicationId: 'app_a' }, 'applications:read'))
})

t.test('a verb applies to its topics only', async t => {
  const reader = tokenPrincipal(['subscribe:order.*', 'publish:chat.**'])
  t.ok(isAllowed(reader, scope, 'events:read'), 'the route admits it')
  t.notOk(isAllowed(reader, scope, 'topics:read'))
  t.equal(await codeOf(() => authorizeTopic(reader, scope, 'subscribe', 'order.created')), undefined)
  t.equal(await codeOf(() => authorizeTopic(reader, scope, 'subscribe', 'order.*')), undefined)
  t.equal(await codeOf(() => authorizeTopic(reader, scope, 'subscribe', 'order.**')), 'PERMISSION_DENIED')
  t.equal(await codeOf(() => authorizeTopic(reader, scope, 'subscribe', 'chat.room')), 'PERMISSION_DENIED')
  t.equal(await codeOf(() => authorizeTopic(reader, scope, 'publish', 'chat.room.1')), undefined)
  t.equal(await codeOf(() => authorizeTopic(reader, scope, 'publish', 'order.created')), 'PERMISSION_DENIED')
  t.equal(await codeOf(() => authorizeTopic(reader, elsewhere, 'subscribe', 'order.created')), 'PERMISSION_DENIED')
  t.notOk(isAllowed(tokenPrincipal(['subscribe']), scope, 'events:create'))
  t.equal(await codeOf(() => authorizeTopic(tokenPrincipal(['events:read']), scope, 'subscribe', '**')), undefined)
})

t.test('an unknown permission grants nothing', async t => {
  for (
    const text of [
      '*', 'admin:read', 'topics', 'topics:*', 'constructor', '__proto__', 'subscribe:', 'subscribe:a..b', 'Admin',
      'hasOwnProperty'
    ]
  ) {
    t.notOk(permissionNames.some(name => isAllowed(tokenPrincipal([text]), scope, name)), text)
  }
})

t.test('the built-in roles have their documented permissions', async t => {
  t.ok(permissionNames.every(name => isAllowed(sessionPrincipal('super_admin'), scope, name)))
  const admin = sessionPrincipal('admin')
  for (const name of names('topics:delete', 'mappings:create', 'users:create', 'tokens:create', 'events:create')) {
    t.ok(isAllowed(admin, scope, name), name)
  }
  for (const name of names('keys:read', 'roles:create', 'audit:read', 'invites:delete', 'deployments:delete')) {
    t.ok(isAllowed(admin, scope, name), name)
  }
  for (const name of names('keys:create', 'keys:update', 'audit:delete', 'applications:delete')) {
    t.notOk(isAllowed(admin, scope, name), name)
  }
  const editor = sessionPrincipal('editor')
  for (
    const name of names(
      'topics:delete', 'schemas:update', 'mappings:delete', 'webhooks:create', 'documents:delete', 'deployments:update',
      'users:read', 'alerts:read', 'events:create'
    )
  ) {
    t.ok(isAllowed(editor, scope, name), name)
  }
  for (
    const name of names(
      'deployments:delete', 'users:create', 'invites:read', 'roles:read', 'tokens:create', 'api-keys:read',
      'debugger:create', 'socket:create', 'alerts:update', 'access:update', 'applications:update'
    )
  ) {
    t.notOk(isAllowed(editor, scope, name), name)
  }
  const viewer = sessionPrincipal('viewer')
  t.ok(permissionNames.filter(name => isAllowed(viewer, scope, name)).every(name => name.endsWith(':read')))
  t.ok(isAllowed(viewer, scope, 'topics:read'))
  t.notOk(isAllowed(viewer, scope, 'keys:read'))
})

t.test('a role for one application applies there and grants nothing outside it', async t => {
  const admin = sessionPrincipal(['admin', 'app_a'])
  t.ok(isAllowed(admin, scope, 'topics:create'))
  t.notOk(isAllowed(admin, elsewhere, 'topics:read'))
  t.ok(isAllowed(admin, null, 'users:create'), 'for the users of its application')
  t.notOk(coversAt(admin, null, parsePermissions(['users:create'])), 'not of everybody\'s')
  t.same(applicationsWith(admin, 'users:read'), ['app_a'])
  t.same(applicationsWith(sessionPrincipal('admin'), 'users:read'), 'all')
  t.same(applicationsWith(tokenPrincipal(['admin']), 'users:read'), ['app_a'], 'a token belongs to one application')
  t.notOk(coversAt(tokenPrincipal(['admin']), null, parsePermissions(['users:read'])))
  t.notOk(isAllowed(admin, null, 'applications:create'))
  t.ok(isAllowed(admin, null, 'applications:read'), 'for its own application')
  t.ok(reachesApplication(admin, 'app_a'))
  t.notOk(reachesApplication(admin, 'app_b'))
  const mixed = sessionPrincipal('viewer', ['editor', 'app_a'])
  t.ok(isAllowed(mixed, scope, 'topics:create'))
  t.ok(isAllowed(mixed, elsewhere, 'topics:read'))
  t.notOk(isAllowed(mixed, elsewhere, 'topics:create'))
})

t.test("a custom role cannot take a built-in role's name", async t => {
  const custom = permissionsOfRole({
    name: 'super_admin', isBuiltIn: false,
    permissions: [{ resource: 'topics', action: 'read' }, { resource: 'nonsense', action: 'read' }]
  })
  t.same(custom.toStrings(), ['topics:read'])
})

t.test('the refusal names the missing permission', async t => {
  try {
    authorize(tokenPrincipal(['client']), scope, 'topics:create')
    t.fail('it was allowed')
  } catch (error) {
    t.match(error, { message: 'Permission required: topics:create', code: 'PERMISSION_DENIED' })
  }
})

t.test('a principal cannot grant more than it holds', async t => {
  const grant = (principal: Parameters<typeof authorizeGrant>[0], ...permissions: string[]) =>
    codeOf(() => authorizeGrant(principal, { applicationId: 'app_a' }, permissions))
  const denied = 'PERMISSION_NOT_HELD'
  t.equal(await grant(sessionPrincipal('super_admin'), 'admin', 'service', 'subscribe:**'), undefined)
  t.equal(await grant(tokenPrincipal(['admin']), 'admin'), undefined)
  t.equal(await grant(sessionPrincipal('admin'), 'service', 'users:read'), undefined)
  t.equal(await grant(sessionPrincipal('admin'), 'admin'), denied)
  t.equal(await grant(sessionPrincipal(['admin', 'app_a']), 'users:read'), undefined)
  t.equal(await grant(sessionPrincipal(['super_admin', 'app_a']), 'keys:read'), denied)
  t.equal(
    await grant(sessionPrincipal(['super_admin', 'app_a']), 'admin'), denied,
    'a token level includes the global sections'
  )
  t.equal(await grant(sessionPrincipal(['super_admin', 'app_a']), 'service', 'topics:delete'), undefined)
  t.equal(await grant(sessionPrincipal(['super_admin', 'app_b']), 'client'), denied)
  t.equal(await grant(sessionPrincipal('viewer'), 'subscribe:order.*'), undefined)
  t.equal(await grant(sessionPrincipal('viewer'), 'publish'), denied)
  t.equal(
    await grant(
      tokenPrincipal(['tokens:create', 'subscribe:order.**']), 'subscribe:order.*', 'subscribe:order.created'
    ),
    undefined
  )
  t.equal(await grant(tokenPrincipal(['tokens:create', 'subscribe:order.**']), 'subscribe'), denied)
  t.equal(await grant(tokenPrincipal(['tokens:create', 'subscribe:order.**']), 'events:read'), denied)
  t.equal(await grant(tokenPrincipal(['tokens:create', 'subscribe']), 'events:read', 'subscribe'), undefined)
})

t.test('a grant that is pinned to an environment needs only the permissions that it keeps there', async t => {
  const staging = { applicationId: 'app_a', environment: 'staging' } as const
  const pinned = tokenPrincipal(['admin'], { environment: 'staging' })
  t.equal(await codeOf(() => authorizeGrant(pinned, staging, ['admin'])), undefined)
  t.equal(await codeOf(() => authorizeGrant(pinned, { applicationId: 'app_a' }, ['admin'])), 'PERMISSION_NOT_HELD')
  t.equal(
    await codeOf(() => authorizeGrant(pinned, { applicationId: 'app_a', environment: 'production' }, ['client'])),
    'PERMISSION_NOT_HELD'
  )
})

t.test('a service token can grant client permissions, and no more', async t => {
  const grant = (...permissions: string[]) =>
    codeOf(() => authorizeGrant(tokenPrincipal(['service']), { applicationId: 'app_a' }, permissions))
  t.equal(await grant('client'), undefined)
  t.equal(await grant('subscribe', 'subscribe:order.*', 'documents:read', 'events:read'), undefined)
  t.equal(await grant('service'), 'PERMISSION_NOT_HELD')
  t.equal(await grant('publish'), 'PERMISSION_NOT_HELD')
  t.equal(await grant('client', 'tokens:create'), 'PERMISSION_NOT_HELD')
  t.equal(
    await codeOf(() => authorizeGrant(tokenPrincipal(['client']), { applicationId: 'app_a' }, ['client'])),
    'PERMISSION_NOT_HELD'
  )
})

t.test('the refusal names unknown permissions', async t => {
  try {
    authorizeGrant(sessionPrincipal('super_admin'), { applicationId: 'app_a' }, ['subscribe', 'topics:fly', 'root'])
    t.fail('it was allowed')
  } catch (error) {
    t.match(error, {
      message: 'Unknown permissions: topics:fly, root',
      details: [{ path: '/permissions/1' }, { path: '/permissions/2' }]
    })
  }
})

t.test('entity-owning resources belong to an application', async t => {
  for (
    const name of names(
      'topics:read', 'schemas:read', 'mappings:read', 'documents:read', 'services:read', 'socket:read', 'webhooks:read',
      'debugger:read', 'events:create', 'alerts:read', 'metrics:read', 'consumers:read', 'access:read'
    )
  ) t.ok(isEntityOwning(name), name)
  const globalNames = names(
    'applications:read', 'users:read', 'roles:read', 'keys:read', 'tokens:create', 'audit:read', 'invites:read',
    'deployments:read', 'api-keys:read'
  )
  for (const name of globalNames) {
    t.notOk(isEntityOwning(name), name)
  }
})

t.test('the rows of the built-in roles match the enforced permissions', async t => {
  const pool = createPool({ connectionString: await createDatabase(t), max: 1 })
  t.teardown(() => pool.end())
  const rows = await createKysely(pool).selectFrom('roles').select(['name', 'permissions']).where('built_in', '=', true)
    .execute()
  t.equal(rows.length, 4)
  for (const { name, permissions } of rows) {
    const names = (pairs: { resource: string, action: string }[]) =>
      pairs.map(({ resource, action }) => `${resource}:${action}`).sort()
    t.same(names(permissions), names(permissionsOfRole({ name, isBuiltIn: true, permissions: [] }).toPairs()), name)
  }
})
