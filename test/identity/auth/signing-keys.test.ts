import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import t from 'tap'
import { createKysely, createPool } from '../../../db/connection.ts'
import { createEncryption } from '../../../src/foundation/encryption/encryption.ts'
import { sealedPlaces } from '../../../src/foundation/encryption/reencrypt.ts'
import { SigningKeys } from '../../../src/identity/auth/signing-keys.ts'
import { build } from '../../support/build.ts'
import { createDatabase } from '../../support/database.ts'
import type { Teardown } from '../../support/teardown.ts'
import { tenant } from '../../support/tenant.ts'
import { eventually } from '../../support/waiting.ts'

const encryption = createEncryption([Buffer.alloc(32, 1)])
const silent = { error: () => {}, warn: () => {} }

async function database (t: Teardown) {
  const url = await createDatabase(t)
  const pool = createPool({ connectionString: url, max: 4 })
  const db = createKysely(pool)
  t.teardown(async () => { await pool.end() })
  return { url, db, pool }
}

t.test('nodes that start together create one key, and it is stored encrypted', async t => {
  const { db } = await database(t)
  const nodes = Array.from({ length: 4 }, () => new SigningKeys({ db, encryption, log: silent }))
  await Promise.all(nodes.map(node => node.ensure()))
  const rows = await db.selectFrom('signing_keys').selectAll().execute()
  t.equal(rows.length, 1)
  t.match(rows[0]?.id, /^key_/)
  t.same(new Set(nodes.map(node => node.active?.id)), new Set([rows[0]?.id]))
  const secret = nodes[0]?.active?.signing as Buffer
  t.equal(secret?.length, 32)
  t.notOk(rows[0]?.secret_sealed.includes(secret?.toString('base64url') ?? '?'))
})

t.test('keys that another node creates, deactivates or revokes take effect', async t => {
  const { db } = await database(t)
  const node = new SigningKeys({ db, encryption, log: silent, pollMs: 50 })
  await node.ensure()
  const first = node.active?.id ?? ''
  const revoked: string[] = []
  node.onRevoked(id => revoked.push(id))

  const second = {
    id: 'key_second', algorithm: 'HS256',
    secret_sealed: encryption.encrypt(randomBytes(32).toString('base64url'), sealedPlaces.signingKey('key_second')),
    active: true, created_at: Date.now() + 1, deactivated_at: null, revoked_at: null
  }
  await db.insertInto('signing_keys').values(second).execute()
  await eventually(async () => await node.find('key_second') !== undefined)
  t.equal(node.active?.id, 'key_second', 'the newest key signs')

  node.start()
  t.teardown(() => node.close())
  await db.updateTable('signing_keys').set({ active: false, deactivated_at: Date.now() }).where('id', '=', 'key_second')
    .execute()
  await eventually(() => node.active?.id === first)
  t.ok(await node.find('key_second'), 'its tokens stay valid')

  await db.updateTable('signing_keys').set({ revoked_at: Date.now() }).where('id', '=', 'key_second').execute()
  await eventually(() => revoked.length > 0)
  t.same(revoked, ['key_second'])
  t.equal(await node.find('key_second'), undefined)
})

t.test('unknown keys do not cause a query each', async t => {
  const { db, pool } = await database(t)
  const node = new SigningKeys({ db, encryption, log: silent })
  await node.ensure()
  let queries = 0
  pool.on('acquire', () => { queries++ })
  const answers = await Promise.all(Array.from({ length: 1000 }, async (_, i) => await node.find(`key_${i}`)))
  t.ok(answers.every(answer => answer === undefined))
  t.equal(queries, 1)
  t.equal(await node.find('../etc/passwd'), undefined)
  t.equal(queries, 1)
})

t.test('while the keys cannot be read, the last known ones stay in use', async t => {
  const { db } = await database(t)
  const warnings: string[] = []
  const node = new SigningKeys({
    db, encryption, log: { ...silent, warn: (_fields, message) => warnings.push(message) }, pollMs: 10
  })
  await node.ensure()
  node.start()
  t.teardown(() => node.close())
  await sql`alter table signing_keys rename to signing_keys_away`.execute(db)
  await eventually(() => warnings.length > 0)
  await t.rejects(node.refresh())
  t.ok(node.active)
  await sql`alter table signing_keys_away rename to signing_keys`.execute(db)
  await db.updateTable('signing_keys').set({ active: false }).execute()
  await eventually(() => node.active === undefined)
  t.same(warnings, ['signing_keys.refresh_failed'], 'logged once')
})

t.test('a key that cannot be decrypted stops the start, with the reason', async t => {
  const { db } = await database(t)
  await new SigningKeys({ db, encryption, log: silent }).ensure()
  const stranger = new SigningKeys({ db, encryption: createEncryption([Buffer.alloc(32, 2)]), log: silent })
  await t.rejects(stranger.ensure(), /ENCRYPTION_KEY/)
})

t.test("two nodes on one database accept each other's tokens", async t => {
  const databaseUrl = await createDatabase(t)
  const [a, b] = await Promise.all([build(t, { databaseUrl }), build(t, { databaseUrl })])
  const { token } = await tenant(a.app)
  t.equal(
    (await b.app.inject({ url: '/api/auth/me', headers: { authorization: `Bearer ${token()}` } })).statusCode,
    200
  )
})
