import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { createQueue } from '../../src/webhooks/dispatch/queue.ts'
import { createDatabase } from '../support/database.ts'
import { requester, tenant, type Tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'
import { allSettled, answer, receiver } from '../support/webhook-receiver.ts'
import { deliveriesOf, hook, logsOf, node, publishKeyed, upTo } from '../support/webhooks.ts'

/*
 * Leases left behind or released, endpoints that are down, and lanes that wait. Each test has its own servers.
 */

t.setTimeout(600_000)

const settled = (shop: Tenant, count: number, at: FastifyInstance) => allSettled(at, shop, count)

await t.test('an expired lease is logged and another node delivers; the late worker records nothing', async t => {
  const database = await createDatabase(t)
  const { app } = await node(t, database)
  await app.webhooks.dispatcher.close()
  const shop = await tenant(app)
  await shop.topic('a.one')
  const sink = await receiver(t)
  const { id } = await hook(shop, sink.url)
  await shop.publish('a.one', 1)
  t.match(await deliveriesOf(shop), [{ state: 'pending', attempts: 0 }])
  const queue = createQueue({ pool: app.pool })
  const now = Date.now()
  const claim = async (at: number) =>
    (await queue.claim([{ webhookId: id, slots: 5 }], { now: at, leaseUntil: at + 300, owner: 'dead' }))
      .claimed
  const [claimed] = await claim(now)
  t.equal((await claim(now)).length, 0, 'no other node gets the delivery while the lease lasts')
  await node(t, database)
  await settled(shop, 1, app)
  t.equal(sink.received.length, 1)
  const late = {
    seq: claimed?.seq ?? 0, fence: claimed?.fence ?? 0, webhookId: id, isLaned: false,
    event: { scope: shop.scope, id: claimed?.event_id ?? '', timestamp: now }, state: 'dead' as const, nextAt: now,
    failures: 1, success: false, statusCode: 500, error: 'late', responseBody: null,
    responseHeaders: null, sentAt: null, durationMs: 1, url: sink.url
  }
  t.equal((await queue.settle([late], Date.now())).size, 0, 'the worker that lost the lease records nothing')
  t.match(await deliveriesOf(shop), [{ state: 'delivered', attempts: 2 }])
  t.match(await logsOf(shop), [{ attempts: 2, success: true }, { attempts: 1, success: false, error: /Interrupted/ }])
})

await t.test('a shutdown releases unsent deliveries and aborts slow requests', async t => {
  const database = await createDatabase(t)
  const first = await node(t, database, { endpointConcurrencyMax: 2 }, { WEBHOOK_TIMEOUT_MS: '60000' })
  const shop = await tenant(first.app)
  await shop.topic('a.one')
  let isQuick = false
  const sink = await receiver(t, (_received, response) => { if (isQuick) response.end() })
  await hook(shop, sink.url)
  await shop.publish('a.one', ...upTo(20))
  await sink.came(2)
  await first.app.close()
  const hung = sink.received.length
  isQuick = true
  const second = await node(t, database)
  const { token } = second.app.tokens.mint({
    subject: 't', applicationId: shop.applicationId, permissions: ['admin'], environment: undefined,
    expiresInS: undefined
  })
  const again = { request: requester(second.app, token) }
  await settled(shop, 20, second.app)
  t.equal(new Set(sink.received.map(({ id }) => id)).size, 20)
  t.equal(sink.received.length, 20 + hung, 'only requests in flight were repeated')
  t.equal((await logsOf(again, '&success=false')).filter(({ error }) => /Interrupted/.test(error ?? '')).length, hung,
    'the shutdown did not wait for the endpoint')
})

await t.test('a circuit pauses a dead endpoint, and deliveries due for too long are given up', async t => {
  const { app } = await node(t, undefined, { circuitFailures: 3, circuitPauseMs: 50, circuitPauseMaxMs: 100 }, {
    WEBHOOK_TIMEOUT_MS: '1000'
  })
  const shop = await tenant(app)
  await shop.topic('a.one')
  const sink = await receiver(t, answer(500))
  const { id } = await hook(shop, sink.url)
  await shop.publish('a.one', ...upTo(500))
  await settled(shop, 500, app)
  t.ok(sink.received.length < 500, `${sink.received.length} requests for 500 deliveries`)
  t.equal((await deliveriesOf(shop, '&state=dead')).length, 500)
  t.type((await shop.request('GET', `/api/webhooks/${id}`)).body.failingSince, 'number')
  t.equal(
    (await logsOf(shop)).length,
    Math.min(1000, sink.received.length + (await logsOf(shop)).filter(({ statusCode }) => statusCode === null).length),
    'the log has each request, and each delivery given up without one'
  )
  sink.behave(answer(200))
  await shop.request('POST', '/api/webhooks/redrive', {})
  await settled(shop, 500, app)
  t.equal((await deliveriesOf(shop, '&state=delivered')).length, 500)
  t.equal((await shop.request('GET', `/api/webhooks/${id}`)).body.failingSince, null)
})

await t.test('deliveries to other endpoints continue while the backlog of a dead endpoint is given up', async t => {
  const { app } = await node(t, undefined, { circuitFailures: 3, circuitPauseMs: 50, circuitPauseMaxMs: 100 }, {
    WEBHOOK_TIMEOUT_MS: '1000'
  })
  const [dead, quick] = [await tenant(app), await tenant(app)]
  for (const shop of [dead, quick]) await shop.topic('a.one')
  const [down, sink] = [await receiver(t, answer(500)), await receiver(t)]
  await hook(dead, down.url)
  await hook(quick, sink.url)
  // Giving up blocks for as long as this test holds a lock.
  const lock = 4711
  await app.pool.query(
    `create function wait_for_lock () returns trigger language plpgsql as '
      begin perform pg_advisory_xact_lock(${lock}); return new; end'`
  )
  await app.pool.query(
    'create trigger wait_for_lock before update on webhook_deliveries for each row ' +
      "when (new.error like 'Given up%') execute function wait_for_lock()"
  )
  const holder = await app.pool.connect()
  try {
    await holder.query('select pg_advisory_lock($1)', [lock])
    await dead.publish('a.one', ...upTo(100))
    const givingUp = async () =>
      (await app.pool.query(
        'select query_start from pg_stat_activity join pg_locks using (pid) ' +
        "where locktype = 'advisory' and objid = $1 and not granted",
        [lock]
      )).rows
    await until(async () => (await givingUp()).length === 1, 'the backlog to be given up')
    const since = await givingUp()
    await quick.publish('a.one', ...upTo(5))
    await sink.came(5)
    t.strictSame(await givingUp(), since, 'the lock is still held')
  } finally {
    await holder.query('select pg_advisory_unlock($1)', [lock])
    holder.release()
  }
  await settled(dead, 100, app)
  t.equal((await deliveriesOf(dead, '&state=dead')).length, 100)
})

await t.test('a pause requested by the endpoint outlasts the idle time after which an outlet is closed', async t => {
  const { app } = await node(t, undefined, { endpointIdleMs: 10 })
  const shop = await tenant(app)
  await shop.topic('a.one')
  const [busy, sink] = [await receiver(t, answer(429, { 'retry-after': '3600' })), await receiver(t)]
  const { id } = await hook(shop, busy.url)
  await shop.publish('a.one', 1)
  await until(async () => (await logsOf(shop)).length === 1, 'the response to be recorded')
  await hook(shop, sink.url)
  await shop.publish('a.one', 2)
  await sink.came(1)
  await until(() => sink.openConnections === 0, 'the other outlet to be closed')
  await shop.publish('a.one', 3)
  await sink.came(2)
  t.match(await deliveriesOf(shop, `&webhookId=${id}`), [{ attempts: 0 }, { attempts: 0 }, { attempts: 1 }])
})

await t.test('deliveries that waited while no server ran are sent, even if the endpoint fails at first', async t => {
  const databaseUrl = await createDatabase(t)
  const before = await node(t, databaseUrl)
  const shop = await tenant(before.app)
  await shop.topic('a.one')
  const sink = await receiver(t, answer(500))
  const { id } = await hook(shop, sink.url)
  await before.app.webhooks.dispatcher.close()
  await shop.publish('a.one', ...upTo(100))
  await deliveriesOf(shop)
  // One day earlier.
  await before.app.pool.query('update webhook_deliveries set next_at = next_at - 86400000')
  await before.app.pool.query('update webhooks set failing_since = $1 where id = $2', [Date.now() - 86_400_000, id])
  const failures = 10
  sink.behave((_received, response) => {
    response.writeHead(sink.received.length <= failures ? 500 : 200).end()
  })
  const { app } = await node(t, databaseUrl, { circuitFailures: 3, circuitPauseMs: 50, circuitPauseMaxMs: 100 }, {
    WEBHOOK_RETRY_SCHEDULE: '1s,1s,1s,1s,1s'
  })
  await settled(shop, 100, app)
  t.equal((await deliveriesOf(shop, '&state=delivered')).length, 100)
})

await t.test('an outage that began before a restart is continued by the next server', async t => {
  const databaseUrl = await createDatabase(t)
  const before = await node(t, databaseUrl)
  const shop = await tenant(before.app)
  await shop.topic('a.one')
  const sink = await receiver(t, answer(500))
  // One request per second: few are sent before the others are given up.
  const { id } = await hook(shop, sink.url, { rateLimit: 1 })
  await before.app.webhooks.dispatcher.close()
  await shop.publish('a.one', ...upTo(100))
  await deliveriesOf(shop)
  const begin = Date.now() - 7_200_000
  await before.app.pool.query('update webhook_deliveries set next_at = $1', [begin])
  await before.app.pool.query(
    'update webhooks set failing_since = $1, down_since = $1, failed_at = $2 where id = $3',
    [begin, Date.now() - 1000, id]
  )
  const { app } = await node(t, databaseUrl, {}, { WEBHOOK_RETRY_SCHEDULE: '1h' })
  const dead = async () =>
    (await app.pool.query("select from webhook_deliveries where error like 'Given up: every request%'")).rowCount ?? 0
  await until(async () => await dead() > 90, 'the deliveries to be given up')
})

await t.test('while permissions cannot be checked a delivery waits and the endpoint counts as healthy', async t => {
  const { app } = await node(t, undefined, { circuitFailures: 3 })
  const shop = await tenant(app)
  const topic = await shop.topic('a.one')
  const sink = await receiver(t)
  const { id } = await hook(shop, sink.url)
  await app.pool.query('alter table signing_keys rename to keys_away')
  await app.publisher.publish(shop.scope, topic, { payload: 1 })
  // More often than the schedule has retries.
  const unsent = async () =>
    (await app.pool.query("select from webhook_attempts where error like 'Not sent: the permissions%'")).rowCount ?? 0
  await until(async () => await unsent() > 8, 'the delivery to be tried repeatedly')
  const { rows } = await app.pool.query(
    'select d.state, d.failures, w.failing_since from webhook_deliveries d join webhooks w on w.id = d.webhook_id'
  )
  t.strictSame(rows, [{ state: 'pending', failures: 0, failing_since: null }])
  t.equal(app.webhooks.dispatcher.pausedUntil(id), undefined, 'its circuit is closed')
  t.strictSame(sink.received, [])
  await app.pool.query('alter table keys_away rename to signing_keys')
  await sink.came(1)
  await settled(shop, 1, app)
})

await t.test('with ordering by key, hundreds of waiting keys do not hide the others', async t => {
  const { app } = await node(t, undefined, {}, { WEBHOOK_RETRY_SCHEDULE: '1h' })
  const shop = await tenant(app)
  await shop.topic('a.one')
  // The failing keys come first by name.
  const sink = await receiver(t, ({ body }, response) => {
    response.writeHead(String(body.data.key).startsWith('a') ? 500 : 200).end()
  })
  await hook(shop, sink.url, { ordering: 'key' })
  await publishKeyed(shop, 'a.one', upTo(300).map(n => `a${n}`), 1)
  await sink.came(300)
  await publishKeyed(shop, 'a.one', ['z1', 'z2'], 2)
  await sink.until(
    all => all.filter(({ body }) => String(body.data.key).startsWith('z')).length === 4, 'the other keys'
  )
})

await t.test('with ordering by key, keys that are late in alphabetical order get their turn', async t => {
  const { app } = await node(t)
  const shop = await tenant(app)
  await shop.topic('a.one')
  const sink = await receiver(t)
  // Far fewer slots than keys.
  await hook(shop, sink.url, { ordering: 'key', rateLimit: 20 })
  const keys = upTo(230).map(n => `k${String(n).padStart(3, '0')}`)
  await publishKeyed(shop, 'a.one', keys, 3)
  const late = new Set(keys.slice(-20))
  const isLate = ({ body }: typeof sink.received[number]) => late.has(String(body.data.key))
  await sink.until(all => all.some(isLate), 'a late key')
  const before = sink.received.slice(0, sink.received.findIndex(isLate))
  const done = before.filter(({ body }) => (body.data.payload as { n: number }).n === 3)
  t.same(done.map(({ body }) => body.data.key), [], 'no key had all of its turns before a late key had its first')
})
