import type { ServerResponse } from 'node:http'
import t from 'tap'
import { listen } from '../../support/build.ts'
import { connectWs } from '../../support/clients.ts'
import { createDatabase } from '../../support/database.ts'
import { tenant, type Tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'
import { allSettled, answer, receiver, type ReceivedWebhook } from '../../support/webhook-receiver.ts'
import { deliveriesOf, hook, logsOf, node, publishKeyed, upTo } from '../../support/webhooks.ts'

/* Order, fairness, and several nodes on one database. */

t.setTimeout(600_000)

const settled = (shop: Tenant, count: number, at = a) => allSettled(at, shop, count)
const shared = await createDatabase(t)
const [{ app: a }, { app: b }] = [await node(t, shared), await node(t, shared)]
const url = await listen(a)

await t.test('each key is delivered in order across failures, two nodes and two topics', async t => {
  const shop = await tenant(a)
  await shop.topic('a.one')
  await shop.topic('a.two')
  const underWay = new Map<string, number>()
  const overlaps: string[] = []
  let most = 0
  const sink = await receiver(t, ({ body: { data } }, response) => {
    const lane = String(data.key)
    const count = (underWay.get(lane) ?? 0) + 1
    underWay.set(lane, count)
    if (count > 1) overlaps.push(lane)
    most = Math.max(most, [...underWay.values()].filter(n => n > 0).length)
    // An endpoint that takes some milliseconds.
    setTimeout(() => {
      underWay.set(lane, (underWay.get(lane) ?? 0) - 1)
      response.writeHead(Math.random() < 0.2 ? 500 : 200).end()
    }, Math.random() * 4)
  })
  await hook(shop, sink.url, { ordering: 'key' })
  const keys = upTo(6).map(n => `k${n}`)
  await Promise.all(['a.one', 'a.two'].map(topic => publishKeyed(shop, topic, keys, 8)))
  b.webhooks.dispatcher.wake()
  await settled(shop, 96)
  t.strictSame(overlaps, [], 'never two deliveries of one key at once')
  t.ok(most > 1, `${most} keys at once`)
  for (const key of keys) {
    for (const topic of ['a.one', 'a.two']) {
      const order = sink.received.filter(({ body: { data } }) => data.key === key && data.topic === topic).map((
        { body }
      ) => (body.data.payload as { n: number }).n)
      const firsts = order.filter((n, i) => order.indexOf(n) === i)
      t.strictSame(firsts, upTo(8), `${key} on ${topic}`)
      t.strictSame(order, [...order].sort((a, b) => a - b), 'no attempt follows one of a later event')
    }
  }
})

await t.test('the next delivery of a key follows a dead one, and a redriven one queues behind it', async t => {
  const shop = await tenant(a)
  await shop.topic('a.one')
  let refused: unknown = 2
  const sink = await receiver(t, ({ body }, response) => {
    response.writeHead((body.data.payload as { n: unknown }).n === refused ? 500 : 200).end()
  })
  await hook(shop, sink.url, { ordering: 'key' })
  await publishKeyed(shop, 'a.one', ['k'], 4)
  await settled(shop, 4)
  const order = () => sink.received.map(({ body }) => (body.data.payload as { n: number }).n)
  t.strictSame(order(), [1, 2, 2, 2, 2, 2, 2, 3, 4])
  t.match(await deliveriesOf(shop, '&state=dead'), [{
    offset: 2, error: /given up after 6 failures. The next delivery of its key follows/
  }])
  t.match(await logsOf(shop, '&success=false'), [{ attempts: 6, error: /the next delivery of its key follows/i }])
  refused = undefined
  await shop.request('POST', '/api/webhooks/redrive', {})
  await settled(shop, 4)
  t.equal(order().at(-1), 2)
})

await t.test('deliveries are due at once although the times of their log are ahead of the clock', async t => {
  const aheadMs = 2 * 3_600_000
  const shop = await tenant(a)
  await shop.topic('a.one')
  const sinks = [await receiver(t), await receiver(t)]
  for (const [i, ordering] of (['none', 'key'] as const).entries()) await hook(shop, sinks[i]?.url ?? '', { ordering })
  const publishAt = async (node: typeof a, n: number) =>
    await node.publisher.publish(shop.scope, 'a.one', { payload: n, key: 'k' })
  await publishAt(a, 0)
  // As after the correction of a clock that was ahead.
  await a.pool.query('update topic_logs set head_at = head_at + $2 where application_id = $1', [
    shop.applicationId, aheadMs
  ])
  const { rows: [head] } = await a.pool.query<{ head_at: number }>(
    'select head_at from topic_logs where application_id = $1', [shop.applicationId]
  )
  for (const [i, node] of [a, b, a].entries()) await publishAt(node, i + 1)
  for (const sink of sinks) await sink.came(4)
  await settled(shop, 8)
  const late = sinks.flatMap(({ received }) => received).filter(({ body }) => body.data.offset > 1)
  t.strictSame([...new Set(late.map(({ body }) => body.data.timestamp))], [head?.head_at], 'the time of the events')
  t.strictSame(sinks[1]?.received.map(({ body }) => body.data.payload), [0, 1, 2, 3], 'the key keeps its order')
  const deliveries = await deliveriesOf(shop)
  t.equal(deliveries.length, 8)
  t.ok(deliveries.every(({ createdAt }) => createdAt < Date.now() + aheadMs / 2), 'they have the time of the clock')
})

await t.test('events without a key have no order and do not wait', async t => {
  const shop = await tenant(a)
  await shop.topic('a.one')
  const waiting: ServerResponse[] = []
  const sink = await receiver(t, (_received, response) => { waiting.push(response) })
  await hook(shop, sink.url, { ordering: 'key' })
  await shop.publish('a.one', 1, 2, 3)
  await sink.came(3)
  for (const response of waiting) response.end()
  await settled(shop, 3)
})

await t.test('a webhook created on one node receives the next event of the other', async t => {
  const shop = await tenant(a)
  const topic = await shop.topic('a.one')
  const publishAt = async (n: number) => { await b.publisher.publish(shop.scope, topic, { payload: n }) }
  await publishAt(0)
  const sink = await receiver(t)
  let wanted = 0
  for (const n of upTo(20)) {
    const { id } = await hook(shop, sink.url)
    await publishAt(n)
    wanted++
    await shop.request('POST', `/api/webhooks/${id}/deactivate`)
    await publishAt(-n)
    if (n % 2 === 0) await shop.request('DELETE', `/api/webhooks/${id}`)
    else await shop.request('PATCH', `/api/webhooks/${id}`, { topics: ['b.*'] })
    await publishAt(-n)
  }
  const kept = async () =>
    (await a.pool.query(
      'select from webhook_deliveries d join webhooks w on w.id = d.webhook_id where d.application_id = $1',
      [shop.applicationId]
    )).rowCount
  await until(async () => await kept() === 10, 'a delivery for each webhook that was not deleted')
  await sink.until(all => all.length >= 10, 'the events that were not dropped meanwhile')
  t.ok(sink.received.every(({ body }) => (body.data.payload as number) > 0), 'no event from its inactive time')
  t.ok(wanted === 20)
})

await t.test('a webhook listens to socket events at once on its own node, and soon on the other', async t => {
  const urlB = await listen(b)
  const shop = await tenant(a)
  const sink = await receiver(t)
  const { id } = await hook(shop, sink.url, { events: ['socket.message'] })
  t.ok(a.socketListeners.hasListeners(shop.scope, 'socket.message'))
  t.notOk(a.socketListeners.hasListeners(shop.scope, 'socket.connect'))
  await until(() => b.socketListeners.hasListeners(shop.scope, 'socket.message'), 'the other node to load it')
  const client = await connectWs(urlB, { token: shop.token() })
  await client.request('publish', { channel: 'room', event: 'said', data: 1 })
  await sink.came(1)
  client.close()
  await shop.request('DELETE', `/api/webhooks/${id}`)
  t.notOk(a.socketListeners.hasListeners(shop.scope, 'socket.message'))
  await until(() => !b.socketListeners.hasListeners(shop.scope, 'socket.message'), 'the other node to drop it')
})

await t.test('after days of failures a webhook is deactivated once, with a log line and an event', async t => {
  const days = 5 * 24 * 3_600_000
  const shop = await tenant(a)
  await shop.topic('a.one')
  const client = await connectWs(url, { token: shop.token(), environment: 'production' })
  await client.request('subscribe', { topic: 'system.webhook.deactivated' })
  const sink = await receiver(t, answer(500))
  const { id } = await hook(shop, sink.url, { environments: ['development', 'production'] })
  await shop.publish('a.one', 1)
  await until(
    async () => (await shop.request('GET', `/api/webhooks/${id}`)).body.failingSince !== null,
    'the first failure to be recorded'
  )
  await settled(shop, 1)
  t.match((await shop.request('GET', `/api/webhooks/${id}`)).body, { active: true })
  await a.pool.query('update webhooks set failing_since = $1, failed_at = $2 where id = $3', [
    Date.now() - days - 1000, Date.now() - 3_600_000, id
  ])
  // Both nodes read it with their next poll.
  await shop.publish('a.one', 2, 3, 4)
  await settled(shop, 4)
  await until(async () => (await shop.request('GET', `/api/webhooks/${id}`)).body.active === false, 'the deactivation')
  t.match((await shop.request('GET', `/api/webhooks/${id}`)).body, { deactivatedReason: 'failing' })
  await client.received(1)
  t.match(client.events, [{ payload: { webhookId: id, reason: 'failing' } }])
  t.equal((await deliveriesOf(shop, '&state=dead')).length, 4)
  const announced = async () =>
    (await a.pool.query(
      "select environment from events where topic = 'system.webhook.deactivated' and application_id = $1 order by 1",
      [shop.applicationId]
    )).rows.map(({ environment }) => environment)
  await until(async () => (await announced()).length >= 2, 'an event in each environment')
  t.same(await announced(), ['development', 'production'], 'once in each of its environments')
  client.close()
})

await t.test('a failure long after the last one, or at another URL, starts the days over', async t => {
  const before = Date.now()
  const shop = await tenant(a)
  await shop.topic('a.one')
  const sink = await receiver(t, answer(500))
  const { id } = await hook(shop, sink.url)
  const webhook = async () => (await shop.request('GET', `/api/webhooks/${id}`)).body
  const failedAgo = async (sinceDays: number, lastDays: number | null) => {
    const at = (days: number) => Date.now() - days * 24 * 3_600_000
    await a.pool.query('update webhooks set failing_since = $1, failed_at = $2 where id = $3', [
      at(sinceDays), lastDays === null ? null : at(lastDays), id
    ])
  }
  let owed = 0
  for (const lastDays of [6, 1.5, null]) {
    await failedAgo(6, lastDays)
    await shop.publish('a.one', ++owed)
    await settled(shop, owed)
    await until(async () => (await webhook()).failingSince >= before, 'the days to start over')
    t.match(await webhook(), { active: true })
  }
  await failedAgo(6, 0.5)
  const { failingSince } = await webhook()
  t.match((await shop.request('PATCH', `/api/webhooks/${id}`, { url: sink.url, description: 'the same' })).body, {
    failingSince
  })
  t.match((await shop.request('PATCH', `/api/webhooks/${id}`, { url: `${sink.url}/2` })).body, { failingSince: null })
  await shop.publish('a.one', ++owed)
  await settled(shop, owed)
  t.match(await webhook(), { active: true })
})

await t.test('an endpoint stays down while failures follow each other closely', async t => {
  const { app } = await node(t, undefined, { circuitFailures: 2, circuitPauseMs: 1, circuitPauseMaxMs: 1 })
  const shop = await tenant(app)
  await shop.topic('a.one')
  const sink = await receiver(t, answer(500))
  const { id } = await hook(shop, sink.url)
  const read = async () =>
    (await app.pool.query<{ down_since: number | null, failed_at: number | null, failing_since: number | null }>(
      'select down_since, failed_at, failing_since from webhooks where id = $1', [id]
    )).rows[0]
  const long = Date.now() - 7_200_000
  let owed = 0
  /** Fails again after a silence in an outage that began long ago, and returns when the outage began. */
  const failAfter = async (silenceMs: number) => {
    const failedAt = Date.now() - silenceMs
    await app.pool.query('update webhooks set failing_since = $1, down_since = $1, failed_at = $2 where id = $3', [
      long, failedAt, id
    ])
    await shop.publish('a.one', ++owed)
    await settled(shop, owed, app)
    await until(async () => ((await read())?.failed_at ?? 0) > failedAt, 'the failure to be recorded')
    return (await read())?.down_since ?? null
  }
  t.equal(await failAfter(10_000), long)
  const before = Date.now()
  t.ok((await failAfter(3_600_000) ?? before) >= before, 'a silence is no evidence')
  sink.behave(answer(200))
  await shop.publish('a.one', ++owed)
  await settled(shop, owed, app)
  await until(async () => (await read())?.failing_since === null, 'the success to end the outage')
})

await t.test('a million deliveries to one endpoint do not delay another', async t => {
  const [big, small] = [await tenant(a), await tenant(a)]
  await big.topic('a.one')
  await small.topic('a.one')
  const stuck: ServerResponse[] = []
  const slow = await receiver(t, (_received, response) => { stuck.push(response) })
  const quick = await receiver(t)
  const { id } = await hook(big, slow.url)
  await hook(small, quick.url)
  await big.publish('a.one', 1)
  await slow.came(1)
  // As many as a test can afford: a claim must never scan them all.
  await a.pool.query(
    `insert into webhook_deliveries (application_id, environment, webhook_id, event_id, event_type, topic, log_id,
      "offset", event_at, next_at, created_at)
    select application_id, environment, webhook_id, event_id, event_type, topic, log_id, "offset", event_at, next_at,
      created_at from webhook_deliveries, generate_series(1, 20000) where application_id = $1`,
    [big.applicationId]
  )
  for (const n of upTo(20)) {
    await small.publish('a.one', n)
    await quick.came(n)
  }
  t.ok(slow.received.length < 2000)
  t.pass('all 20 arrived while the other endpoint was busy')
  await big.request('DELETE', `/api/webhooks/${id}`)
  for (const response of stuck) response.destroy()
})

await t.test('slow endpoints leave slots for other applications and for other endpoints of their own', async t => {
  const { app } = await node(t, undefined, { concurrencyMax: 48 }, { WEBHOOK_TIMEOUT_MS: '60000' })
  const [slow, quick] = [await tenant(app), await tenant(app)]
  for (const shop of [slow, quick]) for (const topic of ['a.one', 'a.two']) await shop.topic(topic)
  const stuck: ServerResponse[] = []
  const hanging = await receiver(t, (_received, response) => { stuck.push(response) })
  const sink = await receiver(t)
  for (const n of upTo(20)) await hook(slow, `${hanging.url}/${n}`, { topics: ['a.one'] })
  await slow.publish('a.one', ...upTo(20))
  // Their full share of the slots.
  await hanging.came(20)
  for (const shop of [quick, slow]) await hook(shop, sink.url, { topics: ['a.two'] })
  for (const n of upTo(20)) for (const shop of [quick, slow]) await shop.publish('a.two', n)
  await sink.came(40)
  t.equal(stuck.filter(response => response.writableEnded).length, 0, 'the slow endpoints had not responded')
  await until(async () => {
    const { rows } = await app.pool.query(
      "select count(*) as leased from webhook_deliveries where state = 'pending' and lease_until > 0"
    )
    return rows[0].leased === stuck.length
  }, 'no delivery to be leased ahead for endpoints that do not respond')
})

await t.test('with many webhooks the writer accepts every event and creates every delivery', async t => {
  const shop = await tenant(a)
  const topic = await shop.topic('a.one')
  const sink = await receiver(t)
  await Promise.all(
    upTo(30).map(n =>
      hook(shop, `${sink.url}/${n}`, {
        filter: n % 2 === 0 ? { n: { gt: 5 } } : undefined,
        topics: n % 5 === 0 ? ['a.*'] : undefined
      })
    )
  )
  await Promise.all(upTo(10).map(n => shop.publish(topic, { n })))
  await settled(shop, 15 * 10 + 15 * 5)
  const seen = new Map<string, Set<number>>()
  for (const { path, body } of sink.received as ReceivedWebhook[]) {
    seen.set(path, (seen.get(path) ?? new Set()).add((body.data.payload as { n: number }).n))
  }
  for (const n of upTo(30)) t.equal(seen.get(`/hook/${n}`)?.size, n % 2 === 0 ? 5 : 10)
})
