import t from 'tap'
import type { Alert, AlertRuleName } from '../../schemas/alerts.ts'
import { measures } from '../../src/alerts/measures.ts'
import { rules } from '../../src/alerts/rules.ts'
import { alertEventsOf, alertingNode, alertOf, resolutionOf, setRules } from '../support/alerts.ts'
import { listen, unpinged } from '../support/build.ts'
import { connectWs } from '../support/clients.ts'
import { DatabaseProxy } from '../support/database-proxy.ts'
import { person } from '../support/people.ts'
import { createSource, sourced } from '../support/source-database.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'
import { answer, receiver } from '../support/webhook-receiver.ts'
import { hook } from '../support/webhooks.ts'

/* Each built-in rule fires and is resolved by its real cause. */

t.setTimeout(600_000)

const { app } = await alertingNode(t, {
  adapt ({ delivery, cdc }) {
    Object.assign(delivery, unpinged, { socketBufferBytesMax: 128 * 1024 })
    cdc.timing = { ...cdc.timing, careEveryMs: 100 }
  }
})
const url = await listen(app)
const covered = new Set<string>()

/** Checks an alert that fired, and that it is resolved, with one event of each kind. */
async function proves (
  t: Tap, shop: Parameters<typeof alertOf>[0], alert: Alert, target: string, repair: () => Promise<unknown>
): Promise<void> {
  const { rule } = alert
  covered.add(rule)
  t.match(alert, {
    id: /^alr_/,
    status: 'firing',
    severity: rules[rule].severity,
    summary: /./,
    details: { target: { type: rules[rule].target, id: target }, runbook: `/docs/ALERTS.md#${rule}` },
    startedAt: Number,
    resolvedAt: null,
    resolution: null,
    acknowledgedBy: null
  }, rule)
  await repair()
  t.match(await resolutionOf(shop, alert), { resolvedAt: Number, resolution: 'cleared', severity: alert.severity })
  const events = (await alertEventsOf(shop)).filter(({ key }) => key === alert.id)
  t.match(events, [
    { type: 'alert.firing', payload: { id: alert.id, rule, status: 'firing' } },
    { type: 'alert.resolved', payload: { id: alert.id, rule, status: 'resolved', resolution: 'cleared' } }
  ], `${rule}: one event each`)
  t.equal(events.length, 2)
}
type Tap = Pick<typeof t, 'match' | 'equal'>

await t.test('a connected database that goes away fires connection_failed and cdc_lag', async t => {
  const shop = await tenant(app)
  const source = await createSource(t)
  const address = new URL(source.url)
  const proxy = new DatabaseProxy(address)
  const port = await proxy.open()
  t.teardown(() => proxy.close())
  await setRules(
    shop, { rule: 'connection_failed', forSeconds: 0 }, { rule: 'cdc_lag', threshold: 1, forSeconds: 0 }
  )
  address.hostname = '127.0.0.1'
  address.port = String(port)
  const connection = await shop.request('PUT', '/api/database/connection', { connectionString: address.href })
  t.equal(connection.status, 200)
  const isStreaming = async () => (await shop.request('GET', '/api/database/connection')).body.state === 'streaming'
  await until(isStreaming, 'streaming')
  await proxy.close()
  await until(async () => !await isStreaming(), 'the loss to be noticed')
  const [{ id: target }] = (await app.pool.query<{ id: string }>(
    'select id from cdc_connections where application_id = $1', [shop.applicationId])).rows as [{ id: string }]
  const lag = await alertOf(shop, 'cdc_lag', 'firing')
  t.ok(lag.details.value !== null && lag.details.value >= 1, `${lag.details.value} s`)
  // The first one may be about the time before the first stream.
  const failed = await alertOf(shop, 'connection_failed', 'firing')
  const repair = async () => {
    await proxy.open()
    await until(isStreaming, 'streaming again')
  }
  await proves(t, shop, failed, target, repair)
  await proves(t, shop, lag, target, async () => {})
})

await t.test('a slot that holds WAL back fires slot_holds_wal', async t => {
  const shop = await sourced(t, app)
  await shop.connect()
  await setRules(shop, { rule: 'slot_holds_wal', threshold: 2 * 1024 ** 2, forSeconds: 0 })
  await shop.sql('create table ballast (text text)')
  // An open transaction keeps the slot from moving on.
  await shop.sql('begin')
  await shop.sql('select pg_current_xact_id()')
  await shop.sql("select pg_logical_emit_message(false, 'ballast', repeat('x', 4000000))")
  const alert = await alertOf(shop, 'slot_holds_wal', 'firing')
  const { rows: [row] } = await app.pool.query<{ id: string }>(
    'select id from cdc_connections where application_id = $1', [shop.applicationId]
  )
  await proves(t, shop, alert, row?.id ?? '', async () => {
    await shop.sql('commit')
    await until(async () => {
      await shop.sql('select pg_log_standby_snapshot()')
      await shop.sql("insert into ballast values ('x')")
      return (await shop.request('GET', '/api/alerts?rule=slot_holds_wal&status=firing')).body.length === 0
    }, 'the slot to move')
  })
})

await t.test('a mapping that fails fires mapping_failures', async t => {
  const shop = await sourced(t, app)
  const topic = await shop.topic('row.changed')
  const schema = await shop.request('POST', `/api/schemas/${topic}`, { schema: { type: 'number' } })
  const active = await shop.request('PATCH', `/api/topics/${topic}`, { activeSchemaVersion: schema.body.version })
  t.equal(active.status, 200, active.text)
  await shop.sql('create table rows (id int primary key, text text)')
  await shop.connect()
  const { mappingId } = await shop.map({ table: 'rows', topic, events: ['insert'], payload: '$row.text' })
  await shop.sql("insert into rows values (1, 'no number')")
  const alert = await alertOf(shop, 'mapping_failures', 'firing')
  t.equal(alert.details.code, 'SCHEMA_VIOLATED')
  await proves(t, shop, alert, mappingId, async () => {})
})

await t.test('payloads that a schema refuses fire schema_violations, and other refusals writes_refused', async t => {
  const shop = await tenant(app)
  await setRules(shop, { rule: 'schema_violations', threshold: 3 }, { rule: 'writes_refused', threshold: 2 })
  const topic = await shop.topic('order.placed')
  const schema = await shop.request('POST', `/api/schemas/${topic}`, { schema: { type: 'number' } })
  await shop.request('PATCH', `/api/topics/${topic}`, { activeSchemaVersion: schema.body.version })
  for (let i = 0; i < 3; i++) {
    t.equal((await shop.request('POST', `/api/topics/${topic}/events`, { payload: 'text' })).status, 400)
  }
  const violated = await alertOf(shop, 'schema_violations', 'firing')
  for (let i = 0; i < 2; i++) {
    t.equal((await shop.request('POST', '/api/topics/no.such/events', { payload: 1 })).status, 404)
  }
  const refused = await alertOf(shop, 'writes_refused', 'firing')
  await proves(t, shop, violated, topic, async () => {})
  await proves(t, shop, refused, 'TOPIC_NOT_FOUND', async () => {})
  t.equal(violated.details.value, 3)
})

await t.test('an endpoint that fails fires endpoint_failing and dead_deliveries', async t => {
  const shop = await tenant(app)
  await setRules(shop, { rule: 'endpoint_failing', threshold: 0 })
  const topic = await shop.topic('order.placed')
  const sink = await receiver(t, answer(500))
  const { id } = await hook(shop, sink.url, { environments: ['development'] })
  await shop.publish(topic, 1)
  const failing = await alertOf(shop, 'endpoint_failing', 'firing')
  const dead = await alertOf(shop, 'dead_deliveries', 'firing')
  sink.behave(answer(200))
  await proves(t, shop, dead, id, async () => {
    const { status, text } = await shop.request('POST', '/api/webhooks/redrive', { webhookId: id })
    t.equal(status, 200, text)
  })
  await proves(t, shop, failing, id, async () => {})
})

await t.test('an endpoint that is gone fires endpoint_disabled until the webhook is activated', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('order.placed')
  const sink = await receiver(t, answer(410))
  const { id } = await hook(shop, sink.url, { environments: ['development'] })
  await shop.publish(topic, 1)
  const alert = await alertOf(shop, 'endpoint_disabled', 'firing')
  t.equal(alert.details.code, 'gone')
  sink.behave(answer(200))
  await proves(t, shop, alert, id, async () => {
    t.equal((await shop.request('POST', `/api/webhooks/${id}/activate`)).status, 200)
  })
})

await t.test('a client that does not read fires subscribers_resynced', async t => {
  const shop = await tenant(app)
  await setRules(shop, { rule: 'subscribers_resynced', threshold: 1 })
  const topic = await shop.topic('slow.events')
  const slow = await connectWs(url, { token: shop.token() })
  t.teardown(() => slow.close())
  const { subscriptionId } = await slow.request('subscribe', { topic })
  slow.pause()
  for (let i = 0; i < 40 && app.tracing.subscriptions.find(subscriptionId) !== undefined; i++) {
    await shop.publish(topic, ...Array.from({ length: 20 }, () => 'x'.repeat(20_000)))
  }
  const alert = await alertOf(shop, 'subscribers_resynced', 'firing')
  slow.resume()
  await proves(t, shop, alert, topic, async () => {})
})

await t.test('a quota that is nearly used fires quota_nearly_used in production', async t => {
  const shop = await tenant(app, { environment: 'production' })
  const root = await person(app, 'super_admin')
  const quotas = await root.request('PUT', `/api/applications/${shop.applicationId}/quotas`, { webhooks: 4 })
  t.equal(quotas.status, 200, quotas.text)
  await setRules(shop, { rule: 'quota_nearly_used', threshold: 75 })
  const { url: sinkUrl } = await receiver(t)
  const hooks: string[] = []
  for (let i = 0; i < 3; i++) hooks.push((await hook(shop, sinkUrl, { environments: ['production'] })).id)
  const alert = await alertOf(shop, 'quota_nearly_used', 'firing')
  t.equal(alert.details.value, 75)
  await proves(t, shop, alert, 'webhooks', async () => {
    t.equal((await shop.request('DELETE', `/api/webhooks/${hooks[0]}`)).status, 204)
  })
})

t.test('each rule has been tested', async t => {
  t.same([...covered].sort(), (Object.keys(rules) as AlertRuleName[]).sort())
  t.same(Object.keys(measures).sort(), Object.keys(rules).sort())
})
