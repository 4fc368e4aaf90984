import t from 'tap'
import { AlertCounters } from '../../src/alerts/counters.ts'
import { readDueAlerts } from '../../src/alerts/due-alerts.ts'
import { alertEventsOf, alertingNode, alertOf, alertsOf, setRules } from '../support/alerts.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'
import { hook } from '../support/webhooks.ts'

/* No application hides, delays or causes alerts of another. */

t.setTimeout(300_000)

await t.test('dead deliveries of one webhook do not hide those of another', async t => {
  const { app } = await alertingNode(t)
  const [crowd, shop] = [await tenant(app), await tenant(app)]
  const target = 'https://example.com/hook'
  const fields = { environments: ['development'] }
  const [busy, quiet] = [await hook(crowd, target, fields), await hook(shop, target, fields)]
  const died = async (applicationId: string, webhookId: string, count: number, settledAt: number) =>
    await app.pool.query(
      `insert into webhook_deliveries (application_id, environment, webhook_id, event_id, event_type, topic,
        log_id, "offset", event_at, state, next_at, created_at, settled_at)
      select $1, 'development', $2, 'evt_' || n, 'topic.event', 'a', 1, n, $4, 'dead', $4, $4, $4
      from generate_series(1, $3::int) n`,
      [applicationId, webhookId, count, settledAt]
    )
  await died(crowd.applicationId, busy.id, 100_000, Date.now() + 60_000)
  await died(shop.applicationId, quiet.id, 1, Date.now())
  t.match((await alertOf(shop, 'dead_deliveries', 'firing')).details, { target: { id: quiet.id }, value: 1 })
  t.match((await alertOf(crowd, 'dead_deliveries', 'firing')).details, { target: { id: busy.id }, value: 10_000 })
})

await t.test('alerts of a rule that cannot be evaluated stay as they are', async t => {
  const { app } = await alertingNode(t, { settings: { resolveAfterMs: 300 } })
  const shop = await tenant(app)
  const reading = { applicationId: shop.applicationId, environment: 'development' as const }
  let used = ['topics']
  let isFailing = false
  let failures = 0
  app.alertEvaluator.readQuotasWith(async () => {
    if (isFailing) {
      failures++
      throw new Error('the quotas cannot be read')
    }
    return used.map(quota => ({ ...reading, quota, percent: 100 }))
  })
  const firing = await alertOf(shop, 'quota_nearly_used', 'firing')
  await setRules(shop, { rule: 'quota_nearly_used', forSeconds: 86_400 })
  used = ['webhooks']
  const rowsOf = async () => await app.db.selectFrom('alerts').select(['target', 'status', 'cleared_since'])
    .where('application_id', '=', shop.applicationId).orderBy('target').execute()
  await until(async () => {
    const [topics, webhooks] = await rowsOf()
    if (topics?.cleared_since == null || webhooks?.status !== 'pending') return false
    isFailing = true
    return true
  }, 'one alert to be clear for a moment, and one to be pending')
  await setRules(shop, { rule: 'quota_nearly_used', forSeconds: 0 })
  const before = failures
  await until(() => failures > before + 20, 'evaluations that fail')
  t.match(await alertsOf(shop), [{ id: firing.id, status: 'firing' }])
  isFailing = false
  await until(async () => (await alertsOf(shop, '&status=resolved')).length === 1, 'the first to be resolved')
})

await t.test('alerts of an application that cannot fire do not delay those of others', async t => {
  const { app } = await alertingNode(t)
  await app.alertEvaluator.close()
  const [crowd, shop] = [await tenant(app), await tenant(app)]
  await app.pool.query(
    `insert into alerts (id, application_id, environment, rule, target, status, value, facts, pending_since, seen_at)
    select 'alr_' || $1 || n, $1, 'development', 'writes_refused', 'E' || n, 'pending', 10, '{}', 0, 0
    from generate_series(1, 1000) n`, [crowd.applicationId])
  await app.pool.query(
    `insert into alerts (id, application_id, environment, rule, target, status, value, facts, pending_since, seen_at)
    values ('alr_quiet', $1, 'development', 'writes_refused', 'E', 'pending', 10, '{}', 1, 1)`, [shop.applicationId])
  const due = await readDueAlerts(app.pool, new Set(['writes_refused']), Date.now(), 1000)
  t.ok(due.some(({ id }) => id === 'alr_quiet'))
  t.equal((await readDueAlerts(app.pool, new Set(['cdc_lag']), Date.now(), 1000)).length, 0)
})

await t.test('the events of alerts that cannot be written are no refused writes', async t => {
  const { app } = await alertingNode(t)
  const shop = await tenant(app)
  await setRules(shop, { rule: 'writes_refused', threshold: 1 })
  const block = (is: string) => app.pool.query(`create or replace function no_alerts () returns trigger language plpgsql
    as $$ begin if new.topic = 'system.alert' and ${is} then raise exception 'not now'; end if; return new; end $$`)
  await block('true')
  await app.pool.query(
    'create trigger no_alerts before insert on events for each row execute function no_alerts()')
  let evaluations = 0
  app.alertEvaluator.readQuotasWith(async () => {
    evaluations++
    return [{ ...shop.scope, quota: 'topics', percent: 100 }]
  })
  await until(() => evaluations > 20, 'attempts to fire')
  t.same(await alertsOf(shop), [])
  await app.alertCounters.store()
  t.same(await app.db.selectFrom('alert_counts').select(['signal', 'target'])
    .where('application_id', '=', shop.applicationId).execute(), [])
  await block('false')
  await alertOf(shop, 'quota_nearly_used', 'firing')
  t.equal((await alertEventsOf(shop)).length, 1)
})

await t.test('the targets that a scope invents leave room for the counts of others', async t => {
  const { app } = await alertingNode(t)
  const [crowd, shop] = [await tenant(app), await tenant(app)]
  const counters = new AlertCounters({
    pool: app.pool, now: app.clock.now, countedPerMs: 60_000, storedEveryMs: 60_000, log: app.log
  })
  for (let i = 0; i < 20_000; i++) counters.count(crowd.scope, 'subscribers_resynced', `pattern.n${i}.*`)
  counters.count(crowd.scope, 'subscribers_resynced', 'pattern.n0.*')
  counters.count(shop.scope, 'subscribers_resynced', 'order.placed')
  await counters.store()
  counters.count(crowd.scope, 'subscribers_resynced', 'later')
  await counters.store()
  const countsOf = async (applicationId: string) => (await app.db.selectFrom('alert_counts').select(['target', 'count'])
    .where('application_id', '=', applicationId).execute())
  t.match(await countsOf(shop.applicationId), [{ target: 'order.placed', count: 1 }])
  const crowded = await countsOf(crowd.applicationId)
  t.equal(crowded.length, 501)
  t.equal(crowded.find(({ target }) => target === 'pattern.n0.*')?.count, 2)
})
