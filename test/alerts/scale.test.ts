import t from 'tap'
import { alertingNode } from '../support/alerts.ts'
import { until } from '../support/waiting.ts'

/* The statements of an evaluation do not depend on the number of scopes. */

t.setTimeout(300_000)

const scopes = 2000

t.test(`${scopes} scopes are evaluated with the statements of one`, async t => {
  const { app } = await alertingNode(t)
  const statements = new Map<string, number>()
  const query = app.pool.query.bind(app.pool) as (...args: unknown[]) => unknown
  app.pool.query = ((...args: unknown[]) => {
    const name = (args[0] as { name?: string }).name ?? 'other'
    statements.set(name, (statements.get(name) ?? 0) + 1)
    return query(...args)
  }) as typeof app.pool.query
  await app.pool.query(`insert into applications (id, name, description, created_at, updated_at)
    select 'app_scale' || n, 'n', '', 0, 0 from generate_series(1, ${scopes}) n`)
  await app.pool.query(`insert into cdc_connections (id, application_id, environment, connection_string_sealed,
    publication, slot, mark, status, created_at, updated_at)
    select 'cdc_scale' || n, 'app_scale' || n, 'production', 'unreadable', 'p', 's' || n, 'm' || n,
      '{"state":"error","since":1,"error":{"code":"SOURCE_UNREACHABLE"}}', 0, 0 from generate_series(1, ${scopes}) n`)
  await app.pool.query(`insert into cdc_positions (connection_id)
    select 'cdc_scale' || n from generate_series(1, ${scopes}) n`)
  await app.pool.query(`insert into alert_rules (application_id, environment, rule, for_seconds, updated_at)
    select 'app_scale' || n, 'production', rule, 0, 0
    from generate_series(1, ${scopes}) n, unnest('{connection_failed,cdc_lag}'::text[]) rule`)
  const counted = async (where: string) => (await app.pool.query<{ count: number }>(
    `select count(*) as count from alerts where ${where}`)).rows[0]?.count
  await until(async () => await counted("status = 'firing'") === 2 * scopes, 'all alerts to fire', 120_000)
  t.equal((await app.pool.query<{ count: number }>(
    "select count(*) as count from events where topic = 'system.alert'")).rows[0]?.count, 2 * scopes)

  statements.clear()
  const evaluations = () => statements.get('alerts_count_firing') ?? 0
  await until(() => evaluations() >= 3, 'three evaluations')
  const sent = [...statements].filter(([name]) => name.startsWith('alerts_evaluate_')).map(([, count]) => count)
  const due = statements.get('alerts_due') ?? 0
  t.ok(Math.max(...sent) <= evaluations() + 1, `${sent.join()} in ${evaluations()} evaluations`)
  t.ok(due <= evaluations() + 1, `${due} reads of due alerts`)

  await app.pool.query("update cdc_connections set status = null where id like 'cdc_scale%'")
  await app.pool.query('update alert_rules set enabled = false')
  await until(async () => await counted("status = 'resolved'") === 2 * scopes, 'all to be resolved', 120_000)
})
