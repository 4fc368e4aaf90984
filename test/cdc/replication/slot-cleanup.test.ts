import pg from 'pg'
import t from 'tap'
import { dropSlot } from '../../../src/cdc/source/slot.ts'
import { build } from '../../support/build.ts'
import { createSource, sourced, uniqueName, type TestSource } from '../../support/source-database.ts'
import { until } from '../../support/waiting.ts'

/* A connection's slot and publication are dropped when the connection ends: a slot that is not read retains WAL. */

t.setTimeout(600_000)

const { app } = await build(t, {
  adapt: config => {
    Object.assign(config.cdc, { leaseMs: 2000, leftoverRetryMs: 300 })
  }
})

const slotsOf = async ({ sql }: TestSource) =>
  (await sql('select slot_name as name from pg_replication_slots where database = current_database()')).map((
    { name }
  ) => name)
const publicationsOf = async ({ sql }: TestSource) =>
  (await sql('select pubname as name from pg_publication')).map(({ name }) => name)
const isClean = async (source: TestSource) =>
  (await slotsOf(source)).length === 0 && (await publicationsOf(source)).length === 0

await t.test('a connection that moves to another database leaves nothing in the first after the gap', async t => {
  const [first, second] = [await createSource(t), await createSource(t)]
  const shop = await sourced(t, app, first)
  await shop.connect()
  const { slot } = await shop.connection()
  await shop.request('PUT', '/api/database/connection', { connectionString: second.url })
  await shop.state('error', 'PUBLICATION_LOST')
  t.same(await slotsOf(first), [slot], 'until then the connection may return')
  await shop.connect()
  t.same(await slotsOf(first), [slot])

  await shop.request('PUT', '/api/database/connection', { connectionString: second.url, acceptGap: true })
  await shop.state('streaming')
  t.same(await slotsOf(second), [slot], 'the second database on the same server can use the name')
  await until(() => isClean(first), 'the first database to be clean')
  t.match(await shop.connection(), { leftovers: [] })
  t.match((await shop.request('DELETE', '/api/database/connection')).body.leftovers, [{
    name: 'slot', status: 'dropped'
  }, { name: 'publication', status: 'dropped' }])
  t.ok(await isClean(second))
})

await t.test('a slot or publication of another name replaces the connection\'s own', async t => {
  const shop = await sourced(t, app)
  await shop.connect()
  const [slot, publication] = [uniqueName(), uniqueName()]
  await shop.connect({ slot, publication, acceptGap: true })
  await until(
    async () => (await slotsOf(shop.source)).length === 1 && (await publicationsOf(shop.source)).length === 1,
    'the first to be dropped'
  )
  t.same([await slotsOf(shop.source), await publicationsOf(shop.source)], [[slot], [publication]])
})

await t.test('leftovers that cannot be dropped at once are reported and dropped later', async t => {
  const source = await createSource(t)
  const role = uniqueName()
  await source.sql(`create role ${role} login replication superuser password 'first'`)
  t.teardown(async () => {
    const client = new pg.Client({ connectionString: source.url })
    await client.connect()
    await client.query(`drop owned by ${role}; drop role ${role}`)
    await client.end()
  })
  const url = new URL(source.url)
  Object.assign(url, { username: role, password: 'first' })
  const shop = await sourced(t, app, { ...source, url: url.href })
  await shop.connect()
  await source.sql(`alter role ${role} nologin`)
  const { body } = await shop.request('DELETE', '/api/database/connection')
  t.match(body.leftovers, [{ name: 'slot', status: 'failed', sql: /pg_drop_replication_slot/ }, {
    name: 'publication', status: 'failed', sql: /DROP PUBLICATION/
  }])
  t.equal((await slotsOf(source)).length, 1)
  await shop.request('PUT', '/api/database/connection', { connectionString: url.href })
  t.match(await shop.connection(), {
    leftovers: [{ name: 'slot', status: 'failed', sql: /pg_drop_replication_slot/ }, { name: 'publication' }]
  })
  await shop.request('DELETE', '/api/database/connection')
  await source.sql(`alter role ${role} login`)
  await until(() => isClean(source), 'both to be dropped')
})

await t.test('a slot is owned even if its reader died before confirming it', async t => {
  const shop = await sourced(t, app)
  const slot = uniqueName()
  /** Makes the platform's database refuse matching updates, so that the reader stops there as if it had died. */
  const refuse = async (table: string, when: string) => {
    await app.pool.query(
      `create function ${slot}_refuse () returns trigger language plpgsql as
      $$ begin raise 'the reader dies here'; end $$`
    )
    await app.pool.query(
      `create trigger refuse before update on ${table} for each row when (${when}) execute function ${slot}_refuse()`
    )
  }
  const allow = () => app.pool.query(`drop function ${slot}_refuse cascade`)
  const read = async () =>
    (await app.pool.query(
      'select c.owns_slot, c.gap_accepted, p.slot from cdc_connections c join cdc_positions p on p.connection_id = ' +
        'c.id where c.application_id = $1',
      [shop.applicationId]
    )).rows[0]

  await refuse('cdc_positions', `new.slot = '${slot}'`)
  await shop.request('PUT', '/api/database/connection', { connectionString: shop.source.url, slot })
  await shop.state('error', 'READER_FAILED')
  t.same(await slotsOf(shop.source), [slot])
  t.match(await read(), { owns_slot: true, slot: null })
  await allow()
  await shop.state('streaming')
  t.match(await read(), { owns_slot: true, slot })

  await refuse('cdc_connections', 'old.gap_accepted and not new.gap_accepted')
  const second = uniqueName()
  await shop.request('PUT', '/api/database/connection', {
    connectionString: shop.source.url, slot: second, acceptGap: true
  })
  await shop.state('error', 'READER_FAILED')
  t.match(
    await read(), { owns_slot: true, gap_accepted: true, slot },
    'only the stream that starts after an accepted gap uses it up'
  )
  await allow()
  await shop.state('streaming')
  t.match(await read(), { owns_slot: true, gap_accepted: false, slot: second })
  await until(async () => !(await slotsOf(shop.source)).includes(slot), 'the first slot to be dropped')
  t.match((await shop.request('DELETE', '/api/database/connection')).body.leftovers, [{
    name: 'slot', status: 'dropped'
  }, { name: 'publication', status: 'dropped' }])
  t.ok(await isClean(shop.source))
})

await t.test('a slot that another connection reads is kept', async t => {
  const shop = await sourced(t, app)
  await shop.connect()
  const { slot } = await shop.connection()
  const other = await sourced(t, app, shop.source)
  await other.request('PUT', '/api/database/connection', { connectionString: shop.source.url, slot })
  await other.state('error', 'SLOT_TAKEN')
  await app.pool.query('update cdc_connections set owns_slot = true where application_id = $1', [other.applicationId])
  t.match((await other.request('DELETE', '/api/database/connection')).body.leftovers, [{
    name: 'slot', status: 'kept', message: /another connection/i
  }, { name: 'publication' }])
  t.same(await slotsOf(shop.source), [slot])
})

await t.test('a connection created right after another one has its own names', async t => {
  const shop = await sourced(t, app)
  await shop.connect()
  const first = await shop.connection()
  await shop.request('DELETE', '/api/database/connection')
  await shop.connect()
  const second = await shop.connection()
  t.not(second.slot, first.slot)
  t.not(second.publication, first.publication)
  t.same(await slotsOf(shop.source), [second.slot])
})

await t.test('a slot that another session drops, or has dropped, counts as dropped', async t => {
  const { url, client } = await createSource(t)
  const name = uniqueName()
  const other = new pg.Client({ connectionString: url })
  await other.connect()
  await client.query("select pg_create_logical_replication_slot($1, 'pgoutput')", [name])
  const record = { name, isMarked: true, lsn: null, session: 'none' }
  t.same(await Promise.all([dropSlot(client, record), dropSlot(other, record)]), ['dropped', 'dropped'])
  t.equal(await dropSlot(client, record), 'dropped')
  t.same((await client.query('select from pg_replication_slots where slot_name = $1', [name])).rows, [])
  await other.end()
})
