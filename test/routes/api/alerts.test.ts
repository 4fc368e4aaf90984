import t from 'tap'
import type { Alert, AlertRule } from '../../../schemas/alerts.ts'
import { rules } from '../../../src/alerts/rules.ts'
import { alertingNode, alertOf, alertsOf, resolutionOf } from '../../support/alerts.ts'
import { createApiKey } from '../../support/api-keys.ts'
import { person, requests } from '../../support/people.ts'
import { tenant, type Tenant } from '../../support/tenant.ts'

t.setTimeout(300_000)

const { app } = await alertingNode(t)
const used = new Map<string, string[]>()
app.alertEvaluator.readQuotasWith(async () =>
  [...used].flatMap(([applicationId, quotas]) =>
    quotas.map((quota, i) => ({ applicationId, environment: 'development' as const, quota, percent: 90 + i }))
  )
)

/** A tenant with a firing alert for each quota. */
async function alarmed (...quotas: string[]) {
  const shop = await tenant(app)
  used.set(shop.applicationId, quotas)
  const until = async (count: number): Promise<Alert[]> => {
    await alertOf(shop, 'quota_nearly_used', 'firing')
    const alerts = await alertsOf(shop)
    return alerts.length === count ? alerts : await until(count)
  }
  return { shop, alerts: await until(quotas.length) }
}
const auditOf = async (applicationId: string) =>
  await app.db.selectFrom('audit_log').selectAll().where('application_id', '=', applicationId).orderBy('sequence')
    .execute()
const outcome = ({ status, body }: { status: number, body?: { code?: string } }) =>
  body?.code === undefined ? String(status) : `${status} ${body.code}`

await t.test('alerts are listed by status, severity, rule and text, in pages', async t => {
  const { shop, alerts } = await alarmed('Alpha', 'beta', 'gamma')
  const ids = (query: string) => alertsOf(shop, query).then(found => found.map(({ id }) => id))
  const all = alerts.map(({ id }) => id)
  t.same(await ids('&status=firing'), all)
  t.same(await ids('&status=resolved'), [])
  t.same(await ids('&severity=warning'), all)
  t.same(await ids('&severity=critical'), [])
  t.same(await ids('&rule=quota_nearly_used'), all)
  t.same(await ids('&rule=cdc_lag'), [])
  t.same((await alertsOf(shop, '&q=ALPHA')).map(({ details }) => details.target.id), ['Alpha'])
  t.same(await ids('&q=quota'), all)
  t.same(await ids('&q=%25'), all, 'the text is no pattern')
  t.same(await ids('&q=_'), all)
  const first = await shop.request('GET', '/api/alerts?limit=2')
  const second = await shop.request('GET', `/api/alerts?limit=2&cursor=${String(first.headers['x-next-cursor'])}`)
  t.same([...first.body, ...second.body].map(({ id }: Alert) => id), all)
  t.equal(second.headers['x-next-cursor'], undefined)
  for (const query of ['status=pending', 'severity=high', 'rule=none', 'q=', 'limit=0', 'cursor=abc', 'state=firing']) {
    t.equal((await shop.request('GET', `/api/alerts?${query}`)).status, 400, query)
  }
})

await t.test('the first acknowledgement of a firing alert counts', async t => {
  const { shop, alerts: [alert] } = await alarmed('topics')
  const id = alert?.id as string
  const viewer = await person(app, ['viewer', shop.applicationId])
  const admin = await person(app, ['admin', shop.applicationId])
  const headers = { 'x-application-id': shop.applicationId }
  const acknowledge = (who: typeof admin) => who.post(`/api/alerts/${id}/acknowledge`, undefined, { headers })
  t.equal(outcome(await acknowledge(viewer)), '403 PERMISSION_DENIED')
  t.equal((await viewer.get('/api/alerts', { headers })).status, 200)
  const first = await acknowledge(admin)
  t.match(first, { status: 200, body: { id, status: 'firing', acknowledgedBy: admin.id, acknowledgedAt: Number } })
  const { key, id: keyId } = await createApiKey(admin, shop.applicationId, { permissions: ['alerts:update'] })
  t.ok(keyId)
  const second = await requests(app, `Bearer ${key}`).post(`/api/alerts/${id}/acknowledge`)
  t.same([second.status, second.body], [200, first.body])
  used.delete(shop.applicationId)
  const resolved = await resolutionOf(shop, alert as Alert)
  t.match(resolved, { acknowledgedBy: admin.id })
  t.same((await acknowledge(admin)).body, resolved)
  t.match((await auditOf(shop.applicationId)).filter(({ action }) => action === 'alert.acknowledged'), [{
    actor_id: admin.id, resource_id: id, environment: 'development',
    after: { rule: 'quota_nearly_used', target: 'topics', acknowledgedBy: admin.id }
  }])
})

await t.test('a resolved alert is not acknowledged, nor one of another tenant or environment', async t => {
  const { shop, alerts: [alert] } = await alarmed('topics')
  const other = await tenant(app)
  const path = `/api/alerts/${alert?.id}/acknowledge`
  t.equal(outcome(await other.request('POST', path)), '404 ALERT_NOT_FOUND')
  t.equal(outcome(await shop.request('POST', path, undefined, { 'x-environment': 'staging' })), '404 ALERT_NOT_FOUND')
  t.same((await other.request('GET', '/api/alerts')).body, [])
  t.same((await shop.request('GET', '/api/alerts', undefined, { 'x-environment': 'production' })).body, [])
  used.delete(shop.applicationId)
  await resolutionOf(shop, alert as Alert)
  t.equal(outcome(await shop.request('POST', path)), '409 ALERT_RESOLVED')
  t.equal(outcome(await shop.request('POST', '/api/alerts/alr_none/acknowledge')), '404 ALERT_NOT_FOUND')
  t.equal((await shop.request('POST', '/api/alerts/none/acknowledge')).status, 400)
})

await t.test('an API key acknowledges under its own id', async t => {
  const { shop, alerts: [alert] } = await alarmed('topics')
  const admin = await person(app, ['admin', shop.applicationId])
  const { key, id } = await createApiKey(admin, shop.applicationId, { permissions: ['alerts:update', 'alerts:read'] })
  const by = requests(app, `Bearer ${key}`)
  t.match(await by.post(`/api/alerts/${alert?.id}/acknowledge`), { status: 200, body: { acknowledgedBy: id } })
})

type Requests = Pick<Tenant, 'request'>
const putRules = (shop: Requests, body: unknown, environment = 'development') =>
  shop.request('PUT', '/api/alerts/rules', body, { 'x-environment': environment })
const rulesIn = async (shop: Requests, environment = 'development') =>
  (await shop.request('GET', '/api/alerts/rules', undefined, { 'x-environment': environment })).body as AlertRule[]

await t.test('rules have defaults, and their changes belong to one environment', async t => {
  const shop = await tenant(app)
  const defaults = await rulesIn(shop)
  t.same(defaults.map(({ rule }) => rule), Object.keys(rules))
  t.match(defaults, Object.values(rules).map(({ severity, forSeconds, threshold }) => ({
    enabled: true, severity, forSeconds, threshold: threshold?.default ?? null, unit: threshold?.unit ?? null
  })))
  const changed = await putRules(shop, [
    { rule: 'cdc_lag', threshold: 120, severity: 'critical' },
    { rule: 'connection_failed', enabled: false, threshold: null, forSeconds: 5 }
  ])
  t.equal(changed.status, 200)
  t.equal(changed.body.length, defaults.length, 'all rules are returned')
  t.match(changed.body.find(({ rule }: AlertRule) => rule === 'cdc_lag'), {
    enabled: true, severity: 'critical', threshold: 120, forSeconds: 60
  })
  await putRules(shop, [{ rule: 'cdc_lag', forSeconds: 0 }])
  t.match((await rulesIn(shop)).find(({ rule }) => rule === 'cdc_lag'), {
    severity: 'critical', threshold: 120, forSeconds: 0
  }, 'fields that are left out stay')
  t.same(await rulesIn(shop, 'production'), defaults)
  const editable = defaults.map(({ rule, enabled, severity, threshold, forSeconds }) =>
    ({ rule, enabled, severity, threshold, forSeconds }))
  t.same((await putRules(shop, editable)).body, defaults, 'the five fields of a list can be sent back')
  t.match((await auditOf(shop.applicationId)).filter(({ action }) => action === 'alert_rule.updated'), [
    { resource_id: 'connection_failed', before: { enabled: true }, after: { enabled: false, forSeconds: 5 } },
    { resource_id: 'cdc_lag', before: { threshold: 60 }, after: { threshold: 120, severity: 'critical' } },
    { resource_id: 'cdc_lag', after: { forSeconds: 0 } },
    { resource_id: 'connection_failed' },
    { resource_id: 'cdc_lag' }
  ])
})

await t.test('an invalid change of rules changes nothing', async t => {
  const shop = await tenant(app)
  const before = await rulesIn(shop)
  const good = { rule: 'cdc_lag', threshold: 120 }
  const cases: [unknown, RegExp][] = [
    [[], /body/],
    [{}, /array/],
    [undefined, /body/],
    [[good, { rule: 'no_such_rule' }], /\/1\/rule/],
    [[good, { rule: 'cdc_lag', enabled: false }], /\/1\/rule/],
    [[good, { rule: 'slot_holds_wal', threshold: 1 }], /\/1\/threshold.* from 1048576 to /],
    [[good, { rule: 'quota_nearly_used', threshold: 100.5 }], /\/1\/threshold.* from 1 to 100 .*percent/],
    [[good, { rule: 'dead_deliveries', threshold: null }], /\/1\/threshold/],
    [[good, { rule: 'connection_failed', threshold: 1 }], /\/1\/threshold.*null/],
    [[good, { rule: 'dead_deliveries', threshold: '1' }], /\/1\/threshold/],
    [[good, { rule: 'dead_deliveries', forSeconds: -1 }], /\/1\/forSeconds/],
    [[good, { rule: 'dead_deliveries', forSeconds: 86_401 }], /\/1\/forSeconds/],
    [[good, { rule: 'dead_deliveries', severity: 'high' }], /\/1\/severity/],
    [[good, { rule: 'dead_deliveries', unit: 'count' }], /\/1\/unit/],
    [Array.from({ length: 12 }, () => good), /11/]
  ]
  for (const [body, message] of cases) {
    t.match(await putRules(shop, body), { status: 400, body: { error: 'ValidationError', message } }, String(message))
  }
  t.same(await rulesIn(shop), before)
  t.same(await auditOf(shop.applicationId), [])
})

await t.test('only those who may update alerts change rules', async t => {
  const shop = await tenant(app)
  const headers = { 'x-application-id': shop.applicationId }
  for (const [role, status] of [['viewer', 403], ['editor', 403], ['admin', 200]] as const) {
    const who = await person(app, [role, shop.applicationId])
    t.equal((await who.get('/api/alerts/rules', { headers })).status, 200, role)
    const put = await who.request('PUT', '/api/alerts/rules', [{ rule: 'cdc_lag', enabled: false }], { headers })
    t.equal(put.status, status, role)
  }
  const stranger = await person(app, ['admin', (await tenant(app)).applicationId])
  t.equal(outcome(await stranger.get('/api/alerts/rules', { headers })), '403 APPLICATION_FORBIDDEN')
})

await t.test('concurrent changes of rules are all kept', async t => {
  const shop = await tenant(app)
  const answers = await Promise.all([
    putRules(shop, [{ rule: 'cdc_lag', threshold: 7 }]), putRules(shop, [{ rule: 'cdc_lag', severity: 'info' }]),
    putRules(shop, [{ rule: 'cdc_lag', forSeconds: 9 }])
  ])
  t.same(answers.map(({ status }) => status), [200, 200, 200])
  t.match((await rulesIn(shop)).find(({ rule }) => rule === 'cdc_lag'), {
    threshold: 7, severity: 'info', forSeconds: 9
  })
})

await t.test('a deleted application leaves no alert, rule or count', async t => {
  const { shop } = await alarmed('topics')
  await putRules(shop, [{ rule: 'writes_refused', threshold: 1 }])
  await shop.request('POST', '/api/topics/no.such/events', { payload: 1 })
  await alertOf(shop, 'writes_refused', 'firing')
  const root = await person(app, 'super_admin')
  t.equal((await root.remove(`/api/applications/${shop.applicationId}?force=true`)).status, 204)
  for (const table of ['alerts', 'alert_rules', 'alert_counts'] as const) {
    t.same(await app.db.selectFrom(table).selectAll().where('application_id', '=', shop.applicationId).execute(), [])
  }
})
