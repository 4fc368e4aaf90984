import pg from 'pg'
import { LogicalReplicationService, PgoutputPlugin } from 'pg-logical-replication'
import t from 'tap'
import { carriesMark } from '../../../src/cdc/source/slot-ownership.ts'
import { build } from '../../support/build.ts'
import { createDatabase, withDatabase } from '../../support/database.ts'
import { createSource, sourced, uniqueName, type TestSource } from '../../support/source-database.ts'
import type { Teardown } from '../../support/teardown.ts'
import { until } from '../../support/waiting.ts'

/*
 * A connection terminates, drops and reads only what it created itself. It never touches another program's slot or
 * publication.
 */

t.setTimeout(600_000)

const { app } = await build(t, {
  adapt: config => {
    Object.assign(config.cdc, { leaseMs: 2000, leftoverRetryMs: 300 })
  }
})

interface SlotState { active_pid: number | null, confirmed: string, plugin: string }
const slotState = async ({ sql }: TestSource, slot: string) =>
  (await sql(
    'select active_pid, plugin, confirmed_flush_lsn::text as confirmed from pg_replication_slots where slot_name = $1',
    [slot]
  ))[0] as SlotState | undefined

/** Acts as another program that creates the slot and reads from it until the test ends. */
async function foreignReader (t: Teardown, source: TestSource, slot: string): Promise<{ hasEnded: boolean }> {
  const publication = uniqueName()
  await source.sql(`create publication ${publication} for all tables`)
  if (await slotState(source, slot) === undefined) {
    await source.sql("select pg_create_logical_replication_slot($1, 'pgoutput')", [slot])
  }
  const service = new LogicalReplicationService({ connectionString: source.url }, {
    acknowledge: { auto: false, timeoutSeconds: 0 }
  })
  const reader = { hasEnded: false }
  const end = () => { reader.hasEnded = true }
  service.on('error', end)
  service.subscribe(new PgoutputPlugin({ protoVersion: 1, publicationNames: [publication] }), slot).then(end, end)
  t.teardown(() => service.stop().then(() => {}, () => {}))
  await until(async () => (await slotState(source, slot))?.active_pid != null, 'the other program to read')
  return reader
}

const put = (shop: Awaited<ReturnType<typeof sourced>>, body: object) =>
  shop.request('PUT', '/api/database/connection', { connectionString: shop.source.url, ...body })

await t.test('a slot that another program reads is never touched, even with acceptGap or on DELETE', async t => {
  const shop = await sourced(t, app)
  const slot = uniqueName()
  const reader = await foreignReader(t, shop.source, slot)
  const before = await slotState(shop.source, slot)
  t.match(
    (await shop.request('POST', '/api/database/connection/test', { connectionString: shop.source.url, slot })).body
      .checks.find(({ name }: { name: string }) => name === 'slot'),
    {
      status: 'failed', message: /another program/i
    }
  )
  for (const acceptGap of [false, true]) {
    await put(shop, { slot, acceptGap })
    const { error } = await shop.state('error', 'SLOT_BUSY')
    await until(async () => ((await shop.connection()).error?.at ?? 0) > (error?.at ?? 0), 'another attempt')
    t.same(await slotState(shop.source, slot), before)
  }
  t.match(
    (await shop.request('DELETE', '/api/database/connection')).body.leftovers.find(({ name }: { name: string }) =>
      name === 'slot'
    ),
    { status: 'kept' }
  )
  t.same(await slotState(shop.source, slot), before)
  t.notOk(reader.hasEnded)
})

await t.test('an unused slot that the connection did not create is foreign, whatever its plugin', async t => {
  for (const plugin of ['pgoutput', 'test_decoding']) {
    const shop = await sourced(t, app)
    const slot = uniqueName()
    const made = await shop.sql('select pg_create_logical_replication_slot($1, $2)', [slot, plugin]).then(
      () => true, () => false
    )
    // The embedded PostgreSQL lacks contrib.
    if (!made) continue
    const before = await slotState(shop.source, slot)
    for (const acceptGap of [false, true]) {
      await put(shop, { slot, acceptGap })
      await shop.state('error', 'SLOT_FOREIGN')
    }
    await shop.request('DELETE', '/api/database/connection')
    t.same(await slotState(shop.source, slot), before)
  }
})

await t.test('a running connection does not switch to a foreign slot, and returns to its own', async t => {
  const shop = await sourced(t, app)
  const topic = await shop.topic('row.inserted')
  await shop.sql('create table rows (id int primary key)')
  await shop.connect()
  await shop.map({ table: 'rows', topic, events: ['insert'], payload: '$row.id' })
  await shop.sql('insert into rows values (1)')
  await shop.events(topic, 1)
  const { slot } = await shop.connection()
  const foreign = uniqueName()
  const reader = await foreignReader(t, shop.source, foreign)
  const before = await slotState(shop.source, foreign)
  await put(shop, { slot: foreign })
  await shop.state('error', 'SLOT_BUSY')
  await shop.sql('insert into rows values (2)')
  t.same(await slotState(shop.source, foreign), before)
  t.notOk(reader.hasEnded)
  await put(shop, { slot })
  await shop.state('streaming')
  t.same((await shop.events(topic, 2)).map(({ payload }) => payload), [1, 2])
  t.match((await shop.request('DELETE', '/api/database/connection')).body.leftovers, [{
    name: 'slot', status: 'dropped'
  }, { name: 'publication', status: 'dropped' }])
  t.same(await slotState(shop.source, foreign), before)
})

await t.test('a slot that replaced the connection\'s own is foreign', async t => {
  const shop = await sourced(t, app)
  const slot = uniqueName()
  await shop.connect({ slot })
  await until(async () => {
    await shop.sql(
      'select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1 and active', [slot]
    )
    return shop.sql('select pg_drop_replication_slot($1)', [slot]).then(() => true, () => false)
  }, 'the slot to be dropped')
  await foreignReader(t, shop.source, slot)
  const before = await slotState(shop.source, slot)
  await shop.state('error', 'SLOT_MOVED')
  await put(shop, { acceptGap: true })
  await shop.state('error', 'SLOT_BUSY')
  t.match((await shop.request('DELETE', '/api/database/connection')).body.leftovers[0], {
    name: 'slot', status: 'kept'
  })
  t.same(await slotState(shop.source, slot), before)
})

await t.test('another program that reads from the connection\'s slot is not terminated', async t => {
  const shop = await sourced(t, app)
  await shop.connect()
  const { slot } = await shop.connection()
  await app.pool.query(
    `update cdc_positions p
    set lease_owner = 'nobody', fence = fence + 1, lease_expires_at = clock_timestamp() + interval '1 h'
    from cdc_connections c where c.id = p.connection_id and c.application_id = $1`,
    [shop.applicationId]
  )
  await until(async () => (await slotState(shop.source, slot))?.active_pid === null, 'the reader to let go')
  const reader = await foreignReader(t, shop.source, slot)
  await app.pool.query(
    'update cdc_positions p set lease_owner = null from cdc_connections c where c.id = p.connection_id and ' +
      'c.application_id = $1',
    [shop.applicationId]
  )
  await shop.state('error', 'SLOT_BUSY')
  t.match((await shop.request('DELETE', '/api/database/connection')).body.leftovers[0], {
    name: 'slot', status: 'failed', message: /another program holds/i
  })
  t.notOk(reader.hasEnded)
})

await t.test('a reader that died before creating the slot does not own one that another program creates', async t => {
  const shop = await sourced(t, app)
  const [slot, publication] = [uniqueName(), uniqueName()]
  const role = uniqueName()
  await shop.sql(`create role ${role} superuser nologin password 'x'`)
  t.teardown(async () => {
    const client = new pg.Client({ connectionString: shop.source.url })
    await client.connect()
    await client.query(`drop owned by ${role}; drop role ${role}`)
    await client.end()
  })
  const url = new URL(shop.source.url)
  Object.assign(url, { username: role, password: 'x' })
  await put(shop, { connectionString: url.href, slot, publication })
  await shop.state('error', 'SOURCE_AUTH_FAILED')
  // The state that the platform has stored when its reader dies there.
  await app.pool.query(
    'update cdc_connections set owns_slot = true, owns_publication = true where application_id = $1',
    [shop.applicationId]
  )
  await shop.sql(`create publication ${publication}`)
  await shop.sql('select pg_create_logical_replication_slot($1, \'pgoutput\')', [slot])
  await shop.sql(`alter role ${role} login`)
  await shop.state('error', 'SLOT_FOREIGN')
  t.match((await shop.request('DELETE', '/api/database/connection')).body.leftovers, [
    { name: 'slot', status: 'kept' }, { name: 'publication', status: 'kept' }
  ])
  t.ok(await slotState(shop.source, slot))
  t.same((await shop.sql('select from pg_publication where pubname = $1', [publication])).length, 1)
})

await t.test('a reader that died after creating the slot is succeeded by one that uses or drops it', async t => {
  const shop = await sourced(t, app)
  /** Makes the platform's database refuse to store that the slot was created. */
  const refuse = uniqueName()
  await app.pool.query(
    `create function ${refuse} () returns trigger language plpgsql as $$ begin raise 'the reader dies here'; end $$`
  )
  await app.pool.query(
    `create trigger ${refuse} before update on cdc_connections for each row
    when (new.application_id = '${shop.applicationId}' and new.slot_lsn is not null) execute function ${refuse}()`
  )
  t.teardown(async () => {
    await app.pool.query(`drop function if exists ${refuse} cascade`)
  })
  await put(shop, {})
  await shop.state('error', 'READER_FAILED')
  const { slot } = await shop.connection()
  const { rows: [{ mark }] } = await app.pool.query('select mark from cdc_connections where application_id = $1', [
    shop.applicationId
  ])
  t.ok(carriesMark(slot, mark))
  const before = await slotState(shop.source, slot)
  t.ok(before, 'it was created')
  await app.pool.query(`drop function ${refuse} cascade`)
  await shop.state('streaming')
  t.match((await shop.request('DELETE', '/api/database/connection')).body.leftovers, [{
    name: 'slot', status: 'dropped'
  }, { name: 'publication', status: 'dropped' }])
  t.notOk(await slotState(shop.source, slot))
})

await t.test('a foreign publication is used, but never owned or dropped', async t => {
  const source = await createSource(t)
  const publication = uniqueName()
  await source.sql(`create publication ${publication}`)
  const shop = await sourced(t, app, source)
  await shop.connect({ publication })
  t.match((await shop.request('DELETE', '/api/database/connection')).body.leftovers, [{
    name: 'slot', status: 'dropped'
  }, { name: 'publication', status: 'kept' }])
  t.same((await source.sql('select from pg_publication where pubname = $1', [publication])).length, 1)

  await shop.connect({ publication: `${publication}_own` })
  await source.sql(`drop publication ${publication}_own; create publication ${publication}_own`)
  t.match((await shop.request('DELETE', '/api/database/connection')).body.leftovers[1], {
    name: 'publication', status: 'kept'
  }, 'one that replaced the connection\'s own is kept')
})

await t.test('a copy of the platform\'s database never touches the slot and publication of the original', async t => {
  const databaseUrl = await createDatabase(t)
  const adapt: NonNullable<Parameters<typeof build>[1]>['adapt'] = config => {
    Object.assign(config.cdc, { leaseMs: 2000, leftoverRetryMs: 300 })
  }
  const first = await build(t, { databaseUrl, adapt })
  const source = await createSource(t)
  const before = await sourced(t, first.app, source)
  const topic = await before.topic('row.inserted')
  await source.sql('create table rows (id int primary key)')
  await before.connect()
  const { subscriptionId } = await before.map({ table: 'rows', topic, events: ['insert'], payload: '$row.id' })
  const { slot, publication } = await before.connection()
  const headers = { authorization: `Bearer ${before.token()}` }
  await first.app.close()
  const copyUrl = withDatabase(databaseUrl, `${new URL(databaseUrl).pathname.slice(1)}_copy`)
  await adminQuery(
    databaseUrl,
    `create database ${new URL(copyUrl).pathname.slice(1)} template ${new URL(databaseUrl).pathname.slice(1)}`
  )
  t.teardown(() => adminQuery(databaseUrl, `drop database ${new URL(copyUrl).pathname.slice(1)} with (force)`))

  // While the original does not read, its slot is free for any reader.
  const { app: staging } = await build(t, { databaseUrl: copyUrl, adapt })
  const copy = (method: 'GET' | 'PUT' | 'DELETE', path: string, payload?: object) => staging.inject({
    method, url: `/api/database${path}`, headers, ...(payload !== undefined && { payload })
  })
  const copied = async (isThere: (connection: { state: string, error: { code: string } | null }) => boolean) =>
    until(async () => isThere((await copy('GET', '/connection')).json()), 'the state of the copy')
  await copied(({ error }) => error?.code === 'SLOT_FOREIGN')
  await copy('PUT', '/connection', { connectionString: source.url, acceptGap: true })
  await copied(({ error }) => error?.code === 'SLOT_FOREIGN')
  await copy('DELETE', `/subscriptions/${subscriptionId}`)
  t.match((await copy('DELETE', '/connection')).json().leftovers, [{ name: 'slot', status: 'kept' }, {
    name: 'publication', status: 'kept'
  }])
  t.ok(await slotState(source, slot))
  t.same(await source.sql('select tablename from pg_publication_tables where pubname = $1', [publication]), [{
    tablename: 'rows'
  }])

  await copy('PUT', '/connection', { connectionString: source.url })
  await copied(({ state }) => state === 'streaming')
  await source.sql('insert into rows values (1)')
  const { app: production } = await build(t, { databaseUrl, adapt })
  const log = async () =>
    (await production.inject({ url: `/api/topics/${topic}/events`, headers })).json() as { payload: unknown }[]
  await until(async () => (await log()).length > 0, 'the original to continue')
  t.same((await log()).map(({ payload }) => payload), [1])
  t.match((await copy('DELETE', '/connection')).json().leftovers, [{ name: 'slot', status: 'dropped' }, {
    name: 'publication', status: 'dropped'
  }])
  t.ok(await slotState(source, slot))
})

async function adminQuery (url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: withDatabase(url, 'postgres') })
  await client.connect()
  await client.query(text).finally(() => client.end())
}
