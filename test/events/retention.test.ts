import t from 'tap'
import { ensurePartitions, partitionMs } from '../../src/events/partitions.ts'
import { createRetention } from '../../src/events/retention.ts'
import { build } from '../support/build.ts'
import { person } from '../support/people.ts'
import { tenant } from '../support/tenant.ts'

t.setTimeout(600_000)
const hourMs = 3_600_000

t.test('retention drops whole partitions, and only those in which every event is too old', async t => {
  const { app } = await build(t)
  const shop = await tenant(app)
  const topic = await shop.topic('old.events')
  await shop.publish(topic, 1, 2, 3)
  const now = Date.now()
  const old = now - 100 * hourMs
  await ensurePartitions(app.pool, old)
  await app.pool.query('update events set created_at = $1 where topic = $2 and "offset" <= 2', [old, topic])
  await app.pool.query("insert into idempotency_keys values ($1, 'development', 'old', '', '1', $2)", [
    shop.applicationId, now - 25 * hourMs
  ])
  const retention = createRetention({
    pool: app.pool, metrics: app.instruments, retentionMs: 72 * hourMs, node: 'node_test', now: () => now, log: app.log
  })

  await retention.sweep()
  t.same(
    (await shop.request('GET', `/api/topics/${topic}/events`)).body.map((event: { offset: number }) => event.offset),
    [3]
  )
  t.equal((await app.pool.query('select 1 from idempotency_keys')).rowCount, 0, 'idempotency keys are kept for a day')
  t.match(await app.instruments.registry.metrics(), /realtime_partitions_dropped_total [1-9]/)
  t.equal((await shop.publish(topic, 4))[0]?.offset, 4, 'offsets continue')

  await retention.sweep(now)
  t.equal((await app.pool.query('select 1 from events')).rowCount, 2, 'another sweep drops nothing')
  await retention.sweep(now + 72 * hourMs - partitionMs)
  t.equal((await app.pool.query('select 1 from events')).rowCount, 2, 'events within the retention stay')
})

t.test('a node whose clock is ahead drops no events and ends no session', async t => {
  const { app } = await build(t)
  const shop = await tenant(app)
  const topic = await shop.topic('kept.events')
  await shop.publish(topic, 1)
  const [ada, other] = [await person(app, 'viewer'), await person(app, 'viewer')]
  const days = 100 * 24 * hourMs
  const real = Date.now
  t.teardown(() => { Date.now = real })
  Date.now = () => real() + days
  await app.retention.sweep()
  await app.sessions.create(other.id, { address: undefined, userAgent: undefined })
  Date.now = real
  t.equal((await app.pool.query('select 1 from events where topic = $1', [topic])).rowCount, 1)
  t.equal((await ada.get('/api/applications')).status, 200)
})

t.test('several nodes can create the same partitions at once', async t => {
  const { app } = await build(t)
  const later = Date.now() + 1000 * hourMs
  await Promise.all(Array.from({ length: 4 }, () => ensurePartitions(app.pool, later)))
  const { rows } = await app.pool.query(
    "select count(*) as count from pg_inherits where inhparent = 'events'::regclass"
  )
  t.ok(rows[0].count >= 6)
})
