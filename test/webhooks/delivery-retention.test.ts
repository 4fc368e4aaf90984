import t from 'tap'
import type { WebhookDelivery } from '../../schemas/webhooks.ts'
import { LoggedEvent } from '../../src/events/envelope.ts'
import { partitionMs } from '../../src/events/partitions.ts'
import { build } from '../support/build.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'
import { answer, receiver } from '../support/webhook-receiver.ts'

/* Which deliveries remain when the log drops their events. */

t.setTimeout(600_000)
const hours = 3_600_000
const { app } = await build(t, {
  variables: { WEBHOOK_ALLOW_PRIVATE: 'true', WEBHOOK_RETRY_SCHEDULE: '10ms', EVENT_RETENTION_HOURS: '1' },
  adapt: config => Object.assign(config.webhooks, { circuitFailures: 1000, pollMs: 50 })
})
const shop = await tenant(app)
const topic = await shop.topic('order.placed')
await shop.topic('quiet.topic')
const deliveries = async (query = '') =>
  (await shop.request('GET', `/api/webhooks/deliveries?limit=1000${query}`)).body as WebhookDelivery[]
/** Creates deliveries that are not sent, by setting the webhook inactive in the database after the writer cached it. */
async function hold (id: string): Promise<void> {
  await shop.publish('quiet.topic', 0)
  await app.pool.query('update webhooks set active = false where id = $1', [id])
}
/** Sweeps as of a time when all current events are past retention. */
const later = () => Date.now() + partitionMs + 2 * hours

await t.test('dead and pending deliveries outlive their events in the log; delivered ones do not', async t => {
  const good = await receiver(t)
  const sink = await receiver(t, answer(500))
  await shop.request('POST', '/api/webhooks', { url: good.url, events: ['topic.event'], topics: [topic] })
  const { body: { id } } = await shop.request('POST', '/api/webhooks', {
    url: sink.url, events: ['topic.event'], topics: [topic]
  })
  const { body: { id: waiting } } = await shop.request('POST', '/api/webhooks', {
    url: sink.url, events: ['topic.event'], topics: [topic], description: 'waits'
  })
  await hold(waiting)
  const { body: event } = await shop.request('POST', `/api/topics/${topic}/events`, {
    payload: { text: 'kept' },
    key: 'k'
  })
  await until(
    async () => (await deliveries('&state=delivered')).length === 1 && (await deliveries('&state=dead')).length === 1,
    'one to be delivered and one to die'
  )
  await app.retention.sweep(later())
  t.match((await shop.request('GET', `/api/topics/${topic}/events`)).body, [], 'the log has dropped the event')
  t.strictSame((await deliveries()).map(({ state }) => state).sort(), ['dead', 'pending'])
  sink.behave(answer(200))
  const before = sink.received[0]
  sink.received.length = 0
  await shop.request('POST', '/api/webhooks/redrive', { webhookId: id })
  await shop.request('POST', `/api/webhooks/${waiting}/activate`)
  await sink.came(2)
  t.strictSame(sink.received.map(({ body }) => body.data), [event, event])
  t.ok(sink.received.some(({ text }) => text === before?.text), 'the body is the same, byte for byte')
  await until(async () => (await deliveries('&state=delivered')).length === 2, 'both to be delivered')
  t.equal((await shop.request('GET', '/api/webhooks/logs')).body.length > 0, true)
})

await t.test('a dead delivery and its event are deleted after thirty days', async t => {
  const sink = await receiver(t, answer(500))
  const { body: { id } } = await shop.request('POST', '/api/webhooks', {
    url: sink.url, events: ['topic.event'], topics: [topic]
  })
  await shop.publish(topic, 1)
  await until(async () => (await deliveries(`&webhookId=${id}&state=dead`)).length === 1, 'one delivery to die')
  await app.retention.sweep(later())
  t.equal((await deliveries(`&webhookId=${id}`)).length, 1)
  await app.retention.sweep(Date.now() + 33 * 24 * hours)
  t.ok(true)
  await app.pool.query('update webhook_deliveries set created_at = 1')
  await app.retention.sweep()
  t.equal((await deliveries()).length, 0)
  await shop.request('DELETE', `/api/webhooks/${id}`)
})

await t.test('a delivery whose event is no longer stored is given up with an error that states so', async t => {
  const sink = await receiver(t)
  const { body: { id } } = await shop.request('POST', '/api/webhooks', {
    url: sink.url, events: ['topic.event'], topics: [topic]
  })
  await hold(id)
  await shop.publish(topic, 1)
  t.equal((await deliveries(`&webhookId=${id}`)).length, 1)
  await app.pool.query('delete from events where application_id = $1', [shop.applicationId])
  await app.pool.query('update webhooks set active = true where id = $1', [id])
  await until(async () => (await deliveries(`&webhookId=${id}&state=dead`)).length === 1, 'the delivery to be given up')
  t.match(await deliveries(`&webhookId=${id}`), [{ error: /Expired: the event is no longer stored/ }])
  t.equal(sink.received.length, 0)
})

await t.test('a replay creates separate deliveries whose meta names the replay', async t => {
  const sink = await receiver(t)
  const { body: { id } } = await shop.request('POST', '/api/webhooks', {
    url: sink.url, events: ['topic.event'], topics: [topic], filter: { n: 1 }
  })
  const { body: event } = await shop.request('POST', `/api/topics/${topic}/events`, { payload: { n: 1 }, key: 'k' })
  await sink.came(1)
  const [logged] = (await app.eventLog.page(shop.scope, topic, { limit: 1000 })).filter(({ id }) => id === event.id)
  t.ok(logged instanceof LoggedEvent)
  if (logged === undefined) return
  t.equal(await app.webhooks.replay.enqueue(shop.scope, [logged], { replayId: 'rpl_1', webhookId: id }), 1)
  await sink.came(2)
  t.strictSame(sink.received[1]?.body.data, { ...event, meta: { replayOf: 'rpl_1' } })
  t.not(sink.received[1]?.id, sink.received[0]?.id)
  t.equal(await app.webhooks.replay.enqueue(shop.scope, [logged], { replayId: 'rpl_2', webhookId: 'wh_nobody' }), 0)
  await until(async () => (await deliveries(`&webhookId=${id}&state=delivered`)).length === 2, 'both deliveries')
  t.match(await deliveries(`&webhookId=${id}`), [{ replayOf: 'rpl_1' }, { replayOf: null }])
})
