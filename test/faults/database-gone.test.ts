import { once } from 'node:events'
import type { InjectOptions } from 'fastify'
import t from 'tap'
import { WebSocket } from 'ws'
import { build, listen } from '../support/build.ts'
import { transports, type Client } from '../support/clients.ts'
import { DatabaseProxy } from '../support/database-proxy.ts'
import { createDatabase } from '../support/database.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

/*
 * A running server loses its database and gets it back. A proxy between them cuts, refuses or blocks connections. A
 * second node has its own connection to the database.
 */

t.setTimeout(600_000)

const direct = await createDatabase(t)
const proxy = new DatabaseProxy(new URL(direct))
t.teardown(() => proxy.close())
const proxied = new URL(direct)
proxied.hostname = '127.0.0.1'
proxied.port = String(await proxy.open())
const { app } = await build(t, { databaseUrl: proxied.href })
const { app: otherNode } = await build(t, { databaseUrl: direct })
const url = await listen(app)
const shop = await tenant(app)
const topic = await shop.topic('order.placed')
await shop.request('POST', '/api/sync/cart/documents', { id: 'one', data: {} })
const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

const password = 'correct horse battery staple'
const administrator = { name: 'Ada', email: 'ada@example.com', password }
const setup = await app.inject({
  method: 'POST', url: '/api/auth/setup', headers: { host: 'localhost' }, payload: administrator
})
const { sessionToken } = setup.json() as { sessionToken: string }

/** Writes through the unaffected node. */
async function publishElsewhere (...payloads: unknown[]): Promise<void> {
  const { statusCode } = await otherNode.inject({
    method: 'POST',
    url: `/api/topics/${topic}/events`,
    headers: { authorization: `Bearer ${shop.token()}` },
    payload: { events: payloads.map(payload => ({ payload })) }
  })
  if (statusCode !== 201) throw new Error(`status ${statusCode}`)
}

const clients: Client[] = []
for (const { connect: connectClient } of transports) {
  const client = await connectClient(url, { token: shop.token() })
  await client.request('subscribe', { topic })
  clients.push(client)
}
await shop.publish(topic, 1, 2)
for (const client of clients) await client.received(2)

await t.test('a node without its database reports that to all clients, and recovers when it is back', async t => {
  await proxy.close()
  const token = shop.token()
  const requests: [string, InjectOptions][] = [
    ['a list', { method: 'GET', url: '/api/topics' }],
    ['a read of one', { method: 'GET', url: '/api/sync/cart/documents/one' }],
    ['the log', { method: 'GET', url: `/api/topics/${topic}/events` }],
    ['a publish', { method: 'POST', url: `/api/topics/${topic}/events`, payload: { payload: 'lost' } }],
    ['a publish with an idempotency key', {
      method: 'POST',
      url: `/api/topics/${topic}/events`,
      payload: { payload: 'lost' },
      headers: { 'idempotency-key': 'k' }
    }],
    ['a write of a document', {
      method: 'PATCH', url: '/api/sync/cart/documents/one/merge', payload: { data: { lost: true } }
    }],
    ['a new document', { method: 'POST', url: '/api/sync/cart/documents', payload: { data: { lost: true } } }],
    ['a new topic', {
      method: 'POST', url: '/api/topics', payload: { name: 'lost.topic', description: 'd', owner: 'o' }
    }],
    ['a new application', {
      method: 'POST', url: '/api/applications', payload: { name: 'lost' }, headers: { authorization: sessionToken }
    }],
    ['a login', { method: 'POST', url: '/api/auth/login', payload: { email: administrator.email, password } }],
    ['a session', { method: 'GET', url: '/api/auth/me', headers: { authorization: sessionToken } }]
  ]
  await Promise.all(requests.map(async ([name, options]) => {
    const answer = await app.inject({ ...options, headers: { authorization: `Bearer ${token}`, ...options.headers } })
    t.equal(answer.statusCode, 503, `${name}: ${answer.body.slice(0, 200)}`)
    t.match(answer.headers['retry-after'], /^\d+$/)
    t.match(answer.json(), { error: 'ServiceUnavailableError', code: 'DATABASE_UNAVAILABLE', message: String })
    t.notMatch(answer.body, /ECONN|127\.0\.0\.1|postgres/, 'no internal details')
  }))
  t.match((await app.inject('/health')).json(), { status: 'ok' })
  const ready = await app.inject('/health/ready')
  t.equal(ready.statusCode, 503)
  t.match(ready.json(), { status: 'unavailable', components: { database: { status: 'failed' } } })
  t.equal((await app.inject('/api/metrics/prometheus')).statusCode, 200, 'metrics are available')

  for (const client of clients) {
    t.match(await client.request('subscribe', { topic: 'sync.cart.updated' }), {
      ok: false, code: 'DATABASE_UNAVAILABLE'
    }, `${client.kind} is refused, and lives`)
  }
  const newcomer = new WebSocket(`${url.replace('http', 'ws')}/ws?applicationId=${shop.applicationId}`, {
    headers: { authorization: sessionToken }
  })
  const [[message], [code]] = await Promise.all([once(newcomer, 'message'), once(newcomer, 'close')])
  t.match(JSON.parse(String(message)), { type: 'error', code: 'DATABASE_UNAVAILABLE' })
  t.equal(code, 1013, 'a client whose credential cannot be checked may reconnect')
  await publishElsewhere(3, 4)

  await proxy.open()
  await until(async () => (await app.inject('/health/ready')).statusCode === 200, 'readiness')
  for (const client of clients) {
    t.same(
      (await client.received(4)).map(event => event.offset),
      upTo(4),
      `${client.kind} receives what another node wrote meanwhile`
    )
  }
  await shop.publish(topic, 5)
  await publishElsewhere(6)
  for (const client of clients) {
    t.same(
      (await client.received(6)).map(event => event.payload),
      upTo(6),
      `${client.kind} has everything once, in order`
    )
    t.same(client.messages.filter(({ name }) => name === 'resync' || name === 'closing'), [])
  }
  const { body: log } = await shop.request('GET', `/api/topics/${topic}/events`)
  t.same(log.map((event: { payload: unknown }) => event.payload), upTo(6), 'refused writes were not stored')
  t.match(await shop.request('GET', '/api/sync/cart/documents/one'), { body: { revision: 1, data: {} } })
  const login = await app.inject({
    method: 'POST', url: '/api/auth/login', payload: { email: administrator.email, password }
  })
  t.equal(login.statusCode, 200, 'logins that failed because of the database do not count')
})

await t.test('a connection lost within a transaction fails its requests, not the server', async t => {
  for (const round of upTo(10)) {
    const writing = upTo(20).map(n =>
      shop.request('PATCH', '/api/sync/cart/documents/one/merge', { data: { [`r${round}n${n}`]: 1 } })
    )
    const settled = Promise.all(writing)
    await new Promise(resolve => setImmediate(resolve))
    await proxy.close()
    await proxy.open()
    t.ok(
      (await settled).every(({ status }) => status === 200 || status === 503),
      `round ${round}: ${(await settled).map(({ status }) => status).join()}`
    )
    const acked = (await settled).flatMap(({ status }, i) => status === 200 ? [`r${round}n${i + 1}`] : [])
    await until(async () => (await app.inject('/health/ready')).statusCode === 200, 'readiness')
    const { body } = await shop.request('GET', '/api/sync/cart/documents/one')
    t.same(acked.filter(key => body.data[key] !== 1), [])
  }
  const { body } = await shop.request('GET', '/api/sync/cart/documents/one')
  const log = await shop.request('GET', '/api/topics/sync.cart.updated/events?limit=1000')
  t.same(
    log.body.map((event: { payload: { revision: number } }) => event.payload.revision), upTo(body.revision, 2),
    'each revision has its event'
  )
})

await t.test('readiness detects a hanging database, and waiting requests complete when it continues', async t => {
  const { body: before } = await shop.request('GET', '/api/sync/cart/documents/one')
  proxy.hang(true)
  const writing = upTo(5).map(() =>
    shop.request('PATCH', '/api/sync/cart/documents/one/merge', { data: { hung: true } })
  )
  t.equal((await app.inject('/health')).statusCode, 200)
  const ready = await app.inject('/health/ready')
  t.equal(ready.statusCode, 503)
  t.match(ready.json(), { components: { database: { status: 'failed', message: /no response within/ } } })
  await publishElsewhere('hanging')
  proxy.hang(false)
  t.same((await Promise.all(writing)).map(({ status }) => status), upTo(5).map(() => 200))
  t.match(await shop.request('GET', '/api/sync/cart/documents/one'), { body: { revision: before.revision + 5 } })
  for (const client of clients) t.same((await client.received(7)).map(event => event.offset), upTo(7))
  t.equal((await app.inject('/health/ready')).statusCode, 200)
})

for (const client of clients) client.close()
