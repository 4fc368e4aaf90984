import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { pino } from 'pino'
import { Webhook as Verifier } from 'standardwebhooks'
import t from 'tap'
import { createQueue } from '../../src/webhooks/dispatch/queue.ts'
import { build, listen } from '../support/build.ts'
import { createDatabase } from '../support/database.ts'
import type { Teardown } from '../support/teardown.ts'
import { connectWs } from '../support/clients.ts'
import { until } from '../support/waiting.ts'
import { person } from '../support/people.ts'
import { tenant, type Tenant } from '../support/tenant.ts'
import { certificate, privateKey } from '../support/certificate.ts'
import { deliveriesOf, hook as hookOf, logsOf, node, variables } from '../support/webhooks.ts'
import { allSettled, answer, receiver, type ReceivedWebhook, type Receiver } from '../support/webhook-receiver.ts'

/* Requests that an endpoint receives, and the end of deliveries to endpoints that misbehave. */

t.setTimeout(600_000)

/** A circuit that never opens, for tests of other things. */
const { app } = await build(t, {
  variables, adapt: config => Object.assign(config.webhooks, { circuitFailures: 1000, circuitPauseMs: 20, pollMs: 100 })
})
const url = await listen(app)

const hook = (shop: Tenant, target: string, fields: Record<string, unknown> = {}) =>
  hookOf(shop, target, { events: ['*'], ...fields })
const settled = (shop: Tenant, count: number, at = app) => allSettled(at, shop, count)
const verified = (secret: string, { text, headers }: ReceivedWebhook, options?: { format: 'raw' }) =>
  new Verifier(secret, options).verify(text, headers)

await t.test('a published event is posted according to Standard Webhooks', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('order.placed')
  const sink = await receiver(t)
  const { id, secret } = await hook(shop, `${sink.url}?a=b`, { events: ['topic.event'] })
  const { body: event } = await shop.request('POST', `/api/topics/${topic}/events`, {
    payload: { total: 42 },
    key: 'o1'
  })
  const [received] = await sink.came(1) as [ReceivedWebhook]
  t.strictSame(verified(secret, received), {
    type: 'topic.event', timestamp: new Date(event.timestamp).toISOString(), data: event
  })
  t.match(received, {
    path: '/hook?a=b',
    headers: {
      'content-type': 'application/json',
      'user-agent': /^Realtime-Platform/,
      host: `127.0.0.1:${sink.port}`,
      'webhook-id': /^dlv_[0-9a-f]{32}$/,
      'webhook-timestamp': /^\d{10}$/,
      'webhook-signature': /^v1,[A-Za-z0-9+/]{43}=$/
    }
  })
  await settled(shop, 1)
  t.match(await deliveriesOf(shop), [{
    id: received.id, webhookId: id, eventId: event.id, event: 'topic.event', topic, offset: 1, key: 'o1',
    state: 'delivered', attempts: 1, statusCode: 200, error: null, environment: 'development'
  }])
  t.match(await logsOf(shop), [{
    id: /^log_/,
    webhookId: id,
    deliveryId: received.id,
    event: 'topic.event',
    url: `${sink.url}?a=b`,
    statusCode: 200,
    success: true,
    attempts: 1,
    error: null
  }])
})

await t.test('every type of event is delivered, including those of sockets and presence', async t => {
  const shop = await tenant(app)
  const sink = await receiver(t)
  await hook(shop, sink.url)
  await shop.topic('order.placed')
  await shop.publish('order.placed', 1)
  await shop.request('POST', '/api/sync/cart/documents', { id: 'a', data: { n: 1 } })
  await shop.request('PATCH', '/api/sync/cart/documents/a/merge', { data: { n: 2 } })
  await shop.request('DELETE', '/api/sync/cart/documents/a')
  const client = await connectWs(url, { token: shop.token() })
  await client.request('join', { channel: 'room' })
  await client.request('publish', { channel: 'room', event: 'said', data: 'hello' })
  client.close()
  const wanted = [
    'document.created', 'document.deleted', 'document.updated', 'presence.updated', 'socket.connect',
    'socket.disconnect', 'socket.message', 'topic.event'
  ]
  await sink.until(all => wanted.every(type => all.some(({ body }) => body.type === type)), wanted.join())
  for (const { body } of sink.received) t.equal(body.type, body.data.type)
  t.match(sink.received.find(({ body }) => body.type === 'socket.message')?.body.data, {
    topic: 'socket.message', source: 'socket', payload: { channel: 'room', data: 'hello' }
  })
})

await t.test('a webhook receives exactly the events that match its types, topics, filter and environments', async t => {
  const shop = await tenant(app)
  const other = await tenant(app)
  const sink = await receiver(t)
  for (const environment of ['development', 'production']) {
    for (const name of ['order.placed', 'order.paid', 'stock.moved']) {
      await shop.request('POST', '/api/topics', { name, description: 'd', owner: 'o' }, {
        'x-environment': environment
      })
    }
  }
  await other.topic('order.placed')
  const cases: Record<string, [Record<string, unknown>, string[]]> = {
    topics: [{ topics: ['order.*'], environments: ['development'] }, [
      'order.placed', 'order.paid', 'order.placed big'
    ]],
    one: [{ topics: ['stock.moved'] }, ['stock.moved', 'stock.moved production']],
    filter: [{ filter: { kind: 'big', size: { gte: 3 } } }, ['order.placed big']],
    production: [{ environments: ['production'] }, ['stock.moved production']],
    documents: [{ events: ['document.created'] }, []],
    off: [{}, []]
  }
  for (const [name, [fields]] of Object.entries(cases)) {
    const { id } = await hook(shop, `${sink.url}/${name}`, { events: ['topic.event'], ...fields })
    if (name === 'off') await shop.request('POST', `/api/webhooks/${id}/deactivate`)
  }
  await shop.publish('order.placed', { is: 'order.placed' }, { is: 'order.placed big', kind: 'big', size: 3 })
  await shop.publish('order.paid', { is: 'order.paid', kind: 'big', size: 2 })
  await shop.publish('stock.moved', { is: 'stock.moved' })
  await shop.request('POST', '/api/topics/stock.moved/events', { payload: { is: 'stock.moved production' } }, {
    'x-environment': 'production'
  })
  await other.publish('order.placed', { is: "another tenant's" })
  await settled(shop, 7)
  for (const [name, [, wanted]] of Object.entries(cases)) {
    t.strictSame(
      sink.received.filter(({ path }) => path === `/hook/${name}`).map(({ body }) =>
        (body.data.payload as { is: string }).is
      ).sort(),
      [...wanted].sort(),
      name
    )
  }
  t.equal((await deliveriesOf(other)).length, 0)
})

await t.test('a rejected event has no delivery, and a batch has a delivery for each event', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('order.placed')
  await shop.request('POST', `/api/schemas/${topic}`, { schema: { type: 'object', required: ['n'] } })
  const sink = await receiver(t)
  for (let i = 0; i < 3; i++) await hook(shop, sink.url)
  t.equal(
    (await shop.request('POST', `/api/topics/${topic}/events`, { events: [{ payload: { n: 1 } }, { payload: {} }] }))
      .status,
    400
  )
  await shop.publish(topic, ...Array.from({ length: 50 }, (_, n) => ({ n })))
  t.equal((await deliveriesOf(shop)).length, 150, 'all deliveries exist when the publish request returns')
  await settled(shop, 150)
  t.equal(new Set(sink.received.map(({ id }) => id)).size, 150)
})

await t.test('a failed delivery is retried with the same id and body and a new timestamp', async t => {
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const sink = await receiver(t, (_received, response) => {
    response.writeHead(sink.received.length < 3 ? 503 : 204).end(`attempt ${sink.received.length}`)
  })
  const { secret } = await hook(shop, sink.url)
  await shop.publish('order.placed', 1)
  await settled(shop, 1)
  t.equal(sink.received.length, 3)
  for (const received of sink.received) t.ok(verified(secret, received))
  t.equal(new Set(sink.received.map(({ id, text }) => id + text)).size, 1)
  t.match(await deliveriesOf(shop), [{ state: 'delivered', attempts: 3, statusCode: 204 }])
  t.match(
    (await logsOf(shop)).map(({ attempts, success, statusCode, responseBody }) => ({
      attempts, success, statusCode, responseBody
    })),
    [
      { attempts: 3, success: true, statusCode: 204, responseBody: null },
      { attempts: 2, success: false, statusCode: 503, responseBody: 'attempt 2' },
      { attempts: 1, success: false, statusCode: 503 }
    ]
  )
})

await t.test('after five retries a delivery is dead; a retry and a redrive send it again', async t => {
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const sink = await receiver(t, answer(500, {}, 'no\0 no'))
  const { id } = await hook(shop, sink.url)
  const before = Date.now()
  await shop.publish('order.placed', 1, 2, 3)
  await settled(shop, 3)
  t.equal(sink.received.length, 18)
  const dead = await deliveriesOf(shop, '&state=dead')
  t.match(
    dead, [1, 2, 3].map(() => ({ state: 'dead', attempts: 6, statusCode: 500, error: /given up after 6 failures/ }))
  )
  t.equal((await logsOf(shop, '&success=false')).length, 18)
  t.match(
    (await logsOf(shop, `&deliveryId=${dead[0]?.id}`)).map(({ attempts, responseBody }) => [attempts, responseBody]),
    [6, 5, 4, 3, 2, 1].map(n => [n, 'no\ufffd no'])
  )
  t.match((await shop.request('POST', '/api/webhooks/redrive', { dryRun: true })).body, {
    matched: 3, redriven: 0, remaining: 3
  })
  t.match(
    (await shop.request('POST', '/api/webhooks/redrive', { dryRun: true, webhookId: id, from: before, to: before }))
      .body,
    { matched: 0 }
  )
  sink.behave(answer(200))
  t.match(await shop.request('POST', `/api/webhooks/deliveries/${dead[0]?.id}/retry`), {
    status: 200,
    body: { id: dead[0]?.id, state: 'pending' }
  })
  await settled(shop, 3)
  t.match(await deliveriesOf(shop, '&state=delivered'), [{ id: dead[0]?.id, attempts: 7 }])
  t.match((await shop.request('POST', '/api/webhooks/redrive', { webhookId: id, from: before })).body, {
    matched: 2, redriven: 2, remaining: 0
  })
  await settled(shop, 3)
  t.equal((await deliveriesOf(shop, '&state=delivered')).length, 3)
  t.equal(new Set(sink.received.map(one => one.id)).size, 3, 'with the same ids as before')
})

await t.test('redirects, broken responses, cut connections and silence are failures', async t => {
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const elsewhere = await receiver(t)
  const kinds: Record<string, { behave: Parameters<typeof receiver>[1], error: RegExp, statusCode: number | null }> = {
    redirect: {
      behave: answer(302, { location: elsewhere.url }), error: /redirects are not followed/, statusCode: 302
    },
    permanent: { behave: answer(308, { location: elsewhere.url }), error: /redirects/, statusCode: 308 },
    cut: {
      behave: (_received, _response, request) => {
        request.socket.destroy()
      },
      error: /Failed: /,
      statusCode: null
    },
    'cut in the body': {
      behave: (_received, response) => {
        response.writeHead(200, { 'content-length': '100' })
        response.write('part')
        setImmediate(() => response.socket?.destroy())
      },
      error: /Failed: /,
      statusCode: 200
    },
    'no HTTP': {
      behave: (_received, response) => {
        response.socket?.end('SSH-2.0-OpenSSH\r\n')
      },
      error: /Failed: /,
      statusCode: null
    }
  }
  for (const [name, { behave, error, statusCode }] of Object.entries(kinds)) {
    const sink = await receiver(t, behave)
    const { id } = await hook(shop, sink.url)
    await shop.publish('order.placed', name)
    await until(async () => (await deliveriesOf(shop, `&webhookId=${id}&state=dead`)).length === 1, name)
    t.match(await deliveriesOf(shop, `&webhookId=${id}`), [{ attempts: 6, statusCode, error }], name)
    await shop.request('DELETE', `/api/webhooks/${id}`)
  }
  t.equal(elsewhere.received.length, 0)
})

await t.test('an endpoint that is slow, silent or sends one byte at a time fails within the timeout', async t => {
  const quick = await build(t, {
    variables: { ...variables, WEBHOOK_TIMEOUT_MS: '150', WEBHOOK_RETRY_SCHEDULE: '10ms' },
    adapt: config => Object.assign(config.webhooks, { circuitFailures: 1000, pollMs: 100 })
  })
  const shop = await tenant(quick.app)
  await shop.topic('order.placed')
  const sockets = new Set<Socket>()
  const mute = createTcpServer(socket => { sockets.add(socket); socket.on('error', () => {}) }).listen(0, '127.0.0.1')
  await once(mute, 'listening')
  const silent = await receiver(t, () => {})
  const dripping = await receiver(t, (_received, response) => {
    response.writeHead(200)
    const timer = setInterval(() => response.write('.'), 20)
    response.on('close', () => clearInterval(timer))
  })
  const targets = [`http://127.0.0.1:${(mute.address() as AddressInfo).port}/`, silent.url, dripping.url]
  for (const target of targets) await hook(shop, target)
  await shop.publish('order.placed', 1)
  await settled(shop, 3, quick.app)
  for (const delivery of await deliveriesOf(shop)) {
    t.match(delivery, { state: 'dead', attempts: 2, error: /No response within 150 ms/ })
  }
  for (const socket of sockets) socket.destroy()
  mute.close()
})

await t.test('connecting has its own timeout, which covers the name, the address and TLS', async t => {
  const { app } = await node(t, undefined, { connectTimeoutMs: 300, resolve: () => new Promise(() => {}) }, {
    WEBHOOK_TIMEOUT_MS: '60000', WEBHOOK_RETRY_SCHEDULE: '10ms'
  })
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const sockets = new Set<Socket>()
  const mute = createTcpServer(socket => { sockets.add(socket); socket.on('error', () => {}) }).listen(0, '127.0.0.1')
  await once(mute, 'listening')
  for (
    const target of [`https://127.0.0.1:${(mute.address() as AddressInfo).port}/`, 'http://unanswered.example.test/']
  ) await hook(shop, target)
  await shop.publish('order.placed', 1)
  await settled(shop, 2, app)
  for (const delivery of await deliveriesOf(shop)) {
    t.match(delivery, {
      state: 'dead', attempts: 2, statusCode: null, error: /^Failed: The connection was not established in time/
    })
  }
  for (const socket of sockets) socket.destroy()
  mute.close()
})

await t.test('an endless response is read up to a limit and logged up to 1 KiB', async t => {
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const sink = await receiver(t, (_received, response) => {
    response.writeHead(200)
    const more = () => { while (!response.destroyed && response.write('ä'.repeat(5000))); }
    response.on('drain', more).on('error', () => {})
    more()
  })
  await hook(shop, sink.url)
  await shop.publish('order.placed', 1)
  await settled(shop, 1)
  t.match(await deliveriesOf(shop), [{ state: 'delivered', attempts: 1 }])
  const [log] = await logsOf(shop)
  t.equal(log?.responseBody, 'ä'.repeat(512))
})

await t.test('retries wait as long as Retry-After requires', async t => {
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const sink = await receiver(t, (_received, response) => {
    response.writeHead(sink.received.length === 1 ? 429 : 200, { 'retry-after': '1' }).end()
  })
  await hook(shop, sink.url)
  await shop.publish('order.placed', 1)
  await sink.came(1)
  await shop.publish('order.placed', 2)
  await settled(shop, 2)
  const [first, second, third] = sink.received as [ReceivedWebhook, ReceivedWebhook, ReceivedWebhook]
  t.ok(second.at - first.at >= 950, 'a 429 pauses the whole endpoint')
  t.ok(third.at - first.at >= 950)
})

await t.test('410 deactivates the webhook, gives up its deliveries and publishes an event', async t => {
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const client = await connectWs(url, { token: shop.token() })
  t.match(await client.request('subscribe', { topic: 'system.webhook.deactivated' }), { ok: true })
  const sink = await receiver(t, answer(410))
  const { id } = await hook(shop, sink.url)
  await shop.publish('order.placed', 1)
  await settled(shop, 1)
  await client.received(1)
  t.match(client.events, [{
    topic: 'system.webhook.deactivated', type: 'topic.event', key: id, payload: { webhookId: id, reason: 'gone' }
  }])
  t.match((await shop.request('GET', `/api/webhooks/${id}`)).body, { active: false, deactivatedReason: 'gone' })
  t.match(await deliveriesOf(shop), [{ state: 'dead', attempts: 1, statusCode: 410 }])
  await shop.publish('order.placed', 2)
  t.equal((await deliveriesOf(shop)).length, 1, 'no new deliveries are made')
  t.match(await shop.request('POST', `/api/webhooks/deliveries/${sink.received[0]?.id}/retry`), {
    status: 409,
    body: { code: 'WEBHOOK_INACTIVE' }
  })
  t.match(await shop.request('POST', '/api/webhooks/redrive', { webhookId: id }), {
    status: 409, body: { code: 'WEBHOOK_INACTIVE' }
  })
  sink.behave(answer(200))
  t.match((await shop.request('POST', `/api/webhooks/${id}/activate`)).body, { active: true, deactivatedReason: null })
  t.match((await shop.request('POST', '/api/webhooks/redrive', {})).body, { redriven: 1 })
  await settled(shop, 1)
  t.match(await deliveriesOf(shop), [{ state: 'delivered' }])
  client.close()
})

await t.test('a 410 from a replaced URL deactivates nothing, and the delivery is sent to the new URL', async t => {
  // In the second case this node has not been notified of the change.
  const ways = [
    async (shop: Tenant, id: string, url: string) => {
      await shop.request('PATCH', `/api/webhooks/${id}`, { url })
    },
    async (_shop: Tenant, id: string, url: string) => {
      await app.pool.query('update webhooks set url = $1 where id = $2', [url, id])
    }
  ]
  // Both cases run at once: a refused delivery waits for as long as an attempt may take.
  await Promise.all(ways.map(async replace => {
    const shop = await tenant(app)
    await shop.topic('order.placed')
    const waiting: ServerResponse[] = []
    const old = await receiver(t, (_received, response) => { waiting.push(response) })
    const sink = await receiver(t)
    const { id } = await hook(shop, old.url)
    await shop.publish('order.placed', 1)
    await old.came(1)
    await replace(shop, id, sink.url)
    for (const response of waiting) response.writeHead(410).end()
    await settled(shop, 1)
    t.match(await deliveriesOf(shop), [{ state: 'delivered', attempts: 2 }])
    t.match((await shop.request('GET', `/api/webhooks/${id}`)).body, { active: true, failingSince: null })
    t.strictSame(sink.received.map(one => one.id), old.received.map(one => one.id))
  }))
})

await t.test('deliveries of a webhook deactivated for failing are given up only while it is inactive', async t => {
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const sink = await receiver(t, answer(429, { 'retry-after': '60' }))
  const { id } = await hook(shop, sink.url)
  await shop.publish('order.placed', 1)
  await sink.came(1)
  await shop.publish('order.placed', 2, 3)
  await until(async () => (await logsOf(shop)).length === 1, 'the response to be recorded')
  const queue = createQueue({ pool: app.pool })
  const giveUp = async () => (await queue.giveUp([id], { downSince: 0, now: app.clock.now() })).length
  t.equal(await giveUp(), 0, 'the webhook is active')
  await shop.request('POST', `/api/webhooks/${id}/deactivate`)
  t.equal(await giveUp(), 0, 'its owner deactivated it')
  t.equal((await deliveriesOf(shop, '&state=pending')).length, 3)
  // The state after the deactivating node ended half-way.
  await app.pool.query("update webhooks set active = false, deactivated_reason = 'failing' where id = $1", [id])
  await settled(shop, 3)
  t.match(
    await deliveriesOf(shop),
    [3, 2, 1].map(offset => ({ offset, state: 'dead', error: /every request to the endpoint has failed for days/ }))
  )
})

/** A webhook with more deliveries leased than in flight: twelve requests wait for their response. */
async function busyWebhook (t: Teardown, shop: Tenant) {
  const waiting: ServerResponse[] = []
  const sink = await receiver(t, (_received, response) => {
    if (sink.received.length > 8) waiting.push(response)
    else response.end()
  })
  const { id } = await hook(shop, sink.url, { topics: ['order.placed'] })
  await shop.publish('order.placed', ...Array.from({ length: 8 }, (_, n) => n))
  await until(
    async () => (await deliveriesOf(shop, `&webhookId=${id}&state=delivered`)).length === 8,
    'an endpoint that answers'
  )
  await shop.publish('order.placed', ...Array.from({ length: 60 }, (_, n) => n))
  await sink.came(20)
  return { id, sink, answer: () => { for (const response of waiting) response.end() } }
}

/** Waits for two cycles of the dispatcher: each delivers an event of another topic. */
async function twoCycles (shop: Tenant, seen: Receiver): Promise<void> {
  for (const n of [1, 2]) {
    const before = seen.received.length
    await shop.publish('order.paid', n)
    await seen.came(before + 1)
  }
}

await t.test('a deactivated or deleted webhook receives nothing; activating it resumes its deliveries', async t => {
  const { app } = await node(t, undefined, {}, { WEBHOOK_TIMEOUT_MS: '60000' })
  const shop = await tenant(app)
  for (const topic of ['order.placed', 'order.paid']) await shop.topic(topic)
  const seen = await receiver(t)
  await hook(shop, seen.url, { topics: ['order.paid'] })

  const deleted = await busyWebhook(t, shop)
  t.equal((await shop.request('DELETE', `/api/webhooks/${deleted.id}`)).status, 204)
  deleted.answer()
  await twoCycles(shop, seen)
  t.equal(deleted.sink.received.length, 20)

  const off = await busyWebhook(t, shop)
  t.match(await shop.request('POST', `/api/webhooks/${off.id}/deactivate`), { status: 200, body: { active: false } })
  const other = await receiver(t)
  t.match((await shop.request('PATCH', `/api/webhooks/${off.id}`, { url: other.url })).body, {
    url: other.url,
    active: false
  })
  off.answer()
  await twoCycles(shop, seen)
  t.equal(off.sink.received.length, 20, 'deliveries that were not in flight are not sent')
  t.equal(other.received.length, 0, 'nor are they sent to the other URL')
  await until(
    async () => (await deliveriesOf(shop, `&webhookId=${off.id}&state=pending`)).length === 48,
    'the answers to be recorded'
  )
  await shop.request('POST', `/api/webhooks/${off.id}/activate`)
  await other.came(48)
  t.equal(off.sink.received.length, 20)
})

await t.test('a deleted application receives none of the deliveries that were already leased', async t => {
  // No poll of the queue helps: the deletion itself must stop the deliveries.
  const { app } = await node(t, undefined, { pollMs: 60_000 }, { WEBHOOK_TIMEOUT_MS: '60000' })
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const other = await tenant(app)
  await other.topic('order.paid')
  const seen = await receiver(t)
  await hook(other, seen.url)

  const webhook = await busyWebhook(t, shop)
  const admin = await person(app, 'super_admin')
  t.equal((await admin.remove(`/api/applications/${shop.applicationId}?force=true`)).status, 204)
  webhook.answer()
  await twoCycles(other, seen)
  t.equal(webhook.sink.received.length, 20)
})

await t.test('an application whose deletion is not announced, as when the node dies, receives nothing', async t => {
  const { app } = await node(t, undefined, {}, { WEBHOOK_TIMEOUT_MS: '60000' })
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const other = await tenant(app)
  await other.topic('order.paid')
  const seen = await receiver(t)
  await hook(other, seen.url)

  const webhook = await busyWebhook(t, shop)
  await app.pool.query('delete from applications where id = $1', [shop.applicationId])
  await twoCycles(other, seen)
  webhook.answer()
  await twoCycles(other, seen)
  t.equal(webhook.sink.received.length, 20)
})

await t.test('during a rotation both secrets sign, and each request can be verified with either', async t => {
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const sink = await receiver(t)
  const { id, secret: first } = await hook(shop, sink.url)
  const state = { published: 0, isRotated: false }
  const publishing = (async () => {
    for (let left = 20; left > 0; state.published++) {
      await shop.publish('order.placed', state.published)
      if (state.isRotated) left--
    }
  })()
  await sink.came(10)
  const { status, body: { secret: second } } = await shop.request('POST', `/api/webhooks/${id}/rotate-secret`, {})
  t.equal(status, 200)
  t.match(second, /^whsec_/)
  state.isRotated = true
  await publishing
  await shop.request('POST', `/api/webhooks/${id}/rotate-secret`, { secret: 'a_secret_of_our_own:_~!' })
  await shop.publish('order.placed', 'last')
  await settled(shop, state.published + 1)
  for (const received of sink.received) t.ok(verified(first, received), 'the first secret keeps signing')
  const last = sink.received.find(({ body }) => body.data.payload === 'last') as ReceivedWebhook
  t.equal(last.headers['webhook-signature']?.split(' ').length, 3)
  t.ok(verified(second, last))
  t.ok(verified('a_secret_of_our_own:_~!', last, { format: 'raw' }))
})

await t.test('connections are kept alive, and a slow endpoint has few', async t => {
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const sink = await receiver(t)
  await hook(shop, sink.url)
  for (let n = 0; n < 30; n++) {
    await shop.publish('order.placed', n)
    await sink.came(n + 1)
  }
  await settled(shop, 30)
  t.ok(sink.connections <= 5, `${sink.connections} connections for 30 consecutive requests`)
})

await t.test('over TLS every resolved address is checked, and Host and SNI contain the name of the URL', async t => {
  const asked: string[] = []
  const logged: { msg: string }[] = []
  const answers: Record<string, string[]> = {
    'hooks.example.test': ['127.0.0.1'], 'rebound.example.test': ['127.0.0.1', '169.254.169.254'],
    'other.example.test': ['127.0.0.1']
  }
  const { app } = await build(t, {
    variables: {
      ...variables,
      WEBHOOK_ALLOW_PRIVATE: 'false',
      WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
      WEBHOOK_RETRY_SCHEDULE: '10ms'
    },
    logger: pino({ level: 'warn' }, {
      write: line => {
        const entry = JSON.parse(line)
        if (entry.msg === 'webhooks.address_refused') logged.push(entry)
      }
    }),
    adapt: config =>
      Object.assign(config.webhooks, {
        certificateAuthority: certificate,
        pollMs: 100,
        resolve: async (name: string) => {
          asked.push(name)
          return answers[name] ?? []
        }
      })
  })
  const seen: { host: string | undefined, servername: unknown }[] = []
  const server = createSecureServer({ cert: certificate, key: privateKey }, (request, response) => {
    seen.push({
      host: request.headers.host, servername: (request.socket as TLSSocket & { servername?: string }).servername
    })
    request.resume().on('end', () => response.end())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const { port } = server.address() as AddressInfo
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const good = await hook(shop, `https://hooks.example.test:${port}/x`)
  t.match((await shop.request('POST', `/api/webhooks/${good.id}/test`)).body, { success: true, statusCode: 200 })
  const rebound = await hook(shop, `https://rebound.example.test:${port}/x`)
  t.match((await shop.request('POST', `/api/webhooks/${rebound.id}/test`)).body, {
    success: false,
    statusCode: null,
    error: 'Not sent: connections to rebound.example.test are not allowed: the host resolves to an address that is ' +
      'not public'
  }, 'a test request is checked as well')
  const other = await hook(shop, `https://other.example.test:${port}/x`)
  t.match((await shop.request('POST', `/api/webhooks/${other.id}/test`)).body, {
    success: false,
    error: /certificate|altnames/i
  }, 'the certificate must match the name')
  await shop.publish('order.placed', 1)
  await settled(shop, 3, app)
  t.match(await deliveriesOf(shop, `&webhookId=${good.id}`), [{ state: 'delivered' }])
  t.match(await deliveriesOf(shop, `&webhookId=${rebound.id}`), [{
    state: 'dead',
    attempts: 2,
    error: /the host resolves to an address that is not public/
  }], 'every retry is checked as well')
  for (const list of ['logs', 'deliveries']) {
    t.notMatch(
      (await shop.request('GET', `/api/webhooks/${list}`)).text,
      '169.254.',
      'the owner of the webhook does not see the address'
    )
  }
  t.match(
    logged, [{ hostname: 'rebound.example.test', address: '169.254.169.254', reason: /metadata/ }], 'the log has it'
  )
  t.strictSame(seen, [0, 1].map(() => ({ host: `hooks.example.test:${port}`, servername: 'hooks.example.test' })))
  t.ok(asked.includes('hooks.example.test'))
})

await t.test('private addresses are rejected when a webhook is created and when a name resolves to one', async t => {
  const { app } = await build(t, {
    variables: { ...variables, WEBHOOK_ALLOW_PRIVATE: 'false', WEBHOOK_RETRY_SCHEDULE: '10ms' },
    adapt: config => Object.assign(config.webhooks, { pollMs: 100, resolve: async () => ['127.0.0.1'] })
  })
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const sink = await receiver(t)
  for (
    const target of [
      sink.url,
      'https://127.0.0.1/',
      'https://0x7f.1/',
      'https://2130706433/',
      'https://[::1]/',
      'https://[::ffff:7f00:1]/',
      'https://169.254.169.254/latest/meta-data',
      'https://localhost/',
      'http://example.com/',
      'https://metadata.google.internal/'
    ]
  ) {
    t.match(await shop.request('POST', '/api/webhooks', { url: target, events: ['*'] }), {
      status: 400, body: { error: 'ValidationError', code: 'WEBHOOK_URL_FORBIDDEN', details: [{ path: '/url' }] }
    }, target)
  }
  for (const target of [sink.url, 'HTTP://example.com/', 'https://127.0.0.1/']) {
    t.match(await shop.request('POST', '/api/webhooks', { url: target, events: ['*'] }), {
      body: { message: /WEBHOOK_ALLOW_PRIVATE=true/ }
    }, `${target}: a developer learns how`)
  }
  t.notMatch(
    (await shop.request('POST', '/api/webhooks', { url: 'https://169.254.169.254/', events: ['*'] })).text,
    'WEBHOOK_ALLOW_PRIVATE'
  )
  for (const target of ['https://user:password@example.com/', 'https://', 'https://exa mple.com/']) {
    t.match(await shop.request('POST', '/api/webhooks', { url: target, events: ['*'] }), {
      status: 400, body: { code: 'VALIDATION_FAILED' }
    }, target)
  }
  const { id } = await hook(shop, `https://inside.example.test:${sink.port}/`)
  for (
    const url of [
      'HTTPS://Example.com/Hook',
      'hTTps:/example.com/Hook',
      'https:example.com/Hook',
      'https:\\\\example.com\\Hook'
    ]
  ) {
    t.match(await shop.request('PATCH', `/api/webhooks/${id}`, { url }), {
      status: 200,
      body: { url: 'https://example.com/Hook' }
    }, url)
  }
  await shop.request('PATCH', `/api/webhooks/${id}`, { url: `https://inside.example.test:${sink.port}/` })
  t.match((await shop.request('POST', `/api/webhooks/${id}/test`)).body, {
    success: false,
    error: 'Not sent: connections to inside.example.test are not allowed: the host resolves to an address that is ' +
      'not public'
  })
  await shop.publish('order.placed', 1)
  await settled(shop, 1, app)
  t.match(await deliveriesOf(shop), [{ state: 'dead', error: /are not allowed/ }])
  t.equal(sink.connections, 0, 'no connection was ever made')
})

await t.test('without WEBHOOK_ALLOW_PRIVATE plain http is refused, even for an older webhook', async t => {
  const database = await createDatabase(t)
  const before = await node(t, database)
  const shop = await tenant(before.app)
  await shop.topic('order.placed')
  const sink = await receiver(t)
  const closed = await hook(shop, sink.url.replace(/:\d+/, ':1'))
  t.match((await shop.request('POST', `/api/webhooks/${closed.id}/test`)).body, {
    error: 'Failed: The connection was refused (ECONNREFUSED)'
  }, 'a refused address is not revealed')
  const { id } = await hook(shop, sink.url)
  await before.app.webhooks.dispatcher.close()
  const { app } = await node(t, database, {}, { WEBHOOK_ALLOW_PRIVATE: 'false', WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' })
  await shop.publish('order.placed', 1)
  await settled(shop, 2, app)
  t.match(await deliveriesOf(shop, `&webhookId=${id}`), [{ state: 'dead', error: /must use https:\/\// }])
  t.equal(sink.connections, 0)
})

await t.test('the rate limit is observed', async t => {
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const sink = await receiver(t)
  await hook(shop, sink.url, { rateLimit: 20 })
  const begin = Date.now()
  await shop.publish('order.placed', ...Array.from({ length: 50 }, (_, n) => n))
  await settled(shop, 50)
  const tookMs = (sink.received.at(-1)?.at ?? 0) - begin
  t.ok(tookMs >= 1400, `50 requests at 20 per second, with a burst of 20, took ${tookMs} ms`)
})

await t.test('metrics and readiness report the dispatcher', async t => {
  const { body } = await app.inject('/api/metrics/prometheus')
  for (
    const line of [
      /realtime_webhook_deliveries_total\{status="delivered"\} [1-9]/,
      /realtime_webhook_deliveries_total\{status="dead"\} [1-9]/,
      /realtime_webhook_deliveries_total\{status="failed"\} [1-9]/, /realtime_webhook_retries_total [1-9]/,
      /realtime_queue_depth\{queue="webhooks"\} \d/
    ]
  ) t.match(body, line)
  t.match((await app.inject('/health/ready')).json(), {
    status: 'ready',
    components: {
      'webhook-dispatcher': { status: 'ok', heartbeatAgeMs: Number, oldestWaitingMs: Number, depth: Number }
    }
  })
})
