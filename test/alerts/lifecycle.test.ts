import t from 'tap'
import type { Alert } from '../../schemas/alerts.ts'
import type { QuotaReading } from '../../src/alerts/evaluation.ts'
import { alertEventsOf, alertingNode, alertOf, alertsOf, resolutionOf, setRules } from '../support/alerts.ts'
import { listen } from '../support/build.ts'
import { transports } from '../support/clients.ts'
import { tenant, type Tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'
import { answer, receiver } from '../support/webhook-receiver.ts'
import { deliveriesOf, hook } from '../support/webhooks.ts'

t.setTimeout(300_000)

const { app } = await alertingNode(t, { settings: { firingPerRuleMax: 5, resolvedPerScopeMax: 3 } })
const url = await listen(app)

/* The readings of quotas are the conditions that these tests control. */
const readings = new Map<string, QuotaReading>()
app.alertEvaluator.readQuotasWith(async () => [...readings.values()])

function quotas (shop: Tenant) {
  const key = (quota: string) => `${shop.applicationId} ${quota}`
  return {
    use: (quota: string, percent = 100) => readings.set(key(quota), { ...shop.scope, quota, percent }),
    free: (quota: string) => readings.delete(key(quota))
  }
}

const rowsOf = async (shop: Tenant) =>
  await app.db.selectFrom('alerts').selectAll().where('application_id', '=', shop.applicationId).execute()

/** Waits for an evaluation that began after the call. */
async function evaluated (): Promise<void> {
  const { applicationId, scope } = probe
  const quota = `probe ${++probes}`
  readings.set(applicationId, { ...scope, quota, percent: 100 })
  await until(async () => (await rowsOf(probe)).some(({ target }) => target === quota), 'an evaluation')
  readings.delete(applicationId)
}
const probe = await tenant(app)
let probes = 0

await t.test('an alert fires once its condition has held for forSeconds, and not if it ended before', async t => {
  const shop = await tenant(app)
  const { use, free } = quotas(shop)
  await setRules(shop, { rule: 'quota_nearly_used', forSeconds: 86_400 })
  use('topics')
  await until(async () => (await rowsOf(shop)).length === 1, 'the pending alert')
  const [pending] = await rowsOf(shop)
  await evaluated()
  t.match(await rowsOf(shop), [{ id: pending?.id, status: 'pending', pending_since: pending?.pending_since }])
  t.same(await alertsOf(shop), [], 'a pending alert is not listed')
  t.equal((await shop.request('POST', `/api/alerts/${pending?.id}/acknowledge`)).status, 404, 'nor acknowledged')
  free('topics')
  await until(async () => (await rowsOf(shop)).length === 0, 'the pending alert to be dropped')

  use('topics')
  await until(async () => (await rowsOf(shop)).length === 1, 'another pending alert')
  const [second] = await rowsOf(shop)
  t.not(second?.id, pending?.id, 'its time starts over')
  await setRules(shop, { rule: 'quota_nearly_used', forSeconds: 1 })
  const alert = await alertOf(shop, 'quota_nearly_used', 'firing')
  t.equal(alert.id, second?.id)
  t.ok(alert.startedAt - (second?.pending_since ?? 0) >= 1000, 'it fired after the second')
  t.match(await alertEventsOf(shop), [{ type: 'alert.firing', key: alert.id }], 'one event')
  free('topics')
})

await t.test('an interruption of the condition shorter than the limit resolves nothing', async t => {
  const shop = await tenant(app)
  const { use, free } = quotas(shop)
  use('topics')
  const alert = await alertOf(shop, 'quota_nearly_used', 'firing')
  app.config.alerts.resolveAfterMs = 3_600_000
  free('topics')
  const isCleared = async () => (await rowsOf(shop))[0]?.cleared_since !== null
  await until(isCleared, 'the end of the condition')
  use('topics')
  await until(async () => !await isCleared(), 'its return')
  app.config.alerts.resolveAfterMs = 50
  await evaluated()
  t.match(await alertsOf(shop), [{ id: alert.id, status: 'firing' }])
  free('topics')
  t.equal((await resolutionOf(shop, alert)).resolution, 'cleared')
  use('topics')
  const next = await alertOf(shop, 'quota_nearly_used', 'firing')
  t.not(next.id, alert.id, 'the next alert is another one')
  t.equal((await alertEventsOf(shop)).length, 3)
  free('topics')
})

await t.test('sockets and webhooks receive the events, and nobody publishes to their topic', async t => {
  const shop = await tenant(app)
  const { use, free } = quotas(shop)
  const clients = await Promise.all(transports.map(({ connect }) => connect(url, { token: shop.token() })))
  t.teardown(() => { for (const client of clients) client.close() })
  for (const client of clients) t.match(await client.request('subscribe', { topic: 'system.alert' }), { ok: true })
  const sink = await receiver(t)
  await hook(shop, sink.url, { events: ['alert.firing', 'alert.resolved'], environments: ['development'] })
  use('topics', 91)
  const alert = await alertOf(shop, 'quota_nearly_used', 'firing')
  free('topics')
  const resolved = await resolutionOf(shop, alert)
  const { acknowledgedBy, acknowledgedAt, ...payload } = alert
  t.same([acknowledgedBy, acknowledgedAt], [null, null])
  const { acknowledgedBy: _by, acknowledgedAt: _at, ...resolvedPayload } = resolved
  const expected = [
    { topic: 'system.alert', type: 'alert.firing', key: alert.id, schemaVersion: null, payload },
    { topic: 'system.alert', type: 'alert.resolved', key: alert.id, payload: resolvedPayload }
  ]
  for (const client of clients) t.match(await client.received(2), expected, client.kind)
  await sink.until(({ length }) => length >= 2, 'both deliveries')
  t.match(
    sink.received.map(({ body }) => body.data).sort((a, b) => a.offset - b.offset), expected, 'over HTTP'
  )
  t.match(await shop.request('POST', '/api/topics/system.alert/events', { payload: 1 }), {
    status: 400, body: { code: 'TOPIC_RESERVED' }
  })
  t.match(await clients[0]?.request('append', { topic: 'system.alert', payload: 1 }), { ok: false })
})

await t.test('a disabled rule drops pending alerts and resolves firing ones', async t => {
  const shop = await tenant(app)
  const { use, free } = quotas(shop)
  use('topics')
  const alert = await alertOf(shop, 'quota_nearly_used', 'firing')
  await setRules(shop, { rule: 'quota_nearly_used', enabled: false })
  t.match(await resolutionOf(shop, alert), { resolution: 'rule_disabled' })
  t.match(await alertEventsOf(shop), [{}, { payload: { id: alert.id, resolution: 'rule_disabled' } }])
  await evaluated()
  t.equal((await rowsOf(shop)).length, 1, 'no alert follows')
  await setRules(shop, { rule: 'quota_nearly_used', enabled: true, severity: 'critical' })
  t.equal((await alertOf(shop, 'quota_nearly_used', 'firing')).severity, 'critical')
  free('topics')
})

await t.test('an endpoint that fails to receive alerts causes one alert, not one for each', async t => {
  const shop = await tenant(app)
  const { use } = quotas(shop)
  await setRules(shop, { rule: 'endpoint_failing', threshold: 0 })
  const sink = await receiver(t, answer(500))
  await hook(shop, sink.url, { events: ['alert.firing', 'alert.resolved'], environments: ['development'] })
  use('first')
  await alertOf(shop, 'endpoint_failing', 'firing')
  use('second')
  const dead = async () => (await deliveriesOf(shop)).filter(({ state }) => state === 'dead')
  await until(async () => (await dead()).length >= 3, 'the deliveries to die')
  await evaluated()
  await evaluated()
  t.same(
    (await alertEventsOf(shop)).map(({ payload }) => payload.rule).sort(),
    ['endpoint_failing', 'quota_nearly_used', 'quota_nearly_used']
  )
  t.equal((await deliveriesOf(shop)).length, 3)
})

await t.test('a scope has a limited number of firing and of resolved alerts', async t => {
  const shop = await tenant(app)
  const { use, free } = quotas(shop)
  const names = Array.from({ length: 8 }, (_, i) => `quota ${i}`)
  for (const [i, name] of names.entries()) use(name, 90 + i)
  const firing = async () => await alertsOf(shop, '&status=firing')
  const targets = (alerts: Alert[]) => alerts.map(({ details }) => details.target.id).sort()
  await until(async () => (await firing()).length === 5, 'the alerts')
  await evaluated()
  t.same(targets(await firing()), names.slice(3), 'the five greatest')
  use('quota 0', 200)
  await evaluated()
  t.same(targets(await firing()), names.slice(3), 'firing alerts keep their place')
  for (const name of names) free(name)
  await until(async () => (await firing()).length === 0, 'all to be resolved')
  t.equal((await rowsOf(shop)).filter(({ status }) => status === 'resolved').length, 3, 'the oldest are deleted')
  t.equal((await alertEventsOf(shop)).length, 10)
})

await t.test('resolved alerts and old counts are deleted after their retention', async t => {
  const shop = await tenant(app)
  const { use, free } = quotas(shop)
  use('topics')
  const alert = await alertOf(shop, 'quota_nearly_used', 'firing')
  free('topics')
  await resolutionOf(shop, alert)
  const old = await alertingNode(t, { databaseUrl: String(app.config.database.url), settings: { retentionMs: 0 } })
  t.ok(old.app)
  await app.alertEvaluator.close()
  await until(async () => (await rowsOf(shop)).length === 0, 'the alert to be deleted')
})
