import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { connectSocketIo, connectWs } from '../../support/clients.ts'
import { read } from '../../support/repository.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

/* Liveness, readiness, metrics, and features of every request: an id, CORS, a rate limit. */

const { app } = await build(t)
const url = await listen(app)
const metrics = async () => (await app.inject('/api/metrics/prometheus')).body
const valueOf = (text: string, name: string) =>
  Number(new RegExp(`^${name.replaceAll(/[{}"]/g, '\\$&')} (\\S+)$`, 'm').exec(text)?.[1] ?? NaN)

await t.test('health reports that the process runs, readiness lists its components; both are public', async t => {
  const health = await app.inject('/health')
  t.equal(health.statusCode, 200)
  t.same(health.json(), {
    status: 'ok',
    version: (JSON.parse(read('package.json')) as { version: string }).version,
    node: app.node.id
  })
  const ready = await app.inject('/health/ready')
  t.equal(ready.statusCode, 200)
  t.match(ready.json(), {
    status: 'ready',
    components: {
      database: { status: 'ok', heartbeatAgeMs: Number }, 'event-writer': { status: 'ok', depth: 0, oldestWaitingMs: 0 }
    }
  })
})

await t.test('readiness fails if a component fails, throws or hangs, and still reports the others', async t => {
  const { app: ill } = await build(t)
  let state: 'ok' | 'failed' | 'throws' = 'ok'
  ill.health.add('probe', async () => {
    if (state === 'throws') throw new Error('a secret reason')
    return { status: state }
  })
  t.equal((await ill.inject('/health/ready')).statusCode, 200)
  for (const next of ['failed', 'throws'] as const) {
    state = next
    const { statusCode, body } = await ill.inject('/health/ready')
    t.equal(statusCode, 503, next)
    t.match(JSON.parse(body), {
      status: 'unavailable', components: { database: { status: 'ok' }, probe: { status: 'failed' } }
    })
    t.notMatch(body, /secret reason/)
  }
  t.equal((await ill.inject('/health')).statusCode, 200, 'the process still runs')
})

await t.test('the metrics have their documented names, and count events', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('metric.events')
  const clients = [await connectSocketIo(url, { token: shop.token() }), await connectWs(url, { token: shop.token() })]
  for (const client of clients) await client.request('subscribe', { topic })
  await clients[0]?.request('subscribe', { topic, filter: { n: 'never' } })
  await shop.publish(topic, { n: 1 }, { n: 2 })
  for (const client of clients) await client.received(2)

  const response = await app.inject('/api/metrics/prometheus')
  t.match(response.headers['content-type'], /^text\/plain; version=0\.0\.4/)
  const text = response.body
  t.match(
    text,
    `realtime_build_info{version="${
      (JSON.parse(read('package.json')) as { version: string }).version
    }",node="${process.versions.node}"} 1\n`
  )
  for (
    const name of [
      'realtime_events_received_total counter', 'realtime_events_delivered_total counter',
      'realtime_events_filtered_total counter', 'realtime_broadcast_latency_seconds histogram',
      'realtime_websocket_connections gauge', 'realtime_queue_depth gauge', 'http_request_duration_seconds histogram',
      'process_cpu_user_seconds_total counter', 'nodejs_eventloop_lag_seconds gauge'
    ]
  ) t.ok(text.includes(`# TYPE ${name}\n`), name)
  t.equal(valueOf(text, `realtime_events_received_total{source="api",topic="${topic}"}`), 2)
  t.equal(valueOf(text, 'realtime_events_delivered_total'), 4)
  t.ok(valueOf(text, 'realtime_events_filtered_total') >= 2)
  t.equal(valueOf(text, 'realtime_websocket_connections{transport="socket.io"}'), 1)
  t.equal(valueOf(text, 'realtime_websocket_connections{transport="ws"}'), 1)
  t.ok(valueOf(text, 'realtime_broadcast_latency_seconds_count') >= 1)
  t.match(
    text,
    /http_request_duration_seconds_count\{method="POST",route="\/api\/topics\/:name\/events",status_code="201"\} 1/
  )
  for (const client of clients) client.close()
  await Promise.all(clients.map(client => client.closed))
  await until(async () => {
    const text = await metrics()
    return ['ws', 'socket.io'].every(transport =>
      valueOf(text, `realtime_websocket_connections{transport="${transport}"}`) === 0)
  }, 'no connections')
})

await t.test('a tenant cannot create unlimited series: label values are limited, without paths or ids', async t => {
  const shop = await tenant(app)
  const topics = Array.from({ length: 500 }, (_, i) => `flood.n${i}`)
  for (let i = 0; i < topics.length; i += 50) {
    await Promise.all(topics.slice(i, i + 50).map(async topic => {
      await shop.topic(topic)
      await shop.publish(topic, i)
    }))
  }
  for (let i = 0; i < 300; i++) await app.inject(`/nowhere/${i}`)
  const text = await metrics()
  const labels = new Set(
    [...text.matchAll(/^realtime_events_received_total\{source="api",topic="([^"]+)"\}/gm)].map(([, topic]) => topic)
  )
  t.ok(labels.size <= 201, `${labels.size} topics`)
  t.ok(valueOf(text, 'realtime_events_received_total{source="api",topic="other"}') >= 299,
    'further values become `other`')
  const routes = new Set([...text.matchAll(/route="([^"]+)"/g)].map(([, route]) => route as string))
  t.same([...routes].filter(route => /nowhere|flood|app_/.test(route)), [])
  t.ok(text.length < 1024 * 1024)
  t.notOk(text.includes(shop.applicationId), 'no label names a tenant')
})

await t.test('every response has a request id: a valid one of the caller, otherwise a new one', async t => {
  const idOf = async (given?: string, path = '/health') =>
    (await app.inject({ url: path, headers: given === undefined ? {} : { 'x-request-id': given } }))
      .headers['x-request-id']
  t.equal(await idOf('trace-1:a.b_c'), 'trace-1:a.b_c')
  t.equal(await idOf('trace-2', '/nowhere'), 'trace-2', 'error responses have it as well')
  t.equal(await idOf('trace-3', '/api/topics'), 'trace-3')
  const made = [await idOf(), await idOf(), await idOf('two words'), await idOf('x'.repeat(129)), await idOf('a\nb: c')]
  for (const id of made) t.match(id, /^req_[\w-]{16}$/)
  t.equal(new Set(made).size, made.length)
})

await t.test('browsers may call from allowed origins and read the relevant headers', async t => {
  const { app: open } = await build(t, { variables: { CORS_ORIGINS: 'https://shop.example, https://admin.example' } })
  const allowed = (origin: string, method: 'GET' | 'OPTIONS' = 'GET') =>
    open.inject({
      method,
      url: '/api/topics',
      headers: {
        origin,
        ...(method === 'OPTIONS' &&
          {
            'access-control-request-method': 'PATCH',
            'access-control-request-headers': 'authorization,x-application-id,if-match'
          })
      }
    })
  const simple = await allowed('https://shop.example')
  t.equal(simple.headers['access-control-allow-origin'], 'https://shop.example')
  t.match(simple.headers['access-control-expose-headers'], /x-request-id.*x-next-cursor.*etag.*retry-after/i)
  t.match(simple.headers['vary'], /origin/i)
  const preflight = await allowed('https://admin.example', 'OPTIONS')
  t.equal(preflight.statusCode, 204)
  t.match(preflight.headers['access-control-allow-methods'], /PATCH/)
  t.match(preflight.headers['access-control-allow-methods'], /PUT/)
  t.match(preflight.headers['access-control-allow-methods'], /DELETE/)
  t.match(preflight.headers['access-control-allow-headers'], /if-match/)
  for (const origin of ['https://evil.example', 'https://shop.example.evil.example', 'null']) {
    t.equal((await allowed(origin)).headers['access-control-allow-origin'], undefined, origin)
  }
  t.equal(
    (await app.inject({ url: '/health', headers: { origin: 'https://shop.example' } }))
      .headers['access-control-allow-origin'],
    undefined,
    'no origin by default'
  )
})

await t.test('above the limit a request gets 429 with Retry-After, for each principal separately', async t => {
  const { app: limited } = await build(t, { variables: { RATE_LIMIT_MAX: '5' } })
  const [one, two] = [await tenant(limited), await tenant(limited)]
  const statuses = []
  for (let i = 0; i < 5; i++) statuses.push((await one.request('GET', '/api/topics')).status)
  t.same(statuses, [200, 200, 200, 200, 200])
  const refused = await one.request('GET', '/api/topics')
  t.match(refused, {
    status: 429, body: { error: 'RateLimitError', code: 'RATE_LIMITED', message: /More than 5 requests/ }
  })
  const retryAfterS = Number(refused.headers['retry-after'])
  t.ok(retryAfterS > 0 && retryAfterS <= 60, `Retry-After: ${retryAfterS}`)
  t.equal((await two.request('GET', '/api/topics')).status, 200, 'another principal is unaffected')
  t.match(await limited.inject({ url: '/api/topics' }), { statusCode: 401 }, 'and an unauthenticated client')
  const { app: unlimited } = await build(t, { variables: { RATE_LIMIT_MAX: '0' } })
  const shop = await tenant(unlimited)
  for (let i = 0; i < 20; i++) t.equal((await shop.request('GET', '/api/topics')).status, 200)
})
