import { execFile } from 'node:child_process'
import { createCipheriv, createHash } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { createKysely, createPool } from '../../../db/connection.ts'
import { system } from '../../../src/identity/audit/origin.ts'
import { newSeed } from '../../../src/identity/auth/totp.ts'
import { createEncryption } from '../../../src/foundation/encryption/encryption.ts'
import { sealedColumns, sealedPlaces } from '../../../src/foundation/encryption/reencrypt.ts'
import { build, testKey } from '../../support/build.ts'
import { createDatabase } from '../../support/database.ts'
import { root } from '../../support/repository.ts'
import { tenant } from '../../support/tenant.ts'

t.setTimeout(600_000)

const newKey = Buffer.alloc(32, 9).toString('base64')
const [oldOne, newOne] = [testKey, newKey].map(key => createEncryption([Buffer.from(key, 'base64')]))
const command = join(root, 'dist/src/cli/reencrypt-command.js')

const createWebhook = (app: FastifyInstance, applicationId: string) =>
  app.webhooks.endpoints.create(
    { applicationId, environment: 'development' }, { url: 'https://example.com/', events: ['*'] }, undefined, system,
    undefined
  )

t.test('the command reseals every secret with a new ENCRYPTION_KEY', async t => {
  const databaseUrl = await createDatabase(t)
  const { app } = await build(t, { databaseUrl })
  const { applicationId, token } = await tenant(app)
  const issued = token(['client'])
  const seed = newSeed()
  await app.db.insertInto('users').values({
    id: 'usr_a', name: 'a', email: 'a@example.com', password_hash: 'x',
    mfa_secret_sealed: oldOne?.encrypt(seed, sealedPlaces.secondFactor('usr_a')) ?? '', created_at: 0, updated_at: 0
  }).execute()
  const { secret } = await createWebhook(app, applicationId)
  await app.close()

  const both = { ENCRYPTION_KEY: newKey, ENCRYPTION_KEYS_OLD: testKey }
  const { app: between } = await build(t, { databaseUrl, variables: both })
  t.equal(
    (await between.inject({ url: '/api/auth/me', headers: { authorization: `Bearer ${issued}` } })).statusCode,
    200,
    'while both keys are configured'
  )
  await between.close()

  const run = async (variables: Record<string, string>) =>
    await promisify(execFile)(process.execPath, [command], {
      env: { PATH: process.env['PATH'], DATABASE_URL: databaseUrl, ...variables }
    }).then(({ stdout }) => ({ stdout, code: 0 }), (error: { stdout: string, stderr: string, code: number }) => error)
  t.match(await run({ ENCRYPTION_KEY: newKey }), {
    code: 1, stdout: /signing_keys\.secret_sealed: 0 resealed, 1 that no key opens: key_/
  }, 'without the old key, secrets are kept and reported')
  t.match(await run(both), {
    code: 0,
    stdout:
      /signing_keys.secret_sealed: 1 resealed\nusers\.mfa_secret_sealed: 1 resealed\n[^]*webhooks.secrets: 1 resealed\n/
  })
  t.match(await run(both), { code: 0, stdout: /signing_keys\.secret_sealed: 0 resealed/ }, 'once')
  t.match(await run({}), { code: 1, stderr: /ENCRYPTION_KEY is required/ })

  const { app: after } = await build(t, { databaseUrl, variables: { ENCRYPTION_KEY: newKey } })
  t.equal((await after.inject({ url: '/api/auth/me', headers: { authorization: `Bearer ${issued}` } })).statusCode, 200)
  const row = await after.db.selectFrom('users').select('mfa_secret_sealed').where('id', '=', 'usr_a')
    .executeTakeFirstOrThrow()
  t.equal(newOne?.decrypt(row.mfa_secret_sealed ?? '', sealedPlaces.secondFactor('usr_a')), seed)
  const { id, secrets } = await after.db.selectFrom('webhooks').select(['id', 'secrets']).where(
    'application_id', '=', applicationId
  ).executeTakeFirstOrThrow()
  t.same(secrets.map(({ sealed, until }) => [newOne?.decrypt(sealed, sealedPlaces.webhook(id)), until]), [[
    secret, null
  ]])
  await after.close()
})

t.test('every sealed column is in the list', async t => {
  const pool = createPool({ connectionString: await createDatabase(t), max: 1 })
  t.teardown(() => pool.end())
  const db = createKysely(pool)
  const columns = (await db.introspection.getTables()).flatMap(({ name, columns }) =>
    columns.map(column => `${name}.${column.name}`)
  )
  t.same(
    columns.filter(name => /sealed|secrets$/.test(name)).sort(),
    sealedColumns.map(({ table, column }) => `${table}.${column}`).sort()
  )
})

/** A secret in an earlier form. */
function sealedBefore (key: Buffer): string {
  const nonce = Buffer.alloc(12, 1)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  const sealed = Buffer.concat([cipher.update('a secret'), cipher.final()])
  return [
    'v1',
    createHash('sha256').update(key).digest('base64url').slice(0, 8),
    ...[nonce, cipher.getAuthTag(), sealed].map(part => part.toString('base64url'))
  ].join('.')
}

t.test('a server does not start with secrets in an earlier form that its key opens', async t => {
  const databaseUrl = await createDatabase(t)
  const { app } = await build(t, { databaseUrl })
  const { applicationId } = await tenant(app)
  await createWebhook(app, applicationId)
  await app.close()
  const pool = createPool({ connectionString: databaseUrl, max: 1, onError: () => {} })
  t.teardown(() => pool.end())
  const store = (sealed: string) =>
    pool.query('update webhooks set secrets = $1', [JSON.stringify([{ sealed, until: null }])])
  await store(sealedBefore(Buffer.from(testKey, 'base64')))
  await t.rejects(build(t, { databaseUrl }), { name: 'StartError', message: /npm run reencrypt/ })
  // No key opens this one, so it does not keep the server from starting.
  await store(sealedBefore(Buffer.alloc(32, 3)))
  await build(t, { databaseUrl })
})
