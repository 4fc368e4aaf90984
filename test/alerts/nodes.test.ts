import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { alertEventsOf, alertingNode, alertOf, alertsOf, setRules } from '../support/alerts.ts'
import { createDatabase } from '../support/database.ts'
import { DatabaseProxy } from '../support/database-proxy.ts'
import { tenant, type Tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

/* One node at a time evaluates. Whenever it dies, each alert fires once, with one event. */

t.setTimeout(600_000)

/** Reports a quota as used, on each of the nodes. */
function useQuota (nodes: FastifyInstance[], shop: Tenant, quota = 'topics'): void {
  for (const node of nodes) {
    node.alertEvaluator.readQuotasWith(async () => [{ ...shop.scope, quota, percent: 100 }])
  }
}
const pendingOf = async ({ db }: FastifyInstance, { applicationId }: Tenant) =>
  await db.selectFrom('alerts').selectAll().where('application_id', '=', applicationId)
    .where('status', '=', 'pending').executeTakeFirst()
const leaseOf = async ({ db }: FastifyInstance) =>
  await db.selectFrom('leases').selectAll().where('name', '=', 'alerts').executeTakeFirstOrThrow()

await t.test('a pending alert keeps its time when another node takes over', async t => {
  const databaseUrl = await createDatabase(t)
  const { app: a } = await alertingNode(t, { databaseUrl })
  const { app: b } = await alertingNode(t, { databaseUrl })
  const shop = await tenant(b)
  await setRules(shop, { rule: 'quota_nearly_used', forSeconds: 86_400 })
  useQuota([a, b], shop)
  await until(async () => await pendingOf(b, shop) !== undefined, 'the pending alert')
  const pending = await pendingOf(b, shop)
  const { lease_owner: first } = await leaseOf(b)
  const [stopped, other] = first === a.node.id ? [a, b] : [b, a]
  await stopped.alertEvaluator.close()
  await until(async () => (await leaseOf(other)).lease_owner === other.node.id, 'the other node to take over')
  t.match(await pendingOf(other, shop), { id: pending?.id, pending_since: pending?.pending_since })
  await setRules(shop, { rule: 'quota_nearly_used', forSeconds: 1 })
  t.equal((await alertOf(shop, 'quota_nearly_used', 'firing')).id, pending?.id)
  t.equal((await alertEventsOf(shop)).length, 1)
})

for (const [name, text] of [['before', 'alerts_fire'], ['after', 'insert into idempotency_keys']] as const) {
  await t.test(`a node that is cut off ${name} the event is written leaves one alert with one event`, async t => {
    const databaseUrl = await createDatabase(t)
    const { app: b } = await alertingNode(t, { databaseUrl, settings: { intervalMs: 500 } })
    const shop = await tenant(b)
    // The other node does not evaluate yet.
    await b.alertEvaluator.close()
    const address = new URL(databaseUrl)
    const proxy = new DatabaseProxy(address)
    address.hostname = '127.0.0.1'
    address.port = String(await proxy.open())
    t.teardown(() => proxy.close())
    const { app: a } = await alertingNode(t, { databaseUrl: address.href })
    const held = proxy.holdResponse(text)
    useQuota([a], shop)
    await held
    await proxy.close()
    const { app: c } = await alertingNode(t, { databaseUrl })
    useQuota([c], shop)
    const alert = await alertOf(shop, 'quota_nearly_used', 'firing')
    await until(async () => (await leaseOf(b)).lease_owner === c.node.id, 'the third node to evaluate')
    await proxy.open()
    c.alertEvaluator.readQuotasWith(async () => [])
    a.alertEvaluator.readQuotasWith(async () => [])
    await until(async () => (await alertsOf(shop, '&status=resolved')).length === 1, 'the alert to be resolved')
    t.match(await alertsOf(shop), [{ id: alert.id, status: 'resolved' }])
    t.match(await alertEventsOf(shop), [
      { type: 'alert.firing', key: alert.id }, { type: 'alert.resolved', key: alert.id }
    ])
    t.equal((await alertEventsOf(shop)).length, 2)
  })
}

await t.test('an alert whose transaction fails, at its update or at the commit, fires once later', async t => {
  const databaseUrl = await createDatabase(t)
  const { app } = await alertingNode(t, { databaseUrl })
  const shop = await tenant(app)
  const triggers = [
    'create trigger refuse before update', 'create constraint trigger refuse after update'
  ]
  for (const [i, trigger] of triggers.entries()) {
    const quota = `quota ${i}`
    await app.pool.query(`create function refuse () returns trigger language plpgsql as $$ begin
      if new.status = 'firing' and old.status = 'pending' then raise exception 'refused'; end if; return new; end $$`)
    const deferred = trigger.includes('constraint') ? 'deferrable initially deferred' : ''
    await app.pool.query(`${trigger} on alerts ${deferred} for each row execute function refuse()`)
    useQuota([app], shop, quota)
    await until(async () => await pendingOf(app, shop) !== undefined, 'the pending alert')
    const id = (await pendingOf(app, shop))?.id
    const failed = async () => (await app.instruments.registry.getSingleMetricAsString(
      'realtime_events_rejected_total')).match(/code="INTERNAL"\} (\d+)/)?.[1]
    const before = await failed()
    await until(async () => await failed() !== before, 'an attempt')
    t.same((await alertEventsOf(shop)).filter(({ key }) => key === id), [], 'no event without the alert')
    await app.pool.query('drop function refuse cascade')
    await until(async () => (await alertEventsOf(shop)).some(({ key }) => key === id), 'the event')
    t.match((await alertsOf(shop)).filter(alert => alert.id === id), [{ status: 'firing' }])
  }
  const keys = (await alertEventsOf(shop)).filter(({ type }) => type === 'alert.firing').map(({ key }) => key)
  t.equal(new Set(keys).size, keys.length, 'each once')
})

await t.test('a node whose lease has ended cannot fire an alert that was dropped', async t => {
  const { app } = await alertingNode(t)
  const shop = await tenant(app)
  await app.alertEvaluator.close()
  const { transitionOf } = await import('../../src/alerts/transitions.ts')
  const gone = transitionOf({
    id: 'alr_dropped', application_id: shop.applicationId, environment: 'development', rule: 'quota_nearly_used',
    target: 'topics', status: 'pending', severity: 'warning', summary: null, value: 100, threshold: 80, facts: {},
    started_at: null, is_disabled: false
  }, 1000)
  await t.rejects(app.eventWriter.submit(gone))
  t.same(await alertEventsOf(shop), [])
})

await t.test('a rule that fails does not stop the others', async t => {
  const { app } = await alertingNode(t)
  const shop = await tenant(app)
  const metric = async (name: string) => await app.instruments.registry.getSingleMetricAsString(name)
  await app.pool.query('drop table database_logs')
  // An evaluation that was under way may have read the table before.
  await until(async () => /total [1-9]/.test(await metric('realtime_alert_evaluation_failures_total')), 'a failure')
  useQuota([app], shop)
  await alertOf(shop, 'quota_nearly_used', 'firing')
  await until(async () => /severity="warning"\} 1/.test(await metric('realtime_alerts_firing')), 'the gauge')
})
