import t from 'tap'
import { build, listen } from '../support/build.ts'
import { connectWs } from '../support/clients.ts'
import { sourced, uniqueName } from '../support/source-database.ts'
import { tenant, type Tenant } from '../support/tenant.ts'
import { follow } from '../support/trace-stream.ts'
import { until } from '../support/waiting.ts'
import { answer, receiver } from '../support/webhook-receiver.ts'

/* Webhooks and connected databases in traces, explanations and replays, with real endpoints and a real stream. */

t.setTimeout(600_000)

const { app } = await build(t, {
  variables: { WEBHOOK_ALLOW_PRIVATE: 'true', WEBHOOK_RETRY_SCHEDULE: '10ms,10ms', WEBHOOK_TIMEOUT_MS: '10000' },
  adapt: config => Object.assign(config.webhooks, { circuitFailures: 1000, circuitPauseMs: 20, pollMs: 50 })
})
const url = await listen(app)

async function hook (shop: Tenant, target: string, fields: Record<string, unknown> = {}): Promise<string> {
  const { status, text, body } = await shop.request('POST', '/api/webhooks', { url: target, events: ['*'], ...fields })
  if (status !== 201) throw new Error(text)
  return body.id
}
const traceOf = async (shop: Tenant, id?: string) => (await shop.request('GET', `/api/debugger/traces/${id}`)).body
const explain = async (shop: Tenant, eventId: string | undefined, webhookId: string, headers = {}) =>
  (await shop.request('POST', '/api/debugger/explain', { eventId, webhookId }, headers)).body

await t.test('a trace includes webhook deliveries with every attempt, and they affect its status', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('hooked.events')
  const [good, bad] = [await receiver(t), await receiver(t, answer(500))]
  const goodId = await hook(shop, good.url)
  const [event] = await shop.publish(topic, { n: 1 })
  await good.came(1)
  await until(async () => (await traceOf(shop, event?.id)).status === 'delivered', 'the delivery to settle')
  t.match(await traceOf(shop, event?.id), {
    status: 'delivered',
    matched: 0,
    webhooks: { delivered: 1, pending: 0, dead: 0 },
    webhookDeliveries: [{
      deliveryId: /^dlv_/, webhookId: goodId, state: 'delivered', replayOf: null,
      attempts: [{ attempt: 1, success: true, statusCode: 200 }]
    }]
  })
  const badId = await hook(shop, bad.url)
  const [doomed] = await shop.publish(topic, { n: 2 })
  await until(async () => (await traceOf(shop, doomed?.id)).status === 'failed', 'the delivery to be given up')
  const trace = await traceOf(shop, doomed?.id)
  t.match(trace.webhooks, { delivered: 1, dead: 1 })
  const dead = trace.webhookDeliveries.find((one: { webhookId: string }) => one.webhookId === badId)
  t.same(
    dead.attempts.map(({ attempt, success, statusCode }: Record<string, unknown>) => [attempt, success, statusCode]),
    [[1, false, 500], [2, false, 500], [3, false, 500]]
  )
  t.same(
    (await shop.request('GET', '/api/debugger/traces?status=failed')).body.map(({ eventId }: { eventId: string }) =>
      eventId
    ),
    [doomed?.id]
  )
  t.match(await explain(shop, doomed?.id, badId), {
    outcome: 'not_delivered', cause: 'DELIVERY_DEAD', message: /3 attempts/
  })
  t.match(await explain(shop, doomed?.id, goodId), { outcome: 'delivered', cause: null })
})

await t.test('the stream reports webhook deliveries as they settle', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('ending.events')
  const held: (() => void)[] = []
  const sink = await receiver(t, (received, response) => {
    const status = (received.body.data.payload as { ok: boolean }).ok ? 200 : 500
    held.push(() => {
      response.writeHead(status).end()
    })
  })
  await hook(shop, sink.url)
  const [all, delivered, failed] = await Promise.all([
    follow(url, shop), follow(url, shop, '?status=delivered'), follow(url, shop, '?status=failed')
  ])
  const [good] = await shop.publish(topic, { ok: true })
  t.match((await all.received(1))[0], {
    event: 'trace', data: { eventId: good?.id, status: 'pending', webhooks: { pending: 1 } }
  })
  await sink.came(1)
  held.pop()?.()
  t.match(await delivered.received(1), [{
    data: { eventId: good?.id, status: 'delivered', webhooks: { pending: 0, delivered: 1 } }
  }])
  const isSent = (offset: number, status: string) =>
    all.until(
      () => all.messages.some(({ data }) => data.offset === offset && data.status === status), `${offset} ${status}`
    )
  await isSent(1, 'delivered')
  const [bad] = await shop.publish(topic, { ok: false })
  await isSent(2, 'pending')
  for (let attempt = 0; attempt < 3; attempt++) {
    await until(() => held.length > 0, 'an attempt')
    held.pop()?.()
  }
  t.match(await failed.received(1), [{ data: { eventId: bad?.id, status: 'failed', webhooks: { dead: 1 } } }])
  await isSent(2, 'failed')
  // A trace is sent again for each step, so its status may be repeated.
  t.same([...new Set(all.messages.map(({ data }) => `${data.offset} ${data.status}`))], [
    '1 pending', '1 delivered', '2 pending', '2 failed'
  ])
  for (const stream of [all, delivered, failed]) {
    stream.close()
    await stream.closed
  }
})

await t.test('explanations of hundreds of webhook events agree with what was sent', async t => {
  const shop = await tenant(app)
  const topics = [await shop.topic('order.placed'), await shop.topic('order.paid'), await shop.topic('user.seen')]
  const sink = await receiver(t)
  interface Hook {
    id: string
    definition: Definition
    since: number
    active: boolean
  }
  interface Definition {
    events: string[]
    topics: string[] | null
    filter: { n: { gte: number } } | null
    environments: string[] | null
  }
  const definitions: Definition[] = [null, ['order.*'], ['user.seen']].flatMap(topics =>
    [null, { n: { gte: 5 } }].map((filter): Definition => ({ events: ['*'], topics, filter, environments: null }))
  )
  definitions.push(
    {
      events: ['topic.event', 'document.created'], topics: null, filter: null, environments: ['development', 'staging']
    },
    { events: ['document.updated'], topics: null, filter: null, environments: null },
    { events: ['*'], topics: null, filter: null, environments: ['production'] }
  )
  const causeOf = (
    { definition: { events, topics, filter, environments }, active, since }: Hook,
    event: { topic: string, n: number, step: number }
  ): string | null => {
    if (event.step < since) return 'NOT_ROUTED'
    if (!active) return 'WEBHOOK_INACTIVE'
    if (environments?.includes('development') === false) return 'ENVIRONMENT_DIFFERS'
    if (!events.includes('*') && !events.includes('topic.event')) return 'EVENT_TYPE_NOT_LISTED'
    if (
      topics !== null &&
      !topics.some(pattern => pattern === event.topic || (pattern === 'order.*' && event.topic.startsWith('order.')))
    ) return 'TOPIC_NOT_MATCHED'
    return filter === null || event.n >= filter.n.gte ? null : 'FILTER_NOT_MATCHED'
  }
  const hooks: Hook[] = []
  const wanted: { hook: string, event: string, cause: string | null }[] = []
  for (let step = 0; step < 60; step++) {
    const topic = topics[step % 3] as string
    const n = step % 10
    const [event] = await shop.publish(topic, { n })
    for (const one of hooks) {
      wanted.push({ hook: one.id, event: event?.id as string, cause: causeOf(one, { topic, n, step }) })
    }
    if (step < 10) {
      const definition = definitions[step % definitions.length] as Definition
      hooks.push({
        id: await hook(
          shop, sink.url, Object.fromEntries(Object.entries(definition).filter(([, value]) => value !== null))
        ),
        definition,
        since: step + 1,
        active: true
      })
      // Also affects events before it.
      wanted.push({ hook: hooks.at(-1)?.id as string, event: event?.id as string, cause: 'NOT_ROUTED' })
    } else if (step % 4 === 0) {
      // Changes after an event do not affect its outcome.
      const one = hooks[step % hooks.length] as Hook
      one.definition = definitions[(step * 7) % definitions.length] as Definition
      await shop.request('PATCH', `/api/webhooks/${one.id}`, one.definition)
    } else if (step % 4 === 2) {
      const one = hooks[(step * 3) % hooks.length] as Hook
      one.active = !one.active
      await shop.request('POST', `/api/webhooks/${one.id}/${one.active ? 'activate' : 'deactivate'}`)
    }
    // Outcomes that depend on times must not fall into the same millisecond.
    const now = Date.now()
    await until(() => Date.now() > now, 'the clock')
  }
  for (const one of hooks.filter(({ active }) => !active)) {
    await shop.request('POST', `/api/webhooks/${one.id}/activate`)
  }
  await until(
    async () => (await shop.request('GET', '/api/webhooks/deliveries?state=pending&limit=1')).body.length === 0,
    'all deliveries'
  )
  const sent = new Set(sink.received.map(({ body: { data } }) => data.id))
  t.equal(sink.received.length, wanted.filter(({ cause }) => cause === null).length, 'as many arrived as expected')
  t.ok(
    sink.received.length > 100 && wanted.length - sink.received.length > 100,
    `${sink.received.length} of ${wanted.length}`
  )
  const wrong: string[] = []
  for (const { hook, event, cause } of wanted) {
    const answer = await explain(shop, event, hook)
    if (answer.cause !== cause || (answer.outcome === 'delivered') !== (cause === null)) {
      wrong.push(`${cause}: ${JSON.stringify(answer)}`)
    }
    if (cause === null && !sent.has(event)) wrong.push(`${event} was not sent`)
  }
  t.same(wrong.slice(0, 3), [])
  t.same([...new Set(wanted.map(({ cause }) => String(cause)))].sort(), [
    'ENVIRONMENT_DIFFERS', 'EVENT_TYPE_NOT_LISTED', 'FILTER_NOT_MATCHED', 'NOT_ROUTED', 'TOPIC_NOT_MATCHED',
    'WEBHOOK_INACTIVE', 'null'
  ], 'every cause occurred')
})

await t.test('an explanation names why a webhook was not called', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('asked.events')
  await shop.request('POST', '/api/topics', { name: topic, description: 'd', owner: 'o' }, {
    'x-environment': 'staging'
  })
  const sink = await receiver(t)
  const [before] = await shop.publish(topic, { status: 'old' })
  const ids = {
    inactive: await hook(shop, sink.url), elsewhere: await hook(shop, sink.url, { environments: ['production'] }),
    others: await hook(shop, sink.url, { events: ['document.created'] }),
    topics: await hook(shop, sink.url, { topics: ['other.*'] }),
    filter: await hook(shop, sink.url, { filter: { status: 'paid' } }), all: await hook(shop, sink.url)
  }
  await shop.request('POST', `/api/webhooks/${ids.inactive}/deactivate`)
  const [event] = await shop.publish(topic, { status: 's3cret' })
  await sink.came(1)
  await until(async () => (await explain(shop, event?.id, ids.all)).outcome === 'delivered', 'the delivery')
  for (
    const [id, cause] of [
      [ids.inactive, 'WEBHOOK_INACTIVE'], [ids.elsewhere, 'ENVIRONMENT_DIFFERS'], [ids.others, 'EVENT_TYPE_NOT_LISTED'],
      [ids.topics, 'TOPIC_NOT_MATCHED'], [ids.filter, 'FILTER_NOT_MATCHED']
    ] as const
  ) {
    t.match(await explain(shop, event?.id, id), { outcome: 'not_delivered', cause }, cause)
  }
  t.match(
    await explain(shop, before?.id, ids.all), { outcome: 'not_delivered', cause: 'NOT_ROUTED' }, 'created later'
  )
  const blind = { authorization: `Bearer ${shop.token(['debugger:read'])}` }
  t.notMatch(JSON.stringify(await explain(shop, event?.id, ids.filter, blind)), 's3cret')
  const other = await tenant(app)
  const [foreign] = await other.publish(await other.topic('x.y'), 1)
  t.match(await other.request('POST', '/api/debugger/explain', { eventId: foreign?.id, webhookId: ids.all }), {
    status: 404, body: { code: 'WEBHOOK_NOT_FOUND' }
  })

  const { body: route } = await shop.request('POST', '/api/debugger/route', { topic, payload: { status: 'paid' } })
  t.match(route, {
    topic: { name: topic, exists: true, isOwn: false }, schema: { version: null, valid: true }, accepted: true,
    matched: 0, filtered: 0
  })
  t.same(
    Object.fromEntries(
      route.webhooks.map(({ webhookId, matches }: { webhookId: string, matches: boolean }) => [webhookId, matches])
    ),
    {
      [ids.inactive]: false, [ids.elsewhere]: false, [ids.others]: false, [ids.topics]: false, [ids.filter]: true,
      [ids.all]: true
    }
  )
  t.equal(sink.received.length, 1, 'nothing was sent')

  // The audit log masks values that look like secrets, so the earlier settings are unknown.
  await shop.request('PATCH', `/api/webhooks/${ids.filter}`, { filter: { token: 'abc' } })
  const [masked] = await shop.publish(topic, { status: 's3cret' })
  t.match(await explain(shop, masked?.id, ids.filter), {
    outcome: 'not_delivered', cause: 'FILTER_NOT_MATCHED', conditions: [{}, {}, {}, {}, {}, { path: 'token' }]
  })
  await shop.request('PATCH', `/api/webhooks/${ids.filter}`, { filter: { status: 'paid' } })
  t.match(await explain(shop, masked?.id, ids.filter), { outcome: 'unknown', cause: 'NOT_KEPT' })
})

await t.test('an explanation names the open circuit of a failing endpoint', async t => {
  const own = await build(t, {
    variables: { WEBHOOK_ALLOW_PRIVATE: 'true', WEBHOOK_RETRY_SCHEDULE: '10ms,10ms,1h', WEBHOOK_TIMEOUT_MS: '10000' },
    adapt: config =>
      Object.assign(config.webhooks, {
        circuitFailures: 2, circuitPauseMs: 60_000, circuitPauseMaxMs: 60_000, pollMs: 50
      })
  })
  const shop = await tenant(own.app)
  const topic = await shop.topic('broken.events')
  const sink = await receiver(t, answer(503))
  const id = await hook(shop, sink.url)
  const [event] = await shop.publish(topic, 1)
  await until(async () => (await explain(shop, event?.id, id)).cause === 'CIRCUIT_OPEN', 'the circuit')
  t.match(await explain(shop, event?.id, id), { outcome: 'pending', cause: 'CIRCUIT_OPEN', message: /503/ })
  t.match(await traceOf(shop, event?.id), { status: 'pending' })
  await shop.request('POST', `/api/webhooks/${id}/deactivate`)
  t.match(await explain(shop, event?.id, id), { outcome: 'pending', cause: 'WEBHOOK_INACTIVE' })
})

await t.test('a replay to webhooks creates each delivery exactly once, despite interruptions', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('again.events')
  const [sink, named] = [await receiver(t), await receiver(t)]
  const events = await shop.publish(topic, ...[1, 2, 3].map(n => ({ n })))
  const all = await hook(shop, sink.url, { filter: { n: { gte: 2 } } })
  const one = await hook(shop, named.url, { filter: { n: 99 } })
  const client = await connectWs(url, { token: shop.token() })
  await client.request('subscribe', { topic })
  const start = async (fields: object) =>
    (await shop.request('POST', '/api/debugger/replay', { topic, fromOffset: 1, ratePerSecond: 1000, ...fields })).body
  const over = (id: string) =>
    until(async () => (await shop.request('GET', `/api/debugger/replays/${id}`)).body.state === 'done', 'the replay')
  const first = await start({ target: 'all' })
  await over(first.id)
  t.match((await shop.request('GET', `/api/debugger/replays/${first.id}`)).body, {
    total: 3,
    done: 3,
    sent: 3,
    webhookDeliveries: 2
  })
  await sink.came(2)
  t.same(
    sink.received.map(({ body }) => [body.data.id, body.data.offset, body.data.meta?.['replayOf']]).sort(),
    [1, 2].map(i => [events[i]?.id, i + 1, first.id]).sort(), 'to the matching webhook'
  )
  t.equal((await client.received(3)).length, 3)
  const second = await start({ target: 'webhooks', webhookId: one })
  await over(second.id)
  await named.came(3)
  t.equal(named.received.length, 3, 'the named webhook receives the events even if they do not match')
  t.equal(client.events.length, 3, 'and no one else does')
  t.match(
    (await shop.request('POST', '/api/debugger/replay', {
      topic, fromOffset: 1, target: 'webhooks', webhookId: 'wh_nobody'
    })).body,
    { code: 'WEBHOOK_NOT_FOUND' }
  )
  const off = await hook(shop, sink.url)
  await shop.request('POST', `/api/webhooks/${off}/deactivate`)
  t.match(
    await shop.request('POST', '/api/debugger/replay', { topic, fromOffset: 1, target: 'webhooks', webhookId: off }),
    { status: 409, body: { code: 'WEBHOOK_INACTIVE' } }
  )
  await until(async () => (await traceOf(shop, events[2]?.id)).webhooks.delivered === 2, 'deliveries to settle')
  t.same(
    (await traceOf(shop, events[2]?.id)).webhookDeliveries.map((
      { webhookId, replayOf }: { webhookId: string, replayOf: string }
    ) => [webhookId, replayOf]),
    [[all, first.id], [one, second.id]]
  )
  client.close()
})

await t.test('failed mappings leave a trace, and so do the events of successful ones', async t => {
  const shop = await sourced(t, app)
  await shop.connect()
  const table = uniqueName()
  const topic = await shop.topic('rows.changed')
  await shop.request('POST', `/api/schemas/${topic}`, {
    schema: { type: 'object', properties: { n: { type: 'integer', maximum: 5 } } }
  })
  await shop.sql(`create table ${table} (id int primary key, n int)`)
  const { mappingId } = await shop.map({ table, topic, events: ['insert'], payload: { n: '$row.n' } })
  await shop.sql(`insert into ${table} values (1, 1)`)
  await shop.sql(`insert into ${table} values (2, 9)`)
  await shop.sql(`insert into ${table} values (3, 3)`)
  await shop.events(topic, 2)
  const list = async (query = '') => (await shop.request('GET', `/api/debugger/traces?source=database${query}`)).body
  await until(async () => (await list()).length === 3, 'three traces')
  t.same((await list()).map(({ status, type }: Record<string, string>) => `${type} ${status}`).sort(), [
    'database.event no_subscribers',
    'database.event no_subscribers',
    'database.event rejected'
  ])
  const [refused] = await list('&status=rejected')
  t.match(await traceOf(shop, refused.eventId), {
    topic,
    error: { code: 'SCHEMA_VIOLATED' },
    stored: null,
    origin: { mappingId, table: `public.${table}`, changes: 1 }
  })
  const { body: dashboard } = await shop.request('GET', '/api/metrics/dashboard')
  t.equal(dashboard.pipeline.mappingFailures, 1)
  t.ok(dashboard.pipeline.eventsCapturedPerSec > 0)
})
