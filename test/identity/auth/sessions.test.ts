import { hash } from 'node:crypto'
import t from 'tap'
import { createKysely, createPool } from '../../../db/connection.ts'
import { isAllowed } from '../../../src/identity/access/permissions.ts'
import { system } from '../../../src/identity/audit/origin.ts'
import { createSessions } from '../../../src/identity/auth/sessions.ts'
import { insertUser } from '../../../src/identity/auth/users.ts'
import { createDatabase } from '../../support/database.ts'
import { codeOf } from '../../support/refusal.ts'
import type { Teardown } from '../../support/teardown.ts'

const hour = 3_600_000
const visitor = { address: '10.0.0.1', userAgent: 'a\0b' }

async function setUp (t: Teardown) {
  const pool = createPool({ connectionString: await createDatabase(t), max: 4 })
  t.teardown(() => pool.end())
  const db = createKysely(pool)
  const user = await insertUser(db, {
    name: 'Ada', email: 'Ada@example.com', passwordHash: 'x', passwordSetBy: 'other'
  })
  if (user === undefined) throw new Error('no user')
  return { db, user, sessions: createSessions({ db, ttlMs: hour, now: Date.now }) }
}

t.test('a session is stored as a hash, and its token works until it ends', async t => {
  const { db, user, sessions } = await setUp(t)
  const { token } = await sessions.create(user.id, visitor)
  t.match(token, /^sess_[\w-]{43}$/)
  const row = await db.selectFrom('sessions').selectAll().executeTakeFirstOrThrow()
  t.same(row.token_hash, hash('sha256', token, 'buffer'))
  t.notOk(JSON.stringify(row).includes(token))
  t.equal(row.user_agent, 'ab')

  const principal = await sessions.authenticate(token)
  t.match(principal, { kind: 'session', id: user.id, user: { id: user.id, email: 'Ada@example.com', name: 'Ada' } })
  t.notOk(isAllowed(principal, null, 'applications:read'), 'a user without a role has no permissions')

  const ended: string[] = []
  sessions.onEnded(key => ended.push(key))
  const other = await sessions.create(user.id, visitor)
  await sessions.end(principal, system)
  t.same(ended, [principal.sessionKey])
  t.equal(await codeOf(() => sessions.authenticate(token)), 'CREDENTIAL_INVALID')
  t.ok(await sessions.authenticate(other.token), 'other sessions stay open')
  await sessions.endAll(user.id)
  t.equal(ended.length, 2)
  t.equal(await codeOf(() => sessions.authenticate(other.token)), 'CREDENTIAL_INVALID')
})

t.test('using a session extends it, with at most one write a minute', async t => {
  const { db, user, sessions } = await setUp(t)
  const { token, expiresAt } = await sessions.create(user.id, visitor)
  t.equal((await sessions.authenticate(token)).expiresAt, expiresAt)
  const longAgo = Date.now() - 10 * 60_000
  await db.updateTable('sessions').set({ seen_at: longAgo, expires_at: longAgo + hour }).execute()
  const moved = (await sessions.authenticate(token)).expiresAt
  t.ok(moved >= expiresAt)
  const row = await db.selectFrom('sessions').selectAll().executeTakeFirstOrThrow()
  t.equal(row.expires_at, moved)
  await sessions.authenticate(token)
  t.same(await db.selectFrom('sessions').selectAll().executeTakeFirstOrThrow(), row, 'nothing was written')
})

t.test('an unused session expires, and the next login deletes it', async t => {
  const { db, user, sessions } = await setUp(t)
  const { token } = await sessions.create(user.id, visitor)
  await db.updateTable('sessions').set({ expires_at: Date.now() }).execute()
  t.equal(await codeOf(() => sessions.authenticate(token)), 'CREDENTIAL_INVALID')
  await sessions.create(user.id, visitor)
  t.equal((await db.selectFrom('sessions').select('user_id').execute()).length, 1)
})

t.test('role changes take effect with the next request', async t => {
  const { db, user, sessions } = await setUp(t)
  const { token } = await sessions.create(user.id, visitor)
  await db.insertInto('applications').values({ id: 'app_a', name: 'A', description: '', created_at: 0, updated_at: 0 })
    .execute()
  await db.insertInto('roles').values({
    id: 'role_x', name: 'x', description: '', built_in: false,
    permissions: JSON.stringify([{ resource: 'topics', action: 'read' }]), created_at: 0
  }).execute()
  await db.insertInto('role_assignments').values([
    { user_id: user.id, role_id: 'role_x', application_id: null },
    { user_id: user.id, role_id: 'role_editor', application_id: 'app_a' }
  ]).execute()
  const principal = await sessions.authenticate(token)
  t.ok(isAllowed(principal, { applicationId: 'app_b' }, 'topics:read'))
  t.notOk(isAllowed(principal, { applicationId: 'app_b' }, 'topics:create'))
  t.ok(isAllowed(principal, { applicationId: 'app_a' }, 'topics:create'))
  await db.deleteFrom('role_assignments').execute()
  t.notOk(isAllowed(await sessions.authenticate(token), { applicationId: 'app_a' }, 'topics:read'))
})

t.test('a malformed session token causes no query', async t => {
  const { db, sessions } = await setUp(t)
  // Without a database, a query would reject with another error.
  await db.destroy()
  for (
    const token of [
      'sess_',
      `sess_${'a'.repeat(42)}`,
      `sess_${'a'.repeat(44)}`,
      `sess_${'/'.repeat(43)}`,
      `sess_${'a'.repeat(43)}\n`
    ]
  ) {
    t.equal(await codeOf(() => sessions.authenticate(token)), 'CREDENTIAL_INVALID')
  }
})
