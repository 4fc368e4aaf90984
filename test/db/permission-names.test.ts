import { Kysely, PostgresDialect } from 'kysely'
import t from 'tap'
import { createPool } from '../../db/connection.ts'
import { up } from '../../db/migrations/0022-permission-names.ts'
import { parsePermissions } from '../../src/identity/access/permission-set.ts'
import { createDatabase } from '../support/database.ts'

/* Migration 0022 renames stored permissions. It changes rows only, so it runs again on rows of the old kind. */

t.setTimeout(180_000)

const pool = createPool({ connectionString: await createDatabase(t), max: 1 })
t.teardown(() => pool.end())

const oldPairs = [
  ['topics', 'read'], ['database', 'read'], ['database', 'update'], ['sync', 'delete'], ['users', 'create'],
  ['debugger', 'read'], ['debugger', 'create'], ['audit', 'read']
]
const asPairs = (names: string[][]) => JSON.stringify(names.map(([resource, action]) => ({ resource, action })))

await t.test('stored permissions keep their meaning under the new names', async t => {
  await pool.query(
    `insert into roles (id, name, description, built_in, permissions, created_at, updated_at) values
      ('role_old', 'old', '', false, $1, 0, 0), ('role_empty', 'empty', '', false, '[]', 0, 0)`,
    [asPairs(oldPairs)]
  )
  await pool.query(
    "insert into applications (id, name, description, created_at, updated_at) values ('app_old', 'old', '', 0, 0)"
  )
  await pool.query(
    `insert into invites (id, email, role_id, token_hash, given, created_at, expires_at) values
      ('inv_old', 'a@example.com', 'role_old', 'x', $1, 0, 0),
      ('inv_bare', 'b@example.com', 'role_old', 'y', null, 0, 0)`,
    [['database:read', 'users:create', 'subscribe:sync.*', 'publish:database', 'subscribe:read']]
  )
  const readers = {
    token: { keyId: 'key_1', permissions: ['sync:read', 'client', 'subscribe:order.**'], environment: null },
    user: { userId: 'usr_1' },
    none: null
  }
  for (const [id, reader] of Object.entries(readers)) {
    await pool.query(
      'insert into webhooks select (jsonb_populate_record(null::webhooks, $1)).*',
      [await webhookRow(`wh_${id}`, reader)]
    )
  }
  await up(new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) }))

  t.same(await pairsOf('role_old'), [
    'audit:read', 'debugger:create', 'debugger:read', 'documents:delete', 'invites:create', 'mappings:read',
    'mappings:update', 'metrics:read', 'topics:read', 'users:create'
  ])
  t.same(await pairsOf('role_empty'), [])
  const invites = await pool.query<{ id: string, given: string[] | null }>('select id, given from invites order by id')
  t.same(invites.rows.map(({ id, given }) => [id, given?.toSorted() ?? null]), [
    ['inv_bare', null],
    ['inv_old', ['invites:create', 'mappings:read', 'publish:database', 'subscribe:read', 'subscribe:sync.*',
      'users:create']]
  ])
  const webhooks = await pool.query<{ id: string, reader: { permissions?: string[] } | null }>(
    'select id, reader from webhooks order by id'
  )
  t.same(webhooks.rows.map(({ id, reader }) => [id, reader?.permissions?.toSorted() ?? reader]), [
    ['wh_none', null], ['wh_token', ['client', 'documents:read', 'subscribe:order.**']], ['wh_user', readers.user]
  ])
})

await t.test('the old names grant nothing', async t => {
  for (const name of ['database:read', 'sync:read']) t.same(parsePermissions([name]).toStrings(), [], name)
})

async function pairsOf (roleId: string): Promise<string[]> {
  const { rows } = await pool.query<{ permissions: { resource: string, action: string }[] }>(
    'select permissions from roles where id = $1', [roleId]
  )
  return (rows[0]?.permissions ?? []).map(({ resource, action }) => `${resource}:${action}`).sort()
}

/** Returns a row with a value for each column that requires one. */
async function webhookRow (id: string, reader: unknown): Promise<string> {
  const { rows } = await pool.query<{ column_name: string, data_type: string }>(
    `select column_name, data_type from information_schema.columns
      where table_name = 'webhooks' and is_nullable = 'NO'`
  )
  const zeros: Record<string, unknown> = { bigint: 0, integer: 0, boolean: false, ARRAY: [], jsonb: {}, bytea: '' }
  return JSON.stringify({
    ...Object.fromEntries(rows.map(({ column_name: name, data_type: type }) => [name, zeros[type] ?? 'x'])),
    id, application_id: 'app_old', reader
  })
}
