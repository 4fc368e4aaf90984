import t from 'tap'
import { SeriesStore } from '../../../src/debugger/series/series-store.ts'
import { build } from '../../support/build.ts'
import { DatabaseProxy } from '../../support/database-proxy.ts'
import { createDatabase } from '../../support/database.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'
import { rowOf, seriesOf, storeAsPast, sumOf } from '../../support/series.ts'

/* The database is unavailable when a minute ends. */

const direct = await createDatabase(t)
const proxy = new DatabaseProxy(new URL(direct))
t.teardown(() => proxy.close())
const proxied = new URL(direct)
proxied.hostname = '127.0.0.1'
proxied.port = String(await proxy.open())
const { app } = await build(t, { databaseUrl: proxied.href })
const shop = await tenant(app)
const topic = await shop.topic('order.placed')
const failures = async () => {
  const text = await app.instruments.registry.getSingleMetricAsString('realtime_metric_series_failures_total')
  return Number(/total (\d+)/.exec(text)?.[1])
}
/** Returns the number of rows; undefined while the pool still has connections of the time before the outage. */
const countRows = async (sql: string): Promise<number | null | undefined> =>
  await app.pool.query(sql).then(({ rowCount }) => rowCount, () => undefined)

await t.test('minutes wait while the database is unavailable, and are stored once', async t => {
  await shop.publish(topic, 1, 2, 3)
  await proxy.close()
  await app.metricSeries.recorder.flush()
  t.ok(await failures() > 0, 'the failure is counted')
  await proxy.open()
  await until(async () => ((await countRows('select from metric_minutes where received > 0')) ?? 0) > 0)
  await shop.publish(topic, 4)
  await storeAsPast(app)
  t.equal(sumOf(await seriesOf(shop, `metric=eventsIn&topic=${topic}`)), 4)
})

await t.test('a batch whose response was lost is not stored twice', async t => {
  await shop.publish(topic, 5, 6)
  const held = proxy.holdResponse('metric_series_add')
  const flushed = app.metricSeries.recorder.flush()
  await held
  const before = await failures()
  await proxy.close()
  await flushed
  t.ok(await failures() > before)
  await proxy.open()
  // The same batch is sent again, and then the next one, which a later event is in.
  await until(async () => await countRows('select 1') === 1)
  await shop.publish(topic, 7)
  await app.metricSeries.recorder.flush()
  await storeAsPast(app)
  t.equal(sumOf(await seriesOf(shop, `metric=eventsIn&topic=${topic}`)), 7)
})

await t.test('the rows that wait have a limit, and those that are dropped are counted', async t => {
  const dropped = async () => {
    const text = await app.instruments.registry.getSingleMetricAsString('realtime_metric_series_rows_dropped_total')
    return Number(/total (\d+)/.exec(text)?.[1])
  }
  await proxy.close()
  const store = new SeriesStore({
    pool: app.pool, metrics: app.instruments, log: { warn: () => {}, error: () => {} }
  })
  const minute = Array.from({ length: 10_000 }, (_, i) => rowOf(shop.scope, 'topic', `t.n${i}`, { received: 1 }))
  for (let at = 0; at < 7; at++) store.add(minute, { at: at * 60_000, node: 'node_a', batch: at })
  t.equal(await dropped(), 20_000)
  await proxy.open()
  await until(async () => {
    await store.flush()
    return await countRows("select from metric_minutes where node = 'node_a'") === 50_000
  }, 'the rest to be stored')
  await store.close()
  const { rows } = await app.pool.query<{ oldest: number }>(
    "select min(at) as oldest from metric_minutes where node = 'node_a'"
  )
  t.equal(rows[0]?.oldest, 2 * 60_000, 'the oldest were dropped')
})

await t.test('rows that the database refuses do not hold up the others', async t => {
  const errors: string[] = []
  const store = new SeriesStore({
    pool: app.pool, metrics: app.instruments, log: { warn: () => {}, error: (_, message) => errors.push(message) }
  })
  store.add([rowOf(shop.scope, 'topic', 'impossible', { received: NaN })], { at: 0, node: 'node_b', batch: 0 })
  store.add([rowOf(shop.scope, 'topic', 'possible', { received: 1 })], { at: 0, node: 'node_b', batch: 1 })
  await store.flush()
  await store.close()
  t.same(errors, ['metric_series.refused'])
  const { rows } = await app.pool.query<{ name: string }>("select name from metric_minutes where node = 'node_b'")
  t.same(rows, [{ name: 'possible' }])
})
