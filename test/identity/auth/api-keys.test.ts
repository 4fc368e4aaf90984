import t from 'tap'
import type { Kysely } from 'kysely'
import { createKysely, createPool } from '../../../db/connection.ts'
import type { Database } from '../../../db/tables.ts'
import { isAllowed } from '../../../src/identity/access/permissions.ts'
import { generateApiKey, hashOfApiKey, shownPartOf } from '../../../src/identity/auth/api-key-text.ts'
import { ApiKeys } from '../../../src/identity/auth/api-keys.ts'
import { insertUser } from '../../../src/identity/auth/users.ts'
import { createDatabase } from '../../support/database.ts'
import { codeOf } from '../../support/refusal.ts'
import type { Teardown } from '../../support/teardown.ts'
import { eventually, until } from '../../support/waiting.ts'

const applicationId = 'app_a'
const place = { applicationId }

async function setUp (t: Teardown) {
  const pool = createPool({ connectionString: await createDatabase(t), max: 4 })
  const warnings: string[] = []
  const db = createKysely(pool)
  const open = () => {
    const keys = new ApiKeys({ db, log: { warn: (_fields, message) => { warnings.push(message) } } })
    t.teardown(() => keys.close())
    return keys
  }
  const [keys, otherNode] = [open(), open()]
  t.teardown(() => pool.end())
  await insertApplication(db, applicationId)
  const ada = await insertUser(db, { name: 'Ada', email: 'ada@example.com', passwordHash: 'x', passwordSetBy: 'other' })
  if (ada === undefined) throw new Error('no user')
  await assign(db, ada.id, 'role_admin')

  async function create (
    { permissions = ['topics:read', 'subscribe'], expiresAt = null, environment = null }: {
      permissions?: string[], expiresAt?: number | null, environment?: 'staging' | null
    } = {}
  ) {
    const key = generateApiKey()
    const id = `apk_${shownPartOf(key).slice(4)}`
    await db.insertInto('api_keys').values({
      id,
      key_hash: hashOfApiKey(key),
      application_id: applicationId,
      environment,
      name: 'A key',
      prefix: shownPartOf(key),
      permissions,
      created_by: ada?.id ?? '',
      created_at: 1,
      expires_at: expiresAt,
      last_used_at: null
    }).execute()
    return { key, id }
  }
  const lastUse = async (id: string) =>
    (await db.selectFrom('api_keys').select('last_used_at').where('id', '=', id).executeTakeFirstOrThrow()).last_used_at

  return { db, pool, ada, keys, otherNode, create, lastUse, warnings }
}

const insertApplication = (db: Kysely<Database>, id: string) =>
  db.insertInto('applications').values({ id, name: id, description: '', created_at: 0, updated_at: 0 }).execute()

const assign = (db: Kysely<Database>, userId: string, roleId: string, application: string | null = applicationId) =>
  db.insertInto('role_assignments').values({ user_id: userId, role_id: roleId, application_id: application }).execute()

t.test('a key identifies its bearer, from memory after the first time', async t => {
  const { keys, create } = await setUp(t)
  const { key, id } = await create()
  t.equal(keys.peek(key), undefined)
  const principal = await keys.authenticate(key)
  t.match(principal, {
    kind: 'token', credential: 'api-key', id, subject: id, apiKeyId: id, applicationId, environment: undefined,
    expiresAt: Infinity
  })
  t.equal(keys.peek(key), principal)
  t.equal(await keys.authenticate(key), principal)
  t.ok(isAllowed(principal, place, 'topics:read'))
  t.ok(isAllowed(principal, place, 'events:read'))
  t.notOk(isAllowed(principal, place, 'topics:create'))
  t.notOk(isAllowed(principal, { applicationId: 'app_b' }, 'topics:read'))
})

t.test('a malformed or mistyped key causes no query, an unknown one is refused', async t => {
  const { db, keys } = await setUp(t)
  const key = generateApiKey()
  t.equal(await codeOf(() => keys.authenticate(key)), 'CREDENTIAL_INVALID')
  // Without a database, a query would reject with another error.
  await db.destroy()
  const mistyped = `${key.slice(0, -1)}${key.endsWith('a') ? 'b' : 'a'}`
  for (const text of ['rtk_', `${key}x`, mistyped, `rtk_${'x'.repeat(16_000)}`]) {
    t.equal(await codeOf(() => keys.authenticate(text)), 'CREDENTIAL_INVALID')
  }
})

t.test('a key has what its creator holds at the moment', async t => {
  const { db, keys, create, ada } = await setUp(t)
  const { key, id } = await create({ permissions: ['topics:read', 'topics:create', 'keys:create'] })
  const may = async () => {
    keys.forget()
    const principal = await keys.authenticate(key)
    return (['topics:read', 'topics:create', 'keys:create'] as const).filter(name => isAllowed(principal, place, name))
  }
  t.same(await may(), ['topics:read', 'topics:create'], 'a role for one application grants nothing beyond it')
  await db.deleteFrom('role_assignments').execute()
  await assign(db, ada.id, 'role_viewer')
  t.same(await may(), ['topics:read'])
  t.same([...(await keys.living([id])).values()].map(({ held }) => held.toStrings()), [['topics:read']])
  await assign(db, ada.id, 'role_super_admin', null)
  t.same(await may(), ['topics:read', 'topics:create', 'keys:create'], 'roles held everywhere count as well')

  for (const lost of ['its creator has a role elsewhere only', 'its creator has no role', 'its creator is deleted']) {
    await db.deleteFrom('role_assignments').execute()
    if (lost.endsWith('elsewhere only')) {
      await insertApplication(db, 'app_b')
      await assign(db, ada.id, 'role_admin', 'app_b')
    }
    if (lost.endsWith('deleted')) await db.deleteFrom('users').execute()
    t.equal(await codeOf(may), 'CREDENTIAL_INVALID', lost)
    t.equal((await keys.living([id])).size, 0)
  }
  t.same(await db.selectFrom('api_keys').select('id').execute(), [])
})

t.test('a pinned key loses what belongs to no environment', async t => {
  const { keys, create } = await setUp(t)
  const { key } = await create({ permissions: ['topics:read', 'users:read', 'tokens:create'], environment: 'staging' })
  t.same((await keys.authenticate(key)).held.toStrings(), ['topics:read', 'tokens:create'])
  const { key: useless } = await create({ permissions: ['users:read'], environment: 'staging' })
  t.equal(await codeOf(() => keys.authenticate(useless)), 'CREDENTIAL_INVALID')
})

t.test('a revoked key is refused at once here, and about a second later elsewhere', async t => {
  const { db, keys, otherNode, create } = await setUp(t)
  const { key, id } = await create()
  for (const node of [keys, otherNode]) await node.authenticate(key)
  const revoked: string[] = []
  keys.onRevoked(id => revoked.push(id))
  await db.deleteFrom('api_keys').execute()
  keys.revoked(id)
  t.same(revoked, [id])
  t.equal(await codeOf(() => keys.authenticate(key)), 'CREDENTIAL_INVALID')
  await eventually(async () => await codeOf(() => otherNode.authenticate(key)) === 'CREDENTIAL_INVALID')
})

t.test('a look-up that began before a change does not fill the memory after it', async t => {
  const { db, keys, create } = await setUp(t)
  const { key } = await create()
  const early = keys.authenticate(key)
  keys.forget()
  await early
  await db.deleteFrom('api_keys').execute()
  t.equal(await codeOf(() => keys.authenticate(key)), 'CREDENTIAL_INVALID')
})

t.test('a key expires, also while it is in memory', async t => {
  const { keys, create } = await setUp(t)
  const { key: past } = await create({ expiresAt: Date.now() - 1 })
  t.equal(await codeOf(() => keys.authenticate(past)), 'CREDENTIAL_INVALID')
  const soon = Date.now() + 500
  const { key, id } = await create({ expiresAt: soon })
  await eventually(async () => await codeOf(() => keys.authenticate(key)) === 'CREDENTIAL_INVALID')
  t.ok(Date.now() >= soon)
  t.equal((await keys.living([id])).size, 0)
})

t.test('a key has no permission to change accounts, also if it lists one', async t => {
  const { keys, create } = await setUp(t)
  const changes = ['users', 'roles', 'invites'].flatMap(resource =>
    (['create', 'update', 'delete'] as const).map(action => `${resource}:${action}`)
  )
  const { key } = await create({ permissions: [...changes, 'users:read', 'admin'] })
  const { held } = await keys.authenticate(key)
  t.same(held.toStrings().filter(name => changes.includes(name)), [])
  t.ok(['users:read', 'roles:read', 'invites:read', 'topics:create'].every(name => held.toStrings().includes(name)))
  const useless = await create({ permissions: changes })
  t.equal(await codeOf(() => keys.authenticate(useless.key)), 'CREDENTIAL_INVALID', 'nothing is left')
})

t.test('uses are stored in the background, at most once a minute, in one statement', async t => {
  const { pool, keys, create, lastUse } = await setUp(t)
  const created = await Promise.all(Array.from({ length: 30 }, () => create()))
  const begin = Date.now()
  await Promise.all(created.map(async ({ key }) => await keys.authenticate(key)))
  const isStored = async ({ id }: { id: string }) => (await lastUse(id) ?? 0) >= begin
  await eventually(async () => (await Promise.all(created.map(isStored))).every(Boolean))
  const { rows } = await pool.query('select distinct xmin::text from api_keys')
  t.equal(rows.length, 1, 'one transaction has written all of them')

  const [first] = created
  if (first === undefined) return
  const before = await lastUse(first.id)
  keys.forget()
  await keys.authenticate(first.key)
  await keys.close()
  t.equal(await lastUse(first.id), before, 'within the minute, nothing is written')
})

t.test('an open socket counts as use', async t => {
  const { keys, create, lastUse } = await setUp(t)
  const { id } = await create()
  await keys.living([id])
  await keys.close()
  t.type(await lastUse(id), 'number')
})

t.test('a use that cannot be stored never fails a request, and is stored later', async t => {
  const { db, pool, keys, create, lastUse, warnings } = await setUp(t)
  const { key, id } = await create()
  await pool.query('alter table api_keys rename column last_used_at to elsewhere')
  t.match(await keys.authenticate(key), { apiKeyId: id })
  await until(() => warnings.includes('api_keys.uses_not_stored'), 'a warning')
  await pool.query('alter table api_keys rename column elsewhere to last_used_at')
  await eventually(async () => await lastUse(id) !== null)
  t.equal(warnings.length, 1, 'one warning for the outage')

  const held = await create()
  const holder = await pool.connect()
  await holder.query('begin')
  await holder.query('select from api_keys where id = $1 for update', [held.id])
  await keys.authenticate(held.key)
  await keys.close()
  await holder.query('rollback')
  holder.release()
  t.equal(await lastUse(held.id), null, 'a row that another transaction holds is not waited for')
  t.ok(await db.selectFrom('api_keys').select('id').executeTakeFirst())
})
