import t from 'tap'
import { createTraceRetention } from '../../../src/debugger/tracing/trace-retention.ts'
import { TraceStore } from '../../../src/debugger/tracing/trace-store.ts'
import { build, listen } from '../../support/build.ts'
import { connectWs } from '../../support/clients.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

/*
 * Traces have their own retention. Here it is shorter than the log's, which shows that neither affects the
 * other.
 */

const hourMs = 3_600_000
const { app } = await build(t, { variables: { TRACE_RETENTION_HOURS: '2', EVENT_RETENTION_HOURS: '72' } })
const url = await listen(app)
const store = new TraceStore({ pool: app.pool, node: 'node_sweeper' })
const retention = createTraceRetention({
  pool: app.pool, store, metrics: app.instruments, retentionMs: 2 * hourMs, now: Date.now, log: app.log
})

await t.test('expired traces are not found, whether dropped or not', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('past.events')
  const [past] = await shop.publish(topic, 1)
  await shop.request('POST', '/api/topics/no.such/events', { payload: 1 })
  await app.tracing.recorder.flush()
  await app.pool.query('update event_traces set created_at = created_at - $1 where application_id = $2', [
    3 * hourMs, shop.applicationId
  ])
  const [present] = await shop.publish(topic, 2)
  t.same((await shop.request('GET', '/api/debugger/traces')).body.map(({ eventId }: { eventId: string }) => eventId), [
    present?.id
  ])
  t.match(await shop.request('GET', `/api/debugger/traces/${past?.id}`), {
    status: 404,
    body: { code: 'TRACE_NOT_FOUND' }
  })
  t.match(await shop.request('POST', '/api/debugger/explain', { eventId: past?.id, token: shop.token() }), {
    status: 404, body: { code: 'EVENT_NOT_FOUND' }
  })
  t.match(await shop.request('POST', '/api/debugger/explain', { topic, offset: 1, token: shop.token() }), {
    status: 200, body: { eventId: past?.id }
  }, 'the log still has it')
})

await t.test('retention drops partitions, records of subscriptions and replays, and keeps the log', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('swept.events')
  const [gone, alive] = [await connectWs(url, { token: shop.token() }), await connectWs(url, { token: shop.token() })]
  const ended = await gone.request('subscribe', { topic })
  const live = await alive.request('subscribe', { topic })
  gone.close()
  await gone.closed
  await shop.publish(topic, 1)
  const { body: replay } = await shop.request('POST', '/api/debugger/replay', {
    topic, fromOffset: 1, target: 'subscribers'
  })
  await until(
    async () => (await shop.request('GET', `/api/debugger/replays/${replay.id}`)).body.state === 'done', 'the replay'
  )
  await Promise.all([app.tracing.recorder.flush(), app.tracing.subscriptions.flush()])
  const left = async () =>
    (await app.pool.query<{ traces: number, records: string[], replays: number, events: number }>(
      `select
    (select count(*)::int from event_traces where application_id = $1) as traces, array(select id
      from trace_subscriptions where application_id = $1) as records,
    (select count(*)::int from replays where application_id = $1) as replays, (select count(*)::int
      from events) as events`,
      [shop.applicationId]
    )).rows[0]
  t.match(await left(), { traces: 1, replays: 1 })
  const { events } = await left() as { events: number }
  await retention.sweep()
  t.match(await left(), { traces: 1, replays: 1, events }, 'nothing has expired yet')
  await retention.sweep(Date.now() + 12 * hourMs)
  t.same(await left(), { traces: 0, records: [], replays: 1, events })
  // For that sweep this node was dead for hours. Its next heartbeat corrects this.
  app.tracing.subscriptions.tellAnew()
  await app.tracing.subscriptions.flush()
  t.same(await left(), { traces: 0, records: [live.subscriptionId], replays: 1, events })
  t.match(
    await shop.request('POST', '/api/debugger/explain', { topic, offset: 1, subscriptionId: live.subscriptionId }),
    { body: { outcome: 'delivered' } }
  )
  await retention.sweep(Date.now() + 8 * 24 * hourMs)
  t.match(await left(), { traces: 0, replays: 0, events })
  t.match(
    await shop.request('POST', '/api/debugger/explain', { topic, offset: 1, subscriptionId: ended.subscriptionId }),
    { status: 404, body: { code: 'SUBSCRIPTION_NOT_FOUND' } }
  )
  alive.close()
})
