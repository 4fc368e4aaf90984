import t from 'tap'
import type { QuotaName, QuotasChange } from '../../schemas/quotas.ts'
import { build, listen } from '../support/build.ts'
import { transports } from '../support/clients.ts'
import { person } from '../support/people.ts'
import { tenant, type Tenant } from '../support/tenant.ts'
import { eventually, until } from '../support/waiting.ts'

/* Every quota, on every way in. */

t.setTimeout(600_000)
const { app } = await build(t, {
  variables: { WEBHOOK_ALLOW_PRIVATE: 'true', QUOTA_WEBHOOKS: '3' },
  adapt: config => { Object.assign(config.delivery, { authTimeoutMs: 2500 }) }
})
const url = await listen(app)
const root = await person(app, 'super_admin')
const put = (path: string, body: unknown, by = root) => by.request('PUT', path, body)

async function limit (shop: Tenant, quotas: QuotasChange): Promise<void> {
  const { status, text } = await put(`/api/applications/${shop.applicationId}/quotas`, quotas)
  if (status !== 200) throw new Error(text)
  await app.quotas.node.exchange()
}

const refusedBy = (quota: QuotaName, message: RegExp) => ({
  code: 'QUOTA_EXCEEDED', error: 'QuotaExceededError', message, details: [{ path: quota, message }]
})

const refusals = async (quota: QuotaName): Promise<number> => {
  const text = await app.instruments.registry.metrics()
  return Number(new RegExp(`realtime_quota_refusals_total\\{quota="${quota}"\\} (\\d+)`).exec(text)?.[1])
}

await t.test('publishesPerSecond refuses publishes, batches, appends and writes to documents', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('q.rate')
  const created = await shop.request('POST', '/api/sync/cart/documents', { id: 'one', data: { n: 1 } })
  t.equal(created.status, 201)
  const clients = await Promise.all(transports.map(({ connect }) => connect(url, { token: shop.token() })))
  t.teardown(() => { for (const client of clients) client.close() })
  await limit(shop, { publishesPerSecond: 1 })
  const message = /1 per second\. Retry in \d+ ms/
  const batch = Array.from({ length: 500 }, (_, i) => ({ payload: i }))
  t.equal((await shop.request('POST', `/api/topics/${topic}/events`, { events: batch })).status, 201, 'a full bucket')
  const before = await refusals('publishesPerSecond')
  for (
    const refused of [
      await shop.request('POST', `/api/topics/${topic}/events`, { payload: 1 }),
      await shop.request('POST', `/api/topics/${topic}/events`, { events: batch }),
      await shop.request('POST', '/api/sync/cart/documents', { id: 'two', data: {} }),
      await shop.request('PUT', '/api/sync/cart/documents/one', { data: {} }),
      await shop.request('POST', '/api/sync/cart/documents/one/mutate', {
        mutations: [{ op: 'set', path: '/n', value: 3 }]
      }),
      await shop.request('DELETE', '/api/sync/cart/documents/one')
    ]
  ) {
    t.match([refused.status, refused.body], [429, refusedBy('publishesPerSecond', message)])
    const wait = Number(refused.headers['retry-after'])
    t.ok(wait > 400 && wait <= 500, `a wait of ${wait} s until the batch is paid`)
    t.ok(refused.body.retryAfterMs > 0)
  }
  for (const client of clients) {
    const one = await client.request('append', { topic, payload: 1 })
    t.match(one, { ...refusedBy('publishesPerSecond', message), retryAfterMs: Number }, client.kind)
    t.match(await client.request('append', { topic, events: batch }), refusedBy('publishesPerSecond', message))
  }
  t.equal(await refusals('publishesPerSecond') - before, 10)
  t.equal((await shop.request('GET', `/api/topics/${topic}/events`)).status, 200, 'reading is not limited')
  await limit(shop, { publishesPerSecond: null })
  t.equal((await shop.request('POST', `/api/topics/${topic}/events`, { payload: 1 })).status, 201, 'without a quota')
})

await t.test('bytesStored refuses what would be stored beyond it, and admits deletions', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('q.bytes')
  await shop.request('POST', '/api/sync/cart/documents', { id: 'one', data: {} })
  await limit(shop, { bytesStored: 3000 })
  const payload = 'x'.repeat(900)
  const client = await transports[1]?.connect(url, { token: shop.token() })
  t.teardown(() => client?.close())
  const publish = () => shop.request('POST', `/api/topics/${topic}/events`, { payload })
  t.equal((await publish()).status, 201)
  t.equal((await publish()).status, 201)
  const refused = await eventually(async () => {
    const answer = await publish()
    return answer.status === 429 && answer
  })
  const message = /stored \d+ of 3000 bytes/
  t.match(refused.body, refusedBy('bytesStored', message))
  t.equal(refused.headers['retry-after'], undefined, 'waiting does not help')
  t.equal(refused.body.retryAfterMs, undefined)
  t.match(await client?.request('append', { topic, payload }), refusedBy('bytesStored', message))
  const replaced = await shop.request('PUT', '/api/sync/cart/documents/one', { data: { payload } })
  t.match(replaced.body, refusedBy('bytesStored', message))
  t.equal((await shop.request('DELETE', '/api/sync/cart/documents/one')).status, 200)

  // Retention makes room.
  await app.quotas.node.flush()
  await shop.request('PATCH', `/api/topics/${topic}`, { retentionHours: 1 })
  await app.retention.trim(Date.now() + 2 * 3_600_000)
  await app.quotas.node.exchange()
  t.equal((await publish()).status, 201)
})

await t.test('bytesStored counts events that are kept for ever, but not dropped ones', async t => {
  const shop = await tenant(app)
  await shop.topic('q.kept')
  await shop.topic('q.dropped')
  await shop.request('PATCH', '/api/topics/q.kept', { retentionHours: 'forever' })
  await shop.publish('q.kept', 'x'.repeat(998))
  await shop.publish('q.dropped', 'ä'.repeat(249))
  await app.quotas.node.flush()
  const stored = async () => {
    const { rows } = await app.pool.query(
      'select period = 0 as kept, bytes from application_bytes where application_id = $1 and bytes > 0', [
        shop.applicationId
      ]
    )
    return rows
  }
  t.same(await stored(), [{ kept: false, bytes: 1500 }])
  await app.retention.sweep(Date.now() + 100 * 3_600_000)
  t.same(await stored(), [{ kept: true, bytes: 1000 }])
  await shop.request('PATCH', '/api/topics/q.kept', { retentionHours: 1 })
  await app.retention.trim(Date.now() + 100 * 3_600_000)
  t.same(await stored(), [])
})

await t.test('documents refuses creations at the quota exactly, also those in parallel', async t => {
  const shop = await tenant(app)
  await shop.request('POST', '/api/sync/cart/documents', { id: 'first', data: {} })
  await limit(shop, { documents: 5 })
  await until(async () => {
    await app.quotas.node.exchange()
    return app.quotas.guard.documents.total(shop.applicationId, 0) === 1
  }, 'the documents to be counted')
  const create = (id: string) => shop.request('POST', '/api/sync/cart/documents', { id, data: {} })
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => create(`p${i}`)))
  const statuses = answers.map(({ status }) => status)
  t.equal(statuses.filter(status => status === 201).length, 4, statuses.join())
  const refused = await create('more')
  t.match(refused.body, refusedBy('documents', /It has 5 of 5/))
  t.equal(refused.headers['retry-after'], undefined)
  const changed = await shop.request('PUT', '/api/sync/cart/documents/first', { data: { n: 1 } })
  t.equal(changed.status, 200, 'changes are admitted')
  t.equal((await shop.request('DELETE', '/api/sync/cart/documents/first')).status, 200)
  t.equal((await create('again')).status, 201, 'a deletion makes room')
  t.equal((await create('too-many')).status, 429)
  await app.quotas.node.exchange()
  t.equal((await create('too-many')).status, 429, 'also after the count is stored')
  const { rows: [row] } = await app.pool.query(
    'select documents from application_documents where application_id = $1', [shop.applicationId]
  )
  t.equal(row.documents, 5)
})

await t.test('webhooks refuses creations, by the default of the server and by a quota', async t => {
  const shop = await tenant(app)
  const create = () => shop.request('POST', '/api/webhooks', { url: 'http://127.0.0.1:9/', events: ['topic.event'] })
  for (let i = 0; i < 3; i++) t.equal((await create()).status, 201)
  const refused = await create()
  t.match([refused.status, refused.body], [429, refusedBy('webhooks', /It has 3 of 3/)])
  t.equal(refused.headers['retry-after'], undefined)
  await limit(shop, { webhooks: 4 })
  t.same((await Promise.all([create(), create(), create()])).map(({ status }) => status).sort(), [201, 429, 429])
  await limit(shop, { webhooks: null })
  t.equal((await create()).status, 201)
})

for (const { name, connect } of transports) {
  await t.test(`sockets and subscriptions are refused over ${name}`, async t => {
    const shop = await tenant(app)
    const topic = await shop.topic('q.sockets')
    await limit(shop, { sockets: 2, subscriptions: 3 })
    const token = shop.token()
    const first = await connect(url, { token })
    const second = await connect(url, { token })
    t.teardown(() => { first.close(); second.close() })
    const message = /It has 2 of 2/
    if (name === '/ws') {
      const third = await connect(url, { token })
      t.match(await third.message('error'), refusedBy('sockets', message))
      t.match(await third.closed, { code: 4429, reason: 'RATE_LIMITED' })
    } else {
      // A stock client sees the link close, and comes back by itself.
      const { io } = await import('socket.io-client')
      const socket = io(url, { auth: { token }, transports: ['websocket'], forceNew: true, reconnection: true })
      t.teardown(() => socket.close())
      const closed = await new Promise(resolve => socket.once('connect_error', resolve).io.once('close', resolve))
      t.ok(closed)
      first.close()
      await until(() => socket.connected, 'the client to connect once there is room')
      socket.close()
    }
    const subscribe = (client: typeof second, to = topic) => client.request('subscribe', { topic: to })
    for (let i = 0; i < 3; i++) t.match(await subscribe(second), { ok: true })
    const refused = await subscribe(second)
    t.match(refused, { ok: false, ...refusedBy('subscriptions', /It has 3 of 3/) })
    t.notOk('retryAfterMs' in refused)
    t.match(await subscribe(second, 'q.*'), { ok: false, code: 'QUOTA_EXCEEDED' }, 'a pattern as well')
    first.close()
    second.close()
    await until(() => app.connections.counts().get(shop.applicationId) === undefined)
    const third = await connect(url, { token })
    t.teardown(() => third.close())
    t.match(await subscribe(third), { ok: true }, 'closed sockets make room')
  })
}

await t.test('a quota of one application does not affect another', async t => {
  const [shop, other] = [await tenant(app), await tenant(app)]
  for (const each of [shop, other]) await each.topic('q.apart')
  await limit(shop, { publishesPerSecond: 1, bytesStored: 0, sockets: 0, subscriptions: 0, webhooks: 0, documents: 0 })
  t.match(
    (await shop.request('POST', '/api/topics/q.apart/events', { payload: 1 })).body, { code: 'QUOTA_EXCEEDED' }
  )
  t.equal((await other.request('POST', '/api/topics/q.apart/events', { payload: 1 })).status, 201)
  t.equal((await other.request('POST', '/api/sync/cart/documents', { data: {} })).status, 201)
})
