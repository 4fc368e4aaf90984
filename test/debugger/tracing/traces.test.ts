import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { connectWs, transports } from '../../support/clients.ts'
import { tenant } from '../../support/tenant.ts'

/* Every outcome of an event is recorded. */

// A reader waits for the latest traces, however slow the database is.
const { app } = await build(t, { adapt: config => { config.traces.readersWaitMs = 60_000 } })
const url = await listen(app)
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)

for (const { name, connect } of transports) {
  await t.test(`a trace has every step of an event, by subscription (${name})`, async t => {
    const shop = await tenant(app)
    const topic = await shop.topic('order.placed')
    await shop.request('POST', `/api/schemas/${topic}`, {
      schema: { type: 'object', properties: { total: { type: 'number' } } }
    })
    const client = await connect(url, { token: shop.token() })
    const all = await client.request('subscribe', { topic })
    const pattern = await client.request('subscribe', { topic: 'order.*', filter: { total: { gte: 10 } } })
    const none = await client.request('subscribe', { topic, filter: { total: 1 } })
    const before = Date.now()
    const [event] = await shop.publish(topic, { total: 42 })
    await client.received(1)
    const { status, body } = await shop.request('GET', `/api/debugger/traces/${event?.id}`)
    t.equal(status, 200)
    t.match(body, {
      eventId: event?.id,
      topic,
      type: 'topic.event',
      source: 'api',
      status: 'delivered',
      offset: 1,
      schemaVersion: 1,
      matched: 2,
      filtered: 1,
      delivered: 2,
      webhooks: { pending: 0, delivered: 0, dead: 0 },
      schema: { version: 1, valid: true, errors: [] },
      stored: { offset: 1, epoch: event?.epoch, node: app.node.id },
      payload: 'shown',
      event: { id: event?.id, payload: { total: 42 } }
    })
    t.same(
      new Set(body.routed[0].subscriptions.map((one: { subscriptionId: string, matched: boolean }) =>
        `${one.subscriptionId} ${one.matched}`
      )),
      new Set([
        `${all.subscriptionId} true`,
        `${pattern.subscriptionId} true`,
        `${none.subscriptionId} false`
      ])
    )
    const times = [
      body.received.at, body.schema.at, body.stored.at, body.routed[0].at, body.deliveries[0].firstAt,
      body.deliveries[0].lastAt
    ]
    t.same(times, [...times].sort((a, b) => a - b), 'the steps are in order')
    t.ok(times[0] >= before - 1 && (times.at(-1) as number) <= Date.now() + 1)
    t.ok(body.lastLatencyMs >= body.deliveries[0].firstLatencyMs)
    client.close()
  })
}

await t.test('a trace has the times of its steps although the timestamp is ahead of the clock', async t => {
  const aheadMs = 2 * 3_600_000
  const shop = await tenant(app)
  const topic = await shop.topic('order.placed')
  await shop.publish(topic, 1)
  await app.pool.query('update topic_logs set head_at = head_at + $2 where application_id = $1', [
    shop.applicationId, aheadMs
  ])
  await shop.request('POST', `/api/schemas/${topic}`, { schema: { type: 'integer' } })
  const client = await connectWs(url, { token: shop.token() })
  await client.request('subscribe', { topic })
  const before = Date.now()
  const [event] = await shop.publish(topic, 2)
  await client.received(1)
  const { body } = await shop.request('GET', `/api/debugger/traces/${event?.id}`)
  const times = [
    body.received.at, body.schema.at, body.stored.at, body.routed[0].at, body.deliveries[0].firstAt,
    body.deliveries[0].lastAt
  ]
  t.same(times, [...times].sort((a, b) => a - b), 'the steps are in order')
  t.ok(times[0] >= before - 1 && (times.at(-1) as number) <= Date.now() + 1)
  t.ok(body.timestamp > before + aheadMs / 2, 'the timestamp is that of the event')
  t.ok(body.received.waitedMs < aheadMs / 2)
  t.match(body, { lastLatencyMs: 0, deliveries: [{ firstLatencyMs: 0, lastLatencyMs: 0 }] })
  client.close()
})

await t.test('events of every source leave a trace, and traces can be filtered by status', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('some.events')
  const client = await connectWs(url, { token: shop.token() })
  await client.request('subscribe', { topic })
  await client.request('subscribe', { topic: 'socket.*' })
  await shop.publish(topic, 1)
  await shop.request('POST', '/api/sync/cart/documents', { id: 'one', data: { n: 1 } })
  await shop.request('POST', '/api/socket/broadcast', { channel: 'room', event: 'said', data: 'hello' })
  await shop.request('POST', '/api/topics/no.such/events', { payload: 1 })
  await shop.request('POST', '/api/topics/sync.cart.created/events', { payload: 1 })
  // A write is acknowledged before its event is sent.
  await client.received(2)
  const list = async (query = '') =>
    (await shop.request('GET', `/api/debugger/traces${query}`)).body as {
      topic: string
      source: string
      status: string
      error?: { code: string }
      eventId: string
    }[]
  const all = await list()
  t.same(all.map(({ topic, source, status, error }) => [topic, source, status, error?.code]).sort(), [
    ['no.such', 'api', 'rejected', 'TOPIC_NOT_FOUND'],
    ['socket.message', 'socket', 'delivered', undefined],
    [topic, 'api', 'delivered', undefined],
    ['sync.cart.created', 'api', 'rejected', 'TOPIC_RESERVED'],
    ['sync.cart.created', 'sync', 'no_subscribers', undefined]
  ].sort())
  t.same((await list('?status=rejected')).map(({ status }) => status), ['rejected', 'rejected'])
  t.same((await list('?status=no_subscribers')).map(({ topic }) => topic), ['sync.cart.created'])
  t.same((await list('?status=delivered&source=socket')).map(({ topic }) => topic), ['socket.message'])
  t.same((await list('?status=failed')), [])
  t.same((await list(`?topic=${topic}`)).length, 1)
  t.same((await list('?topic=sync.**')).length, 2)
  t.same((await list(`?eventId=${all[0]?.eventId}`)).map(({ eventId }) => eventId), [all[0]?.eventId])
  t.same(await list(`?to=${Date.now() - 60_000}`), [])
  t.equal((await list(`?from=${Date.now() - 60_000}`)).length, 5)
  client.close()
})

await t.test('a rejected payload is kept in part with all violations, only for readers of the topic', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('strict.events')
  await shop.request('POST', `/api/schemas/${topic}`, {
    schema: { type: 'object', properties: { n: { type: 'integer' }, m: { type: 'string' } }, required: ['n'] }
  })
  await shop.request('POST', `/api/topics/${topic}/events`, {
    events: [{ payload: { n: 1 } }, { payload: { m: 1, text: 's3cret' } }]
  })
  const [trace] = (await shop.request('GET', '/api/debugger/traces?status=rejected')).body
  const { body } = await shop.request('GET', `/api/debugger/traces/${trace.eventId}`)
  t.match(body, {
    topic,
    status: 'rejected',
    offset: null,
    schemaVersion: 1,
    stored: null,
    routed: [],
    schema: { version: 1, valid: false },
    error: { code: 'SCHEMA_VIOLATED' },
    payload: 'shown',
    refusedPayload: '{"m":1,"text":"s3cret"}'
  })
  t.same(body.schema.errors.map((error: { path: string }) => error.path).sort(), [
    '/events/1/payload', '/events/1/payload/m'
  ])
  const blind = shop.token(['debugger:read'])
  const seen = await shop.request('GET', `/api/debugger/traces/${trace.eventId}`, undefined, {
    authorization: `Bearer ${blind}`
  })
  t.match(seen.body, {
    payload: 'not_permitted', error: { code: 'SCHEMA_VIOLATED', message: /version 1/ },
    schema: { valid: false, errors: [] }
  })
  t.notMatch(seen.text, 's3cret')
  // Violations reveal the payload: the keys of a map, for example.
  const list = await shop.request('GET', '/api/debugger/traces', undefined, { authorization: `Bearer ${blind}` })
  const explained = await shop.request(
    'POST',
    '/api/debugger/explain',
    { eventId: trace.eventId, token: shop.token() },
    { authorization: `Bearer ${blind}` }
  )
  t.match([list.body[0].error.code, explained.body.cause], ['SCHEMA_VIOLATED', 'SCHEMA_VIOLATED'])
  for (const { text } of [seen, list, explained]) t.notMatch(text, '/payload')
  t.match((await shop.request('GET', '/api/debugger/traces')).text, '/payload/m')
  await shop.request('POST', `/api/topics/${topic}/events`, { payload: { text: 'x'.repeat(10_000) } })
  const [large] = (await shop.request('GET', '/api/debugger/traces?status=rejected')).body
  const kept = (await shop.request('GET', `/api/debugger/traces/${large.eventId}`)).body
  t.equal(kept.refusedPayload.length, 4096)
  t.equal(kept.refusedPayloadBytes, 10_011)
})

await t.test('payloads are shown by the reader\'s permission for each topic', async t => {
  const shop = await tenant(app)
  const [seen, unseen] = [await shop.topic('seen.events'), await shop.topic('unseen.events')]
  const [a] = await shop.publish(seen, { text: 's3cret' })
  const [b] = await shop.publish(unseen, { text: 's3cret' })
  const authorization = `Bearer ${shop.token(['debugger:read', 'subscribe:seen.*'])}`
  t.match(await shop.request('GET', `/api/debugger/traces/${a?.id}`, undefined, { authorization }), {
    status: 200,
    body: { payload: 'shown', event: { payload: { text: 's3cret' } } }
  })
  const hidden = await shop.request('GET', `/api/debugger/traces/${b?.id}`, undefined, { authorization })
  t.match(hidden, { status: 200, body: { payload: 'not_permitted', offset: 1 } })
  t.notMatch(hidden.text, 's3cret')
  t.equal(
    (await shop.request('GET', '/api/debugger/traces', undefined, {
      authorization: `Bearer ${shop.token(['subscribe'])}`
    })).status,
    403
  )
})

await t.test('a list continues event by event while more arrive', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('many.events')
  await Promise.all(upTo(40).map(n => shop.publish(topic, ...upTo(n % 7 + 1))))
  const total = upTo(40).reduce((sum, n) => sum + n % 7 + 1, 0)
  const offsets: number[] = []
  for (let cursor: unknown = '', pages = 0; cursor !== undefined; pages++) {
    const page = await shop.request(
      'GET',
      `/api/debugger/traces?limit=13${cursor === '' ? '' : `&cursor=${String(cursor)}`}`
    )
    t.equal(page.status, 200)
    offsets.push(...page.body.map(({ offset }: { offset: number }) => offset))
    cursor = page.headers['x-next-cursor']
    if (pages === 3) await shop.publish(topic, 'later')
    if (pages > 50) break
  }
  t.equal(offsets.length, total)
  t.same(new Set(offsets), new Set(upTo(total)), 'each once')
  t.match(await shop.request('GET', '/api/debugger/traces?cursor=bm8'), {
    status: 400, body: { code: 'VALIDATION_FAILED' }
  })
})

await t.test('other tenants and environments cannot see a trace', async t => {
  const shop = await tenant(app)
  const other = await tenant(app)
  const topic = await shop.topic('own.events')
  const [event] = await shop.publish(topic, 1)
  t.equal((await shop.request('GET', `/api/debugger/traces/${event?.id}`)).status, 200)
  t.match(await other.request('GET', `/api/debugger/traces/${event?.id}`), {
    status: 404,
    body: { code: 'TRACE_NOT_FOUND' }
  })
  t.match(await shop.request('GET', `/api/debugger/traces/${event?.id}`, undefined, { 'x-environment': 'staging' }), {
    status: 404
  })
  t.same((await other.request('GET', '/api/debugger/traces')).body, [])
  t.same((await shop.request('GET', '/api/debugger/traces', undefined, { 'x-environment': 'staging' })).body, [])
})

await t.test('sampling decides the same on every node and for every step, and keeps all rejections', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('sampled.events')
  t.match(await shop.request('GET', '/api/debugger/sampling'), { status: 200, body: { sample: 1, isDefault: true } })
  t.match(await shop.request('PUT', '/api/debugger/sampling', { sample: 0.25 }), {
    status: 200, body: { sample: 0.25, isDefault: false }
  })
  const client = await connectWs(url, { token: shop.token() })
  await client.request('subscribe', { topic })
  const events = await shop.publish(topic, ...upTo(2000))
  await client.received(2000)
  const traced = new Set<string>()
  for (let cursor: unknown = ''; cursor !== undefined;) {
    const page = await shop.request(
      'GET',
      `/api/debugger/traces?limit=1000${cursor === '' ? '' : `&cursor=${String(cursor)}`}`
    )
    for (const { eventId, matched, status } of page.body) {
      traced.add(eventId)
      t.ok(matched === 1 && status === 'delivered')
    }
    cursor = page.headers['x-next-cursor']
  }
  t.ok(traced.size > 400 && traced.size < 600, `${traced.size} of 2000`)
  t.same(
    [...traced].sort(),
    events.filter(({ id }) => app.tracing.sampling.isSampled(shop.scope, id)).map(({ id }) => id).sort()
  )
  await shop.request('PUT', '/api/debugger/sampling', { sample: 0 })
  await shop.publish(topic, 1)
  await shop.request('POST', '/api/topics/no.such/events', { payload: 1 })
  t.same((await shop.request('GET', '/api/debugger/traces?status=rejected')).body.length, 1)
  t.match(await shop.request('PUT', '/api/debugger/sampling', { sample: null }), {
    status: 200, body: { sample: 1, isDefault: true }
  })
  for (const sample of [5e-324, 1e-40, 0.1]) {
    t.match(await shop.request('PUT', '/api/debugger/sampling', { sample }), {
      status: 200, body: { isDefault: false }
    }, `${sample} is accepted`)
  }
  t.match(await shop.request('PUT', '/api/debugger/sampling', { sample: null }), { status: 200, body: { sample: 1 } })
  t.match(await shop.request('PUT', '/api/debugger/sampling', { sample: 2 }), { status: 400 })
  client.close()
})

await t.test('a blocked trace store delays no event, and no trace is missing afterwards', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('standing.events')
  const client = await connectWs(url, { token: shop.token() })
  await client.request('subscribe', { topic })
  const store = await app.pool.connect()
  // The server must not end this transaction, however long the requests take.
  await store.query(`
    begin;
    set local idle_in_transaction_session_timeout = 0;
    lock table event_traces, event_trace_parts, trace_subscriptions in access exclusive mode`)
  // Each request is acknowledged before the next one, and all of them before the store continues.
  for (const n of upTo(100)) await shop.publish(topic, n)
  await shop.publish(topic, ...upTo(1900))
  const refused = await shop.request('POST', '/api/topics/no.such/events', { payload: 1 })
  t.equal(refused.status, 404)
  t.same((await client.received(2000)).map(({ offset }) => offset), upTo(2000))
  const late = await connectWs(url, { token: shop.token() })
  t.equal((await late.request('subscribe', { topic })).ok, true)
  const { rows: [stored] } = await store.query(
    'select count(*)::int as count from event_traces where application_id = $1', [shop.applicationId]
  )
  t.same(stored, { count: 0 }, 'nothing is stored yet')
  await store.query('commit')
  store.release()
  const statuses = new Map<string, number>()
  for (let cursor: unknown = ''; cursor !== undefined;) {
    const page = await shop.request(
      'GET',
      `/api/debugger/traces?limit=1000${cursor === '' ? '' : `&cursor=${String(cursor)}`}`
    )
    for (const { status } of page.body) statuses.set(status, (statuses.get(status) ?? 0) + 1)
    cursor = page.headers['x-next-cursor']
  }
  t.same(Object.fromEntries(statuses), { delivered: 2000, rejected: 1 })
  client.close()
  late.close()
})
