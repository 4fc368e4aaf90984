import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { connectWs } from '../../support/clients.ts'
import { person } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'
import { receiver } from '../../support/webhook-receiver.ts'

const { app } = await build(t, {
  variables: { QUOTA_SOCKETS: '500', WEBHOOK_ALLOW_PRIVATE: 'true' },
  adapt: config => Object.assign(config.webhooks, { pollMs: 50 })
})
const url = await listen(app)
const root = await person(app, 'super_admin')
const put = (path: string, body: unknown, by = root) => by.request('PUT', path, body)
const defaults = {
  publishesPerSecond: null, bytesStored: null, sockets: 500, subscriptions: null, webhooks: null, documents: null
}

t.test('quotas are the defaults until they are set, and null is no limit', async t => {
  const shop = await tenant(app)
  const path = `/api/applications/${shop.applicationId}/quotas`
  t.strictSame((await shop.request('GET', path)).body, defaults)
  const set = await put(path, { publishesPerSecond: 5, sockets: null })
  t.strictSame([set.status, set.body], [200, { ...defaults, publishesPerSecond: 5, sockets: null }])
  t.strictSame((await shop.request('GET', path)).body, set.body)
  t.strictSame((await put(path, set.body)).body, set.body, 'a response can be sent back')
  t.strictSame((await put(path, { documents: 0 })).body, { ...defaults, documents: 0 }, 'absent: the default')
  const { rows } = await app.pool.query(
    "select actor_id, before, after from audit_log where action = 'application.quotas_updated' " +
      'and application_id = $1 order by sequence',
    [shop.applicationId]
  )
  t.match(rows, [
    { actor_id: root.id, before: defaults, after: { publishesPerSecond: 5, sockets: null } },
    {},
    { before: { publishesPerSecond: 5 }, after: { ...defaults, documents: 0 } }
  ])
})

t.test('invalid quotas are refused', async t => {
  const shop = await tenant(app)
  const path = `/api/applications/${shop.applicationId}/quotas`
  for (
    const body of [
      { publishesPerSecond: 0 }, { sockets: -1 }, { sockets: 1.5 }, { sockets: '5' }, { sockets: true },
      { bytesStored: 2 ** 53 }, { documents: 2_000_000_001 }, { unknown: 1 }, [], 'x', null
    ]
  ) {
    const { status, body: answer } = await put(path, body)
    t.match([status, answer], [400, { code: 'VALIDATION_FAILED' }], JSON.stringify(body))
  }
  t.match((await put('/api/applications/app_none/quotas', {})).body, { code: 'APPLICATION_NOT_FOUND' })
  t.strictSame((await root.get(path)).body, defaults)
})

t.test('a tenant reads its quotas but cannot change them', async t => {
  const [shop, other] = [await tenant(app), await tenant(app)]
  const path = `/api/applications/${shop.applicationId}/quotas`
  const change = { publishesPerSecond: null }
  t.match((await shop.request('PUT', path, change)).body, { code: 'PERMISSION_DENIED' }, 'an admin token')
  const own = await person(app, ['admin', shop.applicationId])
  t.match((await put(path, change, own)).body, { code: 'PERMISSION_DENIED' }, 'an admin of the application')
  t.equal((await own.get(path)).status, 200)
  const superOfOne = await person(app, ['super_admin', shop.applicationId])
  t.match((await put(path, change, superOfOne)).body, { code: 'PERMISSION_DENIED' })
  t.equal((await put(path, change, await person(app, 'admin'))).status, 200, 'an admin of all applications')
  for (const suffix of ['quotas', 'usage']) {
    t.match(
      (await other.request('GET', `/api/applications/${shop.applicationId}/${suffix}`)).body,
      { code: 'APPLICATION_NOT_FOUND' }
    )
  }
  t.match((await other.request('PUT', path, change)).body, { code: 'APPLICATION_NOT_FOUND' })
})

t.test('usage by day and by hour', async t => {
  const shop = await tenant(app)
  const sink = await receiver(t)
  await shop.topic('u.log')
  await shop.request('POST', '/api/webhooks', { url: sink.url, events: ['topic.event'] })
  const client = await connectWs(url, { token: shop.token() })
  t.teardown(() => client.close())
  await client.request('subscribe', { topic: 'u.log' })
  await client.request('subscribe', { topic: 'u.log', filter: { '/n': 1 } })
  await shop.publish('u.log', 'abc', 'ä')
  await shop.request('POST', '/api/sync/cart/documents', { id: 'one', data: {} })
  await client.received(2)
  await sink.came(2)
  const path = `/api/applications/${shop.applicationId}/usage`
  const read = async (query = '') => (await shop.request('GET', `${path}${query}`)).body
  await until(async () => (await read())[0]?.deliveries === 4, 'the deliveries to be counted')
  await app.quotas.node.exchange()
  const [day] = await read()
  const dayMs = 24 * 3_600_000
  t.match(day, {
    from: Date.now() - Date.now() % dayMs, publishes: 3, deliveries: 4, socketsPeak: 1, subscriptionsPeak: 2,
    webhooks: 1
  })
  t.ok(day.bytesWritten > 9, 'two payloads of 5 and 4 bytes, and a document')
  t.equal(day.bytesStored, day.bytesWritten)
  t.match(await read('?by=hour'), [{ publishes: 3, from: Date.now() - Date.now() % 3_600_000 }])
  t.same(await read(`?from=0&to=${dayMs}`), [], 'nothing was counted in 1970')
  t.same(await read(`?from=${Date.now()}&to=${Date.now() + 1000}`), [day], 'the period with `from` is included')
  for (const query of ['?from=2&to=1', '?by=week', '?from=x', '?from=0', '?by=hour&from=0&to=9999999999999', '?x=1']) {
    t.match((await shop.request('GET', `${path}${query}`)), { status: 400, body: { code: 'VALIDATION_FAILED' } }, query)
  }
})

t.test('the use of quotas over all applications, for alerts', async t => {
  const shop = await tenant(app)
  await shop.topic('a.log')
  await put(`/api/applications/${shop.applicationId}/quotas`, {
    publishesPerSecond: 1000, bytesStored: 100, webhooks: 0, documents: 4
  })
  await shop.publish('a.log', 'x'.repeat(48))
  await shop.request('POST', '/api/sync/cart/documents', { data: {} })
  await app.quotas.node.exchange()
  const mine = async () => (await app.quotas.use()).filter(({ applicationId }) => applicationId === shop.applicationId)
  const of = async (quota: string) => (await mine()).find(use => use.quota === quota)
  await until(async () => (await of('documents'))?.used === 1, 'the documents to be counted')
  t.match(await of('documents'), { limit: 4, used: 1, fraction: 0.25 })
  t.ok((await of('bytesStored'))?.used as number >= 50)
  t.match(await of('webhooks'), { limit: 0, used: 0, fraction: 0 })
  t.match(await of('sockets'), { limit: 500, used: 0 })
  t.equal(await of('subscriptions'), undefined, 'without a limit')
  t.ok((await of('publishesPerSecond'))?.fraction as number > 0)
})
