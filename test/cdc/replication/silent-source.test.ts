import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { dropSlot } from '../../../src/cdc/source/slot.ts'
import { openSource } from '../../../src/cdc/source/source.ts'
import { build } from '../../support/build.ts'
import { createSource, sourced, type TestSource } from '../../support/source-database.ts'
import type { Teardown } from '../../support/teardown.ts'
import { until } from '../../support/waiting.ts'
import { answering, description, message, ready, row, startHostileServer, text } from '../wire/hostile-server.ts'

/* A server that does not answer one statement delays only its own reader, and cannot prevent the end of that. */

t.setTimeout(600_000)

const hour = 3_600_000
const { app } = await build(t, {
  adapt: config => {
    Object.assign(config.cdc, { leaseMs: 2000, leftoverRetryMs: 300, startMaxMs: hour })
  }
})

/** Puts a proxy before the database that withholds the statement from its server. */
async function silencedOn (
  t: Teardown, source: TestSource, statement: string
): Promise<TestSource & { silenced: () => number }> {
  const { hostname, port } = new URL(source.url)
  const open = new Set<Socket>()
  let silenced = 0
  const proxy = createServer(client => {
    const server = connect(Number(port), hostname)
    for (const [one, other] of [[client, server], [server, client]] as const) {
      open.add(one)
      one.on('error', () => {}).on('close', () => other.destroy())
    }
    server.pipe(client)
    client.on('data', (chunk: Buffer) => {
      if (chunk.includes(statement)) silenced++
      else server.write(chunk)
    })
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => {
    for (const socket of open) socket.destroy()
    proxy.close()
  })
  const url = new URL(source.url)
  Object.assign(url, { hostname: '127.0.0.1', port: (proxy.address() as { port: number }).port })
  return { ...source, url: url.href, silenced: () => silenced }
}

async function stuck (t: Test, statement: string, on = app) {
  const source = await createSource(t)
  const silent = await silencedOn(t, source, statement)
  const shop = await sourced(t, on, silent)
  const { status } = await shop.request('PUT', '/api/database/connection', { connectionString: silent.url })
  t.equal(status, 200)
  await until(() => silent.silenced() > 0, `${statement} not to be answered`)
  return { shop, source }
}

const statements = [
  'SHOW server_encoding', 'START_REPLICATION', 'pg_backend_pid() as pid', 'pg_create_logical_replication_slot'
]

await t.test('a corrected connection is read while the earlier one still waits for an answer', async t => {
  await Promise.all(statements.map(async statement => {
    const { shop, source } = await stuck(t, statement)
    await shop.request('PUT', '/api/database/connection', { connectionString: source.url, acceptGap: true })
    await shop.state('streaming')
    await shop.request('DELETE', '/api/database/connection')
  }))
})

await t.test('leftovers of other connections are dropped while a server does not answer', async t => {
  const { shop } = await stuck(t, 'START_REPLICATION')
  const [first, second] = [await createSource(t), await createSource(t)]
  const other = await sourced(t, app, first)
  await other.connect()
  await shop.request('DELETE', '/api/database/connection')
  await other.request('PUT', '/api/database/connection', { connectionString: second.url, acceptGap: true })
  await other.state('streaming')
  const slots = 'select from pg_replication_slots where database = current_database()'
  await until(async () => (await first.sql(slots)).length === 0, 'the slot in the first database to be dropped')
  await other.request('DELETE', '/api/database/connection')
})

await t.test('a stream that does not start is an error and is retried', async t => {
  const { app } = await build(t, { adapt: config => { Object.assign(config.cdc, { leaseMs: 2000, startMaxMs: 500 }) } })
  const { shop } = await stuck(t, 'START_REPLICATION', app)
  t.match(await shop.state('error', 'SOURCE_UNREACHABLE'), { error: { message: /did not start/ } })
  await shop.request('DELETE', '/api/database/connection')
})

await t.test('the platform stops although servers do not answer', async t => {
  await Promise.all(statements.map(statement => stuck(t, statement)))
  await app.close()
})

await t.test('dropping gives up on a server that still reports the slot', async t => {
  let queries = 0
  const columns = ['database', 'isHere', 'plugin', 'active', 'activePid', 'activeName', 'walStatus', 'confirmedLsn']
  const answer = answering(
    description(...columns), row('shop', 't', 'pgoutput', 'f', null, null, 'reserved', '0/1'),
    message('C', [text('SELECT 1')]), ready
  )
  const server = await startHostileServer(t, {
    ...answer,
    onMessage (peer, type, body) {
      if (type === 'S') queries++
      answer.onMessage?.(peer, type, body)
    }
  })
  const client = await openSource(server.url)
  await t.rejects(dropSlot(client, { name: 'kept', isMarked: true, lsn: null, session: 'mark' }), { code: 'SLOT_BUSY' })
  t.ok(queries < 400, `${queries} queries`)
  await client.close()
})
