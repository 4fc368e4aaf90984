import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import pg from 'pg'
import { pino } from 'pino'
import t from 'tap'
import { build } from '../support/build.ts'
import { createSource, sourced, uniqueName, type TestSource } from '../support/source-database.ts'
import { until } from '../support/waiting.ts'

/*
 * Faults of a connected database: each has a state that names it, recovers without a restart, and reports every loss.
 */

t.setTimeout(600_000)

const lines: Record<string, unknown>[] = []
const logger = pino({ level: 'info' }, { write: (line: string) => { lines.push(JSON.parse(line)) } })
const { app, databaseUrl } = await build(t, { logger, adapt: config => { config.cdc.leaseMs = 3000 } })
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)

/** Creates a tenant that reads one table of one column. */
async function following (t: Tap, source?: TestSource) {
  const own = await sourced(t, app, source)
  const topic = await own.topic('row.inserted')
  await own.sql('create table rows (id int primary key)')
  await own.connect()
  await own.map({ table: 'rows', topic, events: ['insert'], payload: '$row.id' })
  let last = 0
  return {
    ...own,
    insert: async (count = 1) => {
      for (const end = last + count; last < end;) await own.sql(`insert into rows values (${++last})`)
    },
    /** Checks that these numbers arrived, each once, in order. */
    async has (t: Tap, numbers: number[], message = 'each once, in order'): Promise<void> {
      t.same((await own.events(topic, numbers.length)).map(event => event.payload), numbers, message)
    },
    slotName: async () => (await own.connection()).slot,
    publicationName: async () => (await own.connection()).publication
  }
}
type Tap = Pick<typeof t, 'same' | 'teardown'>

/** Ends the stream, so that the reader opens another one. */
async function cutStream (source: TestSource): Promise<void> {
  await source.sql(
    'select pg_terminate_backend(active_pid) from pg_replication_slots where database = current_database() and active'
  )
}

await t.test('a dropped slot is reported as a loss, and reading stops until the gap is accepted', async t => {
  const shop = await following(t)
  await shop.insert()
  await shop.has(t, [1])
  const slot = await shop.slotName()
  await until(async () => {
    await cutStream(shop.source)
    return shop.sql('select pg_drop_replication_slot($1)', [slot]).then(() => true, () => false)
  }, 'the slot to be dropped')
  await shop.insert()
  const { error } = await shop.state('error', 'SLOT_LOST')
  t.match(error?.message, /lost/)
  t.match((await app.inject('/health/ready')).json(), {
    status: 'ready', components: { cdc: { status: 'degraded', message: /SLOT_LOST/ } }
  })
  t.same(
    await shop.sql('select from pg_replication_slots where slot_name = $1', [slot]), [],
    'it is not created again'
  )
  await shop.request('PUT', '/api/database/connection', { connectionString: shop.source.url })
  await shop.state('error', 'SLOT_LOST')
  await shop.connect({ acceptGap: true })
  await shop.insert()
  await shop.has(t, [1, 3], 'changes in the accepted gap are lost')
})

await t.test('a slot that another program dropped and created again is detected', async t => {
  const shop = await following(t)
  await shop.insert()
  await shop.has(t, [1])
  const slot = await shop.slotName()
  await until(async () => {
    await cutStream(shop.source)
    return shop.sql('select pg_drop_replication_slot($1)', [slot]).then(() => true, () => false)
  }, 'the slot to be dropped')
  await shop.insert()
  await shop.sql('select pg_create_logical_replication_slot($1, \'pgoutput\')', [slot])
  await shop.state('error', 'SLOT_MOVED')
})

await t.test('a slot that another connection reads can be neither used nor dropped', async t => {
  const shop = await following(t)
  await shop.insert()
  await shop.has(t, [1])
  const other = await sourced(t, app, shop.source)
  await other.request('PUT', '/api/database/connection', {
    connectionString: shop.source.url, slot: await shop.slotName(), acceptGap: true
  })
  await other.state('error', 'SLOT_TAKEN')
  await other.request('DELETE', '/api/database/connection')
  await shop.insert()
  await shop.has(t, [1, 2])
})

await t.test('a dropped publication is detected while streaming', async t => {
  const shop = await following(t)
  await shop.insert()
  await shop.has(t, [1])
  await shop.sql(`drop publication ${await shop.publicationName()}`)
  await shop.insert()
  await shop.state('error', 'PUBLICATION_LOST')
  await shop.sql(`create publication ${await shop.publicationName()} for table rows`)
  await shop.state('error', 'PUBLICATION_LOST')
  await shop.connect({ acceptGap: true })
  await shop.insert()
  await shop.has(t, [1, 3])
})

await t.test('a table that was dropped or removed from the publication is a loss and is added again', async t => {
  const shop = await following(t)
  await shop.insert()
  await shop.has(t, [1])
  const { body: [{ id: mappingId }] } = await shop.request('GET', '/api/database/mappings')
  const isBack = async () => (await shop.sql("select from pg_publication_tables where tablename = 'rows'")).length === 1
  const lost = {
    status: 'failed', code: 'TABLE_UNPUBLISHED', table: 'public.rows', topic: 'row.inserted', events: 0, message: /lost/
  }
  const counted = async () =>
    Number(
      /realtime_cdc_mapping_failures_total\{code="TABLE_UNPUBLISHED"\} (\d+)/.exec(
        (await app.inject('/api/metrics/prometheus')).body
      )?.[1] ?? 0
    )

  // Other tests of this file move the counter as well.
  const before = await counted()
  await shop.sql('drop table rows')
  await shop.sql('create table rows (id int primary key)')
  await shop.insert()
  await cutStream(shop.source)
  await until(isBack, 'the table in the publication')
  await shop.insert()
  await shop.has(t, [1, 3], 'changes before it was added again are lost')
  t.match(await shop.logs(`mappingId=${mappingId}&status=failed`, logs => logs.length > 0), [lost])
  await until(async () => await counted() > before, 'the loss to be counted')
  t.match(lines.filter(({ msg }) => msg === 'cdc.changes_lost').at(-1), {
    level: 50, table: 'public.rows', mappings: [mappingId]
  })

  await shop.sql(`alter publication ${await shop.publicationName()} drop table rows`)
  await cutStream(shop.source)
  await until(isBack, 'the table in the publication')
  await shop.insert()
  await shop.has(t, [1, 3, 4])
  t.match(await shop.logs(`mappingId=${mappingId}&status=failed`, logs => logs.length === 2), [lost, lost])

  // In this state, publishing would break the owner's writes.
  await shop.sql('alter table rows replica identity nothing')
  await shop.sql(`alter publication ${await shop.publicationName()} drop table rows`)
  await cutStream(shop.source)
  await shop.logs(`mappingId=${mappingId}&status=failed`, logs => logs.length === 3)
  await until(
    () => lines.some(({ msg, table }) => msg === 'cdc.table_not_published' && table === 'public.rows'),
    'the log line with the reason'
  )
  await shop.sql('delete from rows')
  t.match((await shop.request('GET', '/api/database/mappings/status')).body[0].problems, [{
    code: 'REPLICA_IDENTITY', message: /once it is published, PostgreSQL refuses/
  }])
  await shop.sql('alter table rows replica identity default')
  await cutStream(shop.source)
  await until(isBack, 'the table in the publication')
  await until(async () => await counted() >= before + 3, 'the losses to be counted')
  t.equal(
    (await shop.logs(`mappingId=${mappingId}&status=failed`, logs => logs.length >= 3)).length, 3,
    'each loss is reported once'
  )
})

await t.test('reading continues without loss after a revoked privilege or a changed password is corrected', async t => {
  const source = await createSource(t)
  const role = uniqueName()
  await source.sql(`create role ${role} login replication password 'first'`)
  t.teardown(async () => {
    const client = new pg.Client({ connectionString: source.url })
    await client.connect()
    await client.query(`drop owned by ${role}; drop role ${role}`)
    await client.end()
  })
  const [{ name } = {}] = await source.sql('select current_database() as name')
  await source.sql(
    `grant create on database ${
      String(name)
    } to ${role}; grant create, usage on schema public to ${role}; set role ${role}`
  )
  const url = new URL(source.url)
  url.username = role
  url.password = 'first'
  const shop = await following(t, { ...source, url: url.href })
  await source.sql('reset role')
  await shop.insert()
  await shop.has(t, [1])

  await source.sql(`alter role ${role} noreplication`)
  await cutStream(source)
  await shop.state('error', 'SOURCE_PRIVILEGE')
  await shop.insert()
  await source.sql(`alter role ${role} replication`)
  await shop.state('streaming')
  await shop.has(t, [1, 2])

  await source.sql(`alter role ${role} password 'second'`)
  await source.sql('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [role])
  await shop.state('error', 'SOURCE_AUTH_FAILED')
  t.notMatch((await shop.request('GET', '/api/database/connection')).text, /first|second/)
  await shop.insert()
  url.password = 'second'
  await shop.request('PUT', '/api/database/connection', { connectionString: url.href })
  await shop.state('streaming')
  await shop.has(t, [1, 2, 3], 'reading continues from the position with a new password')
})

await t.test('reading continues without loss after a database was unreachable; others are not affected', async t => {
  const source = await createSource(t)
  const target = new URL(source.url)
  const sockets = new Set<Socket>()
  let isOpen = true
  const proxy = createServer(client => {
    if (!isOpen) return client.destroy()
    const upstream = connect({ host: target.hostname, port: Number(target.port) })
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      sockets.add(from)
      from.on('data', data => to.write(data))
      from.on('error', () => {})
      from.on('close', () => { sockets.delete(from); to.destroy() })
    }
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => { proxy.close() })
  const proxied = new URL(source.url)
  proxied.hostname = '127.0.0.1'
  proxied.port = String((proxy.address() as { port: number }).port)
  const shop = await following(t, { ...source, url: proxied.href })
  const other = await following(t)
  await shop.insert(2)
  await shop.has(t, [1, 2])
  isOpen = false
  for (const socket of sockets) socket.destroy()
  await shop.state('error', 'SOURCE_UNREACHABLE')
  t.match(await shop.connection(), { lagMs: null, lagBytes: null }, 'the lag is unknown')
  const gauge = async () =>
    Number(/^realtime_cdc_lag_seconds (\S+)/m.exec((await app.inject('/api/metrics/prometheus')).body)?.[1])
  await until(async () => await gauge() > 1, 'the gauge to rise')
  await shop.insert(3)
  await other.insert(3)
  await other.has(t, [1, 2, 3])
  t.match((await app.inject('/health/ready')).statusCode, 200)
  isOpen = true
  await shop.state('streaming')
  await shop.has(t, [1, 2, 3, 4, 5])
  // The gauge shows the node's worst connection. The connections of earlier tests are deleted.
  await until(async () => (await shop.connection()).lagMs === 0, 'no lag')
  for (const socket of sockets) socket.destroy()
  await shop.insert()
  await shop.has(t, [1, 2, 3, 4, 5, 6], 'a short interruption loses nothing')
})

await t.test('a mapping that is enabled right after connecting applies to every commit after the answer', async t => {
  for (let round = 0; round < 3; round++) {
    const own = await sourced(t, app)
    const topic = await own.topic('row.inserted')
    await own.sql('create table rows (id int primary key)')
    t.equal((await own.request('PUT', '/api/database/connection', { connectionString: own.source.url })).status, 200)
    const { body: { id: mappingId } } = await own.request('POST', '/api/database/mappings', {
      table: 'rows', topic, events: ['insert'], payload: '$row.id'
    })
    // On a slow machine, the wait may time out first.
    let status = 503
    while (status === 503) status = (await own.request('POST', '/api/database/subscriptions', { mappingId })).status
    t.equal(status, 201)
    await own.sql('insert into rows values (1)')
    t.same((await own.events(topic, 1)).map(event => event.payload), [1])
  }
})

await t.test('one of two nodes reads; the other takes over when it stops or loses its lease', async t => {
  const source = await createSource(t)
  const shop = await following(t, source)
  await shop.insert()
  await shop.has(t, [1])
  const { app: second } = await build(t, {
    databaseUrl,
    adapt: config => {
      config.cdc.leaseMs = 3000
    }
  })
  const ownerOf = async () =>
    (await second.pool.query(
      'select lease_owner, fence from cdc_positions p join cdc_connections c on c.id = p.connection_id where ' +
        'c.application_id = $1',
      [shop.applicationId]
    )).rows[0]
  const first = await ownerOf()

  // As if its node had been frozen for longer than its lease: it is still reading.
  await second.pool.query(
    `update cdc_positions
    set lease_owner = 'somebody', fence = fence + 1, lease_expires_at = clock_timestamp() - interval '1 s'
    where lease_owner = $1`,
    [first.lease_owner]
  )
  await shop.insert(20)
  await shop.has(t, upTo(21), 'each once, whichever node read it')
  await until(async () => !['somebody', null].includes((await ownerOf()).lease_owner), 'another reader')
  t.ok((await ownerOf()).fence > first.fence + 1)

  await app.close()
  await shop.insert(10)
  const read = async () =>
    (await second.pool.query('select count(*)::int as n from events where application_id = $1', [shop.applicationId]))
      .rows[0].n
  await until(async () => await read() === 31, 'the other node to continue')
  const { rows } = await second.pool.query('select payload from events where application_id = $1 order by "offset"', [
    shop.applicationId
  ])
  t.same(rows.map(row => Number(row.payload)), upTo(31))
})
