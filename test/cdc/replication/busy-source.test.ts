import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import pg from 'pg'
import { pino } from 'pino'
import t from 'tap'
import { build } from '../../support/build.ts'
import { startTestPostgres } from '../../support/postgres.ts'
import { createSource, sourced } from '../../support/source-database.ts'
import { until } from '../../support/waiting.ts'

/** Only for this database: other tests may use the same server. */
const walsenders =
  "select count(*)::int as senders from pg_stat_activity where backend_type = 'walsender' " +
  'and datname = current_database()'

/*
 * A server that decodes a large transaction of which nothing is published rarely reads keepalives. The reader waits for
 * it, however long that takes.
 */

t.setTimeout(600_000)

const lines: Record<string, unknown>[] = []
const logger = pino({ level: 'info' }, { write: (line: string) => { lines.push(JSON.parse(line)) } })
const server = await startTestPostgres({ settings: { wal_sender_timeout: '5min', logical_decoding_work_mem: '64kB' } })
process.once('beforeExit', () => { void server.stop() })
process.env['TEST_DATABASE_URL'] ??= server.url
const { app } = await build(t, {
  logger,
  adapt: config => {
    config.cdc.timing = { pingEveryMs: 30, careEveryMs: 30, silenceMaxMs: 100 }
  }
})

await t.test('the reader waits while a large unpublished transaction is decoded, and reports it', async t => {
  const shop = await sourced(t, app)
  const topic = await shop.topic('row.inserted')
  await shop.sql('create table rows (id int primary key); create table bulk (id int, note text)')
  await shop.connect()
  await shop.map({ table: 'rows', topic, events: ['insert'], payload: '$row.id' })
  await shop.sql('insert into rows values (1)')
  const observer = new pg.Client({ connectionString: shop.source.url })
  await observer.connect()
  const isOver = new AbortController()
  let sendersMax = 0
  const shown = { inConnection: false, inHealth: false }
  const watching = (async () => {
    while (!isOver.signal.aborted) {
      const { rows: [row] } = await observer.query<{ senders: number }>(walsenders)
      sendersMax = Math.max(sendersMax, row?.senders ?? 0)
      shown.inHealth ||= /1 of 1 readers wait/.test((await app.inject('/health/ready')).body)
      shown.inConnection ||= (await shop.connection()).decodingSince !== null
    }
  })()
  const decodes = () => lines.filter(({ msg }) => msg === 'cdc.source_decodes')
  // A fast machine decodes a transaction before the silence is detected or the state is stored: each is larger.
  for (let rounds = 0; rounds < 10 && (decodes().length === 0 || !shown.inConnection || !shown.inHealth); rounds++) {
    await shop.sql(`insert into bulk select n, 'a note' from generate_series(1, ${300_000 * (rounds + 1)}) n`)
    await shop.sql('insert into rows values ($1)', [rounds + 2])
    await shop.events(topic, rounds + 2)
  }
  isOver.abort()
  await watching
  await observer.end()
  const rows = await shop.events(topic, 2)
  t.same(rows.map(({ payload }) => payload), rows.map((_, i) => i + 1), 'each once, in order')
  t.match(decodes()[0], { level: 30, sentLsn: String, connectionId: String })
  t.ok(shown.inConnection, 'the connection reports since when the server decodes')
  t.ok(shown.inHealth, 'the readiness reports it too')
  t.equal(sendersMax, 1, 'never two sessions at once')
  t.same(lines.filter(({ msg }) => msg === 'cdc.reader_failed'), [], 'the stream was never ended')
  await until(async () => (await shop.connection()).decodingSince === null, 'the end of decoding')
})

await t.test('after a session ends while the server decodes, the next one starts at the stored position', async t => {
  const shop = await sourced(t, app)
  const topic = await shop.topic('row.inserted')
  await shop.sql('create table rows (id int primary key); create table bulk (id int, note text)')
  await shop.connect()
  await shop.map({ table: 'rows', topic, events: ['insert'], payload: '$row.id' })
  await shop.sql('insert into rows values (1)')
  await shop.events(topic, 1)
  await shop.sql("insert into bulk select n, 'a note' from generate_series(1, 200000) n")
  for (let cuts = 0; cuts < 3;) {
    const cut = await shop.sql(
      'select pg_terminate_backend(active_pid) from pg_replication_slots where database = current_database() and active'
    )
    cuts += cut.length
  }
  await shop.sql('insert into rows values (2)')
  t.same((await shop.events(topic, 2)).map(({ payload }) => payload), [1, 2], 'each once, in order')
  await until(async () => (await shop.sql(walsenders))[0]?.['senders'] === 1, 'one session to be left')
})

await t.test('a network path that dies within a transaction is detected', async t => {
  const source = await createSource(t)
  const target = new URL(source.url)
  const sockets = new Set<Socket>()
  let bytesLeft: number | undefined
  const mute = new Set<Socket>()
  const proxy = createServer(client => {
    const upstream = connect({ host: target.hostname, port: Number(target.port) })
    let isStream = false
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
    client.on('data', data => {
      isStream ||= data.includes('START_REPLICATION')
      if (!mute.has(client)) upstream.write(data)
    }).on('close', () => upstream.destroy())
    upstream.on('data', data => {
      if (mute.has(client)) return
      if (!isStream || bytesLeft === undefined) return client.write(data)
      client.write(data.subarray(0, bytesLeft))
      if (data.length < bytesLeft) bytesLeft -= data.length
      else {
        mute.add(client)
        bytesLeft = undefined
      }
    }).on('close', () => { if (!mute.has(client)) client.destroy() })
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    proxy.close()
  })
  const proxied = new URL(source.url)
  proxied.hostname = '127.0.0.1'
  proxied.port = String((proxy.address() as { port: number }).port)
  const shop = await sourced(t, app, { ...source, url: proxied.href })
  const topic = await shop.topic('row.inserted')
  await shop.sql('create table rows (id int primary key, note text)')
  await shop.connect()
  await shop.map({ table: 'rows', topic, events: ['insert'], payload: '$row.id' })
  await shop.sql('insert into rows values (1)')
  await shop.events(topic, 1)
  bytesLeft = 10_000
  await shop.sql("insert into rows select n, repeat('x', 500) from generate_series(2, 200) n")
  await until(() => mute.size === 1, 'the path to be dead')
  // As PostgreSQL's wal_sender_timeout would, but the end does not arrive.
  await shop.sql(
    'select pg_terminate_backend(active_pid) from pg_replication_slots where database = current_database() and active'
  )
  t.same(
    (await shop.events(topic, 200)).map(({ payload }) => payload), Array.from({ length: 200 }, (_, i) => i + 1),
    'each once, in order'
  )
})
