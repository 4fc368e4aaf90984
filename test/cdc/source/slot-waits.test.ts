import pg from 'pg'
import t from 'tap'
import { readSessionMark } from '../../../src/cdc/source/slot-ownership.ts'
import { build } from '../../support/build.ts'
import { withDatabase } from '../../support/database.ts'
import { startTestPostgres } from '../../support/postgres.ts'
import { sourced, uniqueName, type TestSource } from '../../support/source-database.ts'
import { until } from '../../support/waiting.ts'

/*
 * A slot starts once every writing transaction on the server has ended. Tests the reported state and the refusals until
 * then, on a server of its own, so that other tests need not wait.
 */

t.setTimeout(600_000)

const { app } = await build(t, { adapt: config => { config.cdc.leaseMs = 3000 } })
const postgres = await startTestPostgres()
t.teardown(() => postgres.stop())

async function createSource (): Promise<TestSource> {
  const name = uniqueName()
  const server = new pg.Client({ connectionString: postgres.url })
  await server.connect()
  await server.query(`create database ${name}`)
  await server.end()
  const url = withDatabase(postgres.url, name)
  const client = await connect(url)
  return {
    url, client, sql: async (text, values) => (await client.query(text, values)).rows as Record<string, unknown>[]
  }
}

/** Opens a session that ends with the server. */
async function connect (url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => client.end())
  return client
}

await t.test('a mapping cannot be enabled while there is no stream', async t => {
  const own = await sourced(t, app, await createSource())
  const topic = await own.topic('row.inserted')
  await own.sql('create table rows (id int primary key)')
  const { body: { id: mappingId } } = await own.request('POST', '/api/database/mappings', {
    table: 'rows', topic, events: ['insert'], payload: '$row.id'
  })
  const switchOn = () => own.request('POST', '/api/database/subscriptions', { mappingId })
  // The slot waits for this transaction.
  const other = await connect(own.source.url)
  await other.query('begin; create table late ()')
  await own.request('PUT', '/api/database/connection', { connectionString: own.source.url })
  t.match(await switchOn(), {
    status: 503, headers: { 'retry-after': String },
    body: { code: 'SOURCE_UNAVAILABLE', message: /not being read.*try again.*connecting/ }
  })
  await other.query('commit')
  await own.state('streaming')

  const { slot } = await own.connection()
  await until(async () => {
    await own.sql('select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1 and active', [
      slot
    ])
    return own.sql('select pg_drop_replication_slot($1)', [slot]).then(() => true, () => false)
  }, 'the slot to be dropped')
  t.match(await switchOn(), { status: 503, body: { code: 'SOURCE_UNAVAILABLE', message: /not being read.*acceptGap/ } })
  t.match((await own.request('GET', '/api/database/subscriptions')).body, [], 'nothing was stored')
  await own.connect({ acceptGap: true })
  t.match(await switchOn(), { status: 201 })
})

await t.test('a waiting slot names the transaction, waits as long as needed, and can be cancelled', async t => {
  const source = await createSource()
  const role = uniqueName()
  await source.sql(`create role ${role} login superuser password 'x'; alter role ${role} set statement_timeout = '2s'`)
  const url = new URL(source.url)
  Object.assign(url, { username: role, password: 'x' })
  const shop = await sourced(t, app, { ...source, url: url.href })
  const other = await connect(source.url)
  await other.query('begin; create table late ()')
  const [{ pid } = {}] = (await other.query('select pg_backend_pid() as pid')).rows
  await shop.request('PUT', '/api/database/connection', { connectionString: url.href })
  const { error } = await shop.state('connecting', 'SLOT_WAITS')
  t.match(error?.message, new RegExp(`process ${pid as number}`))
  // Longer than the statement limits of the role and of the platform.
  const [{ at } = {}] = await source.sql(
    `select query_start as at from pg_stat_activity
    where query like '%pg_create_logical%' and usename = $1 and state = 'active'`,
    [role]
  )
  await until(
    async () =>
      (await source.sql("select clock_timestamp() > $1::timestamptz + interval '11 s' as is_over", [at]))[0]
        ?.['is_over'] === true,
    'eleven seconds'
  )
  t.match(await shop.connection(), { state: 'connecting', error: { code: 'SLOT_WAITS' } })

  const isWaiting = async () =>
    (await source.sql(
      "select from pg_stat_activity where query like '%pg_create_logical%' and usename = $1 and state = 'active'",
      [role]
    )).length > 0
  t.ok(await isWaiting())
  t.match((await shop.request('DELETE', '/api/database/connection')).body.leftovers[0], {
    name: 'slot', status: 'dropped'
  })
  await until(async () => !await isWaiting(), 'the server to cancel')
  t.same(await source.sql('select from pg_replication_slots where database = current_database()'), [])

  await shop.request('PUT', '/api/database/connection', { connectionString: url.href })
  await shop.state('connecting', 'SLOT_WAITS')
  await other.query('commit')
  t.match(await shop.state('streaming'), { error: null })
})

await t.test('a half created slot is created again if it is the platform\'s own, and else not touched', async t => {
  const source = await createSource()
  const shop = await sourced(t, app, source)
  const [writer, maker] = [await connect(source.url), await connect(source.url)]
  await writer.query('begin; create table late ()')
  const slot = uniqueName()
  const create = () =>
    maker.query("select pg_create_logical_replication_slot($1, 'pgoutput')", [slot]).then(
      () => 'created', () => 'ended'
    )
  const isHalfCreated = async () =>
    (await source.sql('select from pg_replication_slots where slot_name = $1', [slot])).length === 1
  const creating = create()
  await until(isHalfCreated, 'the slot to be half created')
  await shop.request('PUT', '/api/database/connection', { connectionString: source.url, slot })
  await shop.state('error', 'SLOT_BUSY')
  await app.pool.query('update cdc_connections set owns_slot = true where slot = $1', [slot])
  await shop.request('PUT', '/api/database/connection', { connectionString: source.url, acceptGap: true })
  await shop.state('error', 'SLOT_BUSY')
  t.ok(await isHalfCreated(), 'it was not touched')
  await writer.query('commit')
  t.equal(await creating, 'created')
  await source.sql('select pg_drop_replication_slot($1)', [slot])
  await shop.state('streaming')
  await shop.request('DELETE', '/api/database/connection')

  // As if the session belonged to a node of this platform that was killed.
  await writer.query('begin; create table later ()')
  await shop.request('PUT', '/api/database/connection', { connectionString: source.url, slot })
  const { rows: [{ id }] } = await app.pool.query('select id from cdc_connections where slot = $1', [slot])
  await shop.state('connecting', 'SLOT_WAITS')
  await app.pool.query(
    `update cdc_positions
    set lease_owner = 'nobody', fence = fence + 1, lease_expires_at = clock_timestamp() + interval '1 h'
    where connection_id = $1`,
    [id]
  )
  await until(async () => !await isHalfCreated(), 'the first reader to give up')
  await maker.query(`set application_name = 'realtime-platform-cdc ${await readSessionMark(app.pool, id)}'`)
  const orphaned = create()
  await until(isHalfCreated, 'the slot to be half created')
  await app.pool.query('update cdc_positions set lease_owner = null where connection_id = $1', [id])
  t.equal(await orphaned, 'ended')
  await writer.query('commit')
  await shop.state('streaming')
})
