import t from 'tap'
import { ensurePartitions, partitionMs } from '../../src/events/partitions.ts'
import { build, listen } from '../support/build.ts'
import { connectWs } from '../support/clients.ts'
import { tenant, type Tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'
import { answer, receiver } from '../support/webhook-receiver.ts'

/* Retention of single topics, beside the retention of the server. */

t.setTimeout(600_000)
const hourMs = 3_600_000
const { app } = await build(t, {
  variables: { EVENT_RETENTION_HOURS: '24', WEBHOOK_ALLOW_PRIVATE: 'true' },
  adapt: config => Object.assign(config.webhooks, { pollMs: 50, retryScheduleMs: [] })
})
const url = await listen(app)
const now = Math.floor(Date.now() / partitionMs) * partitionMs + hourMs

/** Publishes one event for each age in hours, oldest first, and dates it back. */
async function aged (shop: Tenant, topic: string, ...hours: number[]): Promise<void> {
  const published = await shop.publish(topic, ...hours)
  const [first] = published
  for (const [i, age] of hours.entries()) {
    const time = now - age * hourMs
    await ensurePartitions(app.pool, time)
    await app.pool.query('update events set created_at = $1 where id = $2', [time, published[i]?.id])
  }
  await app.pool.query(
    'update topic_logs set head_at = $1 where application_id = $2 and topic = $3',
    [now - (hours.at(-1) ?? 0) * hourMs, shop.applicationId, topic]
  )
  t.ok(first)
}

const offsets = async (shop: Tenant, topic: string, query = '') => {
  const { body } = await shop.request('GET', `/api/topics/${topic}/events?limit=1000${query}`)
  return (body as { offset: number }[]).map(({ offset }) => offset)
}

const setRetention = (shop: Tenant, topic: string, retentionHours: unknown) =>
  shop.request('PATCH', `/api/topics/${topic}`, { retentionHours })

await t.test('a topic has the retention of the server, its own, or none', async t => {
  const shop = await tenant(app)
  const created = await shop.request('POST', '/api/topics', {
    name: 'kept.long', description: 'd', owner: 'o', retentionHours: 'forever'
  })
  t.match([created.status, created.body], [201, { retentionHours: 'forever' }])
  await shop.topic('kept.default')
  t.equal((await shop.request('GET', '/api/topics/kept.default')).body.retentionHours, null)
  t.match((await setRetention(shop, 'kept.default', 87_600)).body, { retentionHours: 87_600 })
  t.match((await setRetention(shop, 'kept.default', null)).body, { retentionHours: null })
  t.match((await setRetention(shop, 'kept.default', 1)).body, { retentionHours: 1 })
  for (const wrong of [0, -1, 1.5, 87_601, 'never', '24', true, [], {}]) {
    const { status, body } = await setRetention(shop, 'kept.default', wrong)
    t.match([status, body], [400, { code: 'VALIDATION_FAILED' }], JSON.stringify(wrong))
  }
  const { rows: [entry] } = await app.pool.query(
    "select before, after from audit_log where application_id = $1 and action = 'topic.updated' order by sequence desc",
    [shop.applicationId]
  )
  t.match([entry.before, entry.after], [{ retentionHours: null }, { retentionHours: 1 }])
})

await t.test('each topic keeps its events for as long as it says', async t => {
  const shop = await tenant(app)
  for (const topic of ['r.short', 'r.default', 'r.long', 'r.forever']) await shop.topic(topic)
  await setRetention(shop, 'r.short', 2)
  await setRetention(shop, 'r.long', 48)
  await setRetention(shop, 'r.forever', 'forever')
  for (const topic of ['r.short', 'r.default', 'r.long', 'r.forever']) await aged(shop, topic, 100, 47, 40, 3, 2, 1, 0)
  await app.retention.sweep(now)
  t.same(await offsets(shop, 'r.short'), [5, 6, 7], 'the shorter one, to the hour')
  t.same(await offsets(shop, 'r.default'), [4, 5, 6, 7])
  t.same(await offsets(shop, 'r.long'), [2, 3, 4, 5, 6, 7])
  t.same(await offsets(shop, 'r.forever'), [1, 2, 3, 4, 5, 6, 7])
  const { rows: partitions } = await app.pool.query(
    "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'events'::regclass"
  )
  const oldest = Math.min(...partitions.map(({ name }) => Number(name.slice('events_'.length))))
  t.ok(oldest + partitionMs > now - 24 * hourMs, 'the partitions are dropped although events of them are kept')

  await app.retention.sweep(now)
  t.same(await offsets(shop, 'r.forever'), [1, 2, 3, 4, 5, 6, 7], 'another sweep changes nothing')
  await app.retention.sweep(now + 2 * hourMs)
  t.same(await offsets(shop, 'r.long'), [3, 4, 5, 6, 7])
  t.same(await offsets(shop, 'r.short'), [7])
})

await t.test('kept events are found by offset, time, order and key, and by subscribers', async t => {
  const shop = await tenant(app)
  await shop.topic('k.log')
  await setRetention(shop, 'k.log', 'forever')
  await aged(shop, 'k.log', 100, 90, 80, 30, 10, 1)
  await app.retention.sweep(now)
  const { rows: [kept] } = await app.pool.query('select count(*) from events_kept where application_id = $1', [
    shop.applicationId
  ])
  t.equal(kept.count, 4)
  t.same(await offsets(shop, 'k.log', '&order=desc'), [6, 5, 4, 3, 2, 1])
  t.same(await offsets(shop, 'k.log', '&after=2&before=5'), [3, 4])
  t.same(await offsets(shop, 'k.log', `&from=${now - 85 * hourMs}&to=${now - 5 * hourMs}`), [3, 4, 5])
  t.same(await offsets(shop, 'k.log', `&filter=${encodeURIComponent('{"nothing":1}')}`), [])
  for (const [age, offset] of [[200, 1], [100, 1], [99, 2], [80, 3], [79, 4], [30, 4], [29, 5], [1, 6]] as const) {
    t.match(
      await app.eventLog.at(shop.scope, 'k.log', now - age * hourMs), { offset, isComplete: true, earliest: 1 },
      `${age} hours ago`
    )
  }
  t.match(await app.eventLog.at(shop.scope, 'k.log', now), { offset: 7, isComplete: true })
  t.match(await app.eventLog.position(shop.scope, 'k.log'), { head: 6, earliest: 1 })
  const client = await connectWs(url, { token: shop.token() })
  t.teardown(() => client.close())
  t.match(await client.request('subscribe', { topic: 'k.log', after: 0 }), { offset: 0, recovered: true })
  t.same((await client.received(6)).map(({ offset }) => offset), [1, 2, 3, 4, 5, 6])
})

await t.test('kept events are read by key and filter, explained, and replayed', async t => {
  const shop = await tenant(app)
  await shop.topic('k.reads')
  await setRetention(shop, 'k.reads', 'forever')
  const ages = [100, 90, 80, 30, 10, 1]
  const { body: published } = await shop.request('POST', '/api/topics/k.reads/events', {
    events: ages.map((age, i) => ({ payload: { age, isOdd: i % 2 === 0 }, key: i % 3 === 0 ? 'a' : 'b' }))
  })
  for (const [i, age] of ages.entries()) {
    const time = now - age * hourMs
    await ensurePartitions(app.pool, time)
    await app.pool.query('update events set created_at = $1 where id = $2', [time, published[i].id])
  }
  const sink = await receiver(t)
  const { body: { id: webhookId } } = await shop.request('POST', '/api/webhooks', {
    url: sink.url, events: ['topic.event'], topics: ['k.reads']
  })
  await app.retention.sweep(now)
  const { rowCount } = await app.pool.query("select 1 from events_kept where topic = 'k.reads'")
  t.equal(rowCount, 4)
  const filter = encodeURIComponent('{"isOdd":true}')
  t.same(await offsets(shop, 'k.reads', '&key=a'), [1, 4])
  t.same(await offsets(shop, 'k.reads', '&key=b&order=desc'), [6, 5, 3, 2])
  t.same(await offsets(shop, 'k.reads', `&filter=${filter}`), [1, 3, 5])
  t.same(await offsets(shop, 'k.reads', `&filter=${filter}&key=b&from=${now - 95 * hourMs}`), [3, 5])
  const explained = await shop.request('POST', '/api/debugger/explain', {
    topic: 'k.reads', offset: 2, token: shop.token()
  })
  t.match([explained.status, explained.body], [200, {
    eventId: published[1].id, conditions: [{ condition: 'stored', holds: true }]
  }])
  const replay = await shop.request('POST', '/api/debugger/replay', {
    topic: 'k.reads', fromOffset: 1, toOffset: 5, target: 'webhooks', webhookId
  })
  t.equal(replay.status, 202, replay.text)
  await sink.came(5)
  t.same(
    sink.received.map(({ body }) => (body.data.payload as { age: number }).age).sort((a, b) => b - a),
    ages.slice(0, 5), 'each event once'
  )
})

await t.test('a position that retention has passed is not recovered', async t => {
  const shop = await tenant(app)
  await shop.topic('gap.log')
  await setRetention(shop, 'gap.log', 2)
  await aged(shop, 'gap.log', 5, 4, 3, 1, 0)
  await app.retention.trim(now)
  const client = await connectWs(url, { token: shop.token() })
  t.teardown(() => client.close())
  t.match(await client.request('subscribe', { topic: 'gap.log', after: 2 }), { recovered: false })
  t.match(await client.request('subscribe', { topic: 'gap.log', after: 3 }), { offset: 3, recovered: true })
  t.match(await app.eventLog.at(shop.scope, 'gap.log', now - 4 * hourMs), { offset: 4, isComplete: false, earliest: 4 })
  t.equal((await shop.publish('gap.log', 'next'))[0]?.offset, 6, 'offsets continue')
})

await t.test('a retention may be changed while events are kept, and a log never has a hole', async t => {
  const shop = await tenant(app)
  await shop.topic('c.log')
  await setRetention(shop, 'c.log', 'forever')
  await aged(shop, 'c.log', 100, 90, 30, 1)
  await app.retention.sweep(now)
  t.same(await offsets(shop, 'c.log'), [1, 2, 3, 4])
  await setRetention(shop, 'c.log', 95)
  await app.retention.trim(now)
  t.same(await offsets(shop, 'c.log'), [2, 3, 4])
  await setRetention(shop, 'c.log', null)
  await app.retention.trim(now)
  t.same(await offsets(shop, 'c.log'), [4], 'null is the retention of the server')
  await setRetention(shop, 'c.log', 'forever')
  await app.retention.sweep(now + 100 * hourMs)
  t.same(await offsets(shop, 'c.log'), [4], 'what is deleted does not come back')
  await shop.request('DELETE', '/api/topics/c.log')
  await app.retention.trim(now + 200 * hourMs)
  t.same((await app.pool.query('select 1 from events_kept where topic = $1', ['c.log'])).rowCount, 0, 'topic deleted')
})

await t.test('a move that was interrupted is continued, and readers see each event once at any time', async t => {
  const shop = await tenant(app)
  await shop.topic('m.log')
  await setRetention(shop, 'm.log', 'forever')
  const many = 12_000
  await shop.publish('m.log', ...Array.from({ length: many }, (_, i) => i))
  const old = now - 40 * hourMs
  await ensurePartitions(app.pool, old)
  await app.pool.query("update events set created_at = $1 where topic = 'm.log'", [old])
  const query = app.pool.query.bind(app.pool) as (...args: unknown[]) => Promise<unknown>
  let moves = 0
  Object.assign(app.pool, {
    query: async (...args: unknown[]) => {
      if (String(args[0]).includes('insert into events_kept') && ++moves === 2) throw new Error('the node dies')
      return await query(...args)
    }
  })
  t.teardown(() => { Reflect.deleteProperty(app.pool, 'query') })
  await t.rejects(app.retention.sweep(now), /the node dies/)
  Reflect.deleteProperty(app.pool, 'query')
  const { rows: [kept] } = await app.pool.query("select count(*) from events_kept where topic = 'm.log'")
  t.equal(kept.count, 5000, 'a part has been moved')
  const seen = async () => {
    const { rows: [row] } = await app.pool.query<{ all: number, distinct: number }>(
      "select count(*) as all, count(distinct \"offset\") as distinct from logged_events where topic = 'm.log'"
    )
    return [row?.all, row?.distinct]
  }
  t.same(await seen(), [many, many])
  const page = await app.eventLog.page(shop.scope, 'm.log', { after: 4990, limit: 20 })
  t.same(page.map(({ offset }) => offset), Array.from({ length: 20 }, (_, i) => 4991 + i), 'a page over both parts')
  t.match(await app.eventLog.at(shop.scope, 'm.log', old), { offset: 1, isComplete: true })
  const sweeping = app.retention.sweep(now)
  const state = { isDone: false }
  void sweeping.finally(() => { state.isDone = true })
  while (!state.isDone) t.same(await seen(), [many, many])
  await sweeping
  const { rows: [moved] } = await app.pool.query("select count(*) from events_kept where topic = 'm.log'")
  t.equal(moved.count, many)
})

await t.test('a partition is not dropped while it has events that are kept', async t => {
  const shop = await tenant(app)
  await shop.topic('d.log')
  await aged(shop, 'd.log', 60, 1)
  const query = app.pool.query.bind(app.pool) as (...args: unknown[]) => Promise<unknown>
  t.teardown(() => { Reflect.deleteProperty(app.pool, 'query') })
  // The retention is raised after the events to move were looked up, and before the partition is dropped.
  let isRaised = false
  Object.assign(app.pool, {
    query: async (...args: unknown[]) => {
      const found = await query(...args)
      if (!isRaised && String(args[0]).includes('select from events_') && !String(args[0]).includes('lock table')) {
        isRaised = true
        await query("update topics set retention_hours = 0 where name = 'd.log'")
      }
      return found
    }
  })
  await app.retention.sweep(now)
  Reflect.deleteProperty(app.pool, 'query')
  t.ok(isRaised)
  t.same(await offsets(shop, 'd.log'), [1, 2])
  await app.retention.sweep(now)
  t.same(await offsets(shop, 'd.log'), [1, 2], 'moved by the next sweep')
  t.equal((await app.pool.query("select 1 from events_kept where topic = 'd.log'")).rowCount, 1)
})

await t.test('deliveries outlive the events of a topic with a short retention', async t => {
  const shop = await tenant(app)
  await shop.topic('w.log')
  const sink = await receiver(t, answer(500))
  const { body: { id } } = await shop.request('POST', '/api/webhooks', {
    url: sink.url, events: ['topic.event'], topics: ['w.log']
  })
  await setRetention(shop, 'w.log', 1)
  await aged(shop, 'w.log', 3)
  const dead = async () =>
    (await shop.request('GET', `/api/webhooks/deliveries?webhookId=${id}&state=dead`)).body as unknown[]
  await until(async () => (await dead()).length === 1, 'the delivery to die')
  await app.retention.trim(now)
  t.same(await offsets(shop, 'w.log'), [])
  sink.behave(answer(200))
  sink.received.length = 0
  await shop.request('POST', '/api/webhooks/redrive', { webhookId: id })
  await sink.came(1)
  t.match(sink.received[0]?.body.data, { topic: 'w.log', payload: 3 })
})

await t.test('deleting an application deletes its kept events', async t => {
  const shop = await tenant(app)
  await shop.topic('e.log')
  await setRetention(shop, 'e.log', 'forever')
  await aged(shop, 'e.log', 60)
  await app.retention.sweep(now)
  const count = async () =>
    (await app.pool.query('select 1 from events_kept where application_id = $1', [shop.applicationId])).rowCount
  t.equal(await count(), 1)
  const { status } = await shop.request('DELETE', `/api/applications/${shop.applicationId}?force=true`)
  t.equal(status, 204)
  await until(async () => await count() === 0)
})
