import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { connectWs } from '../../support/clients.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

/* Numbers at a glance: of the own scope, or of everything that one reaches. */

const { app } = await build(t)
const url = await listen(app)
const [shop, other] = [await tenant(app), await tenant(app)]
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)

await t.test('the dashboard counts what happened in the scope, and nothing of others', async t => {
  const topic = await shop.topic('busy.events')
  await shop.request('POST', `/api/schemas/${topic}`, { schema: { type: 'number' } })
  const client = await connectWs(url, { token: shop.token() })
  await client.request('subscribe', { topic })
  await client.request('subscribe', { topic: '**', filter: { no: 1 } })
  await shop.publish(topic, ...upTo(50))
  await client.received(50)
  await shop.request('POST', `/api/topics/${topic}/events`, { payload: 'text' })
  const { status, body } = await shop.request('GET', '/api/metrics/dashboard')
  t.equal(status, 200)
  t.match(body, {
    delivery: { activeConnections: 1, reconnectRate: 0, eventsInPerSec: 5, eventsOutPerSec: 5 },
    pipeline: {
      cdcLag: 0, outboxLag: 0, eventsCapturedPerSec: 0, eventsRoutedPerSec: 5, mappingFailures: 0,
      schemaValidationFailures: 1
    },
    reliability: { queueDepth: 0, retryCount: 0, dlqSize: 0, webhookSuccessRate: 1, webhookFailureRate: 0 }
  })
  const { fanoutLatencyP50: p50, fanoutLatencyP95: p95, fanoutLatencyP99: p99 } = body.delivery
  t.ok(p50 > 0 && p50 <= p95 && p95 <= p99, `${p50} ${p95} ${p99}`)
  t.match((await other.request('GET', '/api/metrics/dashboard')).body.delivery, {
    activeConnections: 0, eventsInPerSec: 0, eventsOutPerSec: 0, fanoutLatencyP99: 0
  })
  client.close()
  await client.closed
  await until(() => app.connections.size === 0)
  const back = await connectWs(url, { token: shop.token() })
  t.match((await shop.request('GET', '/api/metrics/dashboard')).body.delivery, {
    activeConnections: 1, reconnectRate: 0.1
  })
  back.close()
})

await t.test('hot topics are those of the scope, the busiest first, with who listens', async t => {
  const [hot, warm] = [await other.topic('hot.events'), await other.topic('warm.events')]
  const client = await connectWs(url, { token: other.token() })
  await client.request('subscribe', { topic: warm })
  await client.request('subscribe', { topic: 'warm.*' })
  await other.publish(hot, ...upTo(20))
  await other.publish(warm, ...upTo(10))
  await client.received(10)
  const { status, body } = await other.request('GET', '/api/metrics/hot-topics')
  t.equal(status, 200)
  t.match(body, [{ topic: hot, eventsPerSec: 2, subscribers: 0, fanoutLatencyP95: 0 }, {
    topic: warm, eventsPerSec: 1, subscribers: 2
  }])
  t.ok(body[1].fanoutLatencyP95 > 0)
  t.equal(body.length, 2)
  t.equal((await other.request('GET', '/api/metrics/hot-topics?limit=1')).body.length, 1)
  t.notMatch((await shop.request('GET', '/api/metrics/hot-topics')).text, 'warm')
  client.close()
})

await t.test('a session sees what its roles reach; a client token sees nothing', async t => {
  await app.pool.query(
    `insert into users (id, email, name, password_hash, created_at, updated_at)
      values ('usr_all', 'all@example.com', 'All', 'x', 0, 0), ('usr_one', 'one@example.com', 'One', 'x', 0, 0)`
  )
  await app.pool.query(
    `insert into role_assignments (user_id, role_id, application_id)
      values ('usr_all', 'role_viewer', null), ('usr_one', 'role_viewer', $1)`,
    [shop.applicationId]
  )
  const session = async (userId: string) =>
    (await app.sessions.create(userId, { address: undefined, userAgent: undefined })).token
  const topics = async (userId: string, headers = {}) =>
    (await app.inject({
      method: 'GET', url: '/api/metrics/hot-topics', headers: { authorization: await session(userId), ...headers }
    })).json()
  const names = (list: { topic: string }[]) => list.map(({ topic }) => topic).sort()
  await shop.publish('busy.events', 1)
  await other.publish('hot.events', 1)
  t.ok(names(await topics('usr_all')).includes('busy.events') && names(await topics('usr_all')).includes('hot.events'))
  t.notOk(names(await topics('usr_one')).includes('hot.events'))
  t.ok(names(await topics('usr_one')).includes('busy.events'))
  t.notOk(names(await topics('usr_all', { 'x-application-id': shop.applicationId })).includes('hot.events'))
  t.match(await topics('usr_one', { 'x-application-id': other.applicationId }), { code: 'APPLICATION_FORBIDDEN' })
  for (const path of ['dashboard', 'hot-topics']) {
    t.equal(
      (await shop.request('GET', `/api/metrics/${path}`, undefined, {
        authorization: `Bearer ${shop.token(['client'])}`
      })).status,
      403
    )
    t.equal((await app.inject({ method: 'GET', url: `/api/metrics/${path}` })).statusCode, 401)
    t.equal(
      (await shop.request('GET', `/api/metrics/${path}`, undefined, { 'x-application-id': other.applicationId }))
        .status,
      403
    )
  }
})
