import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { connectSocketIo, connectWs } from '../../support/clients.ts'
import { tenant } from '../../support/tenant.ts'
import { answer, receiver } from '../../support/webhook-receiver.ts'
import { hook, node, upTo } from '../../support/webhooks.ts'
import { eventually, until } from '../../support/waiting.ts'
import { largestOf, seriesOf, storeAsPast, sumOf, valuesOf } from '../../support/series.ts'

/* The history of what really happened, on one node and on two. */

const { app: one, databaseUrl } = await node(t)
const { app: two } = await node(t, databaseUrl)
const urls = [await listen(one), await listen(two)]

await t.test('a series adds up the nodes, by scope and by topic', async t => {
  const shop = await tenant(one)
  const [busy, calm, silent] = [await shop.topic('busy.events'), await shop.topic('calm.events'),
    await shop.topic('silent.events')]
  const clients = [
    await connectWs(urls[0] as string, { token: shop.token() }),
    await connectSocketIo(urls[1] as string, { token: shop.token() })
  ]
  for (const client of clients) {
    await client.request('subscribe', { topic: busy })
    // One event is handed to a socket once, however many of its subscriptions match.
    await client.request('subscribe', { topic: '*.events', filter: { no: { lte: 30 } } })
  }
  for (const [app, count] of [[one, 30], [two, 20]] as const) {
    for (const topic of [busy, calm]) {
      const events = upTo(topic === busy ? count : count / 10).map(no => ({ payload: { no } }))
      const { statusCode } = await app.inject({
        method: 'POST', url: `/api/topics/${topic}/events`, headers: { authorization: `Bearer ${shop.token()}` },
        payload: { events }
      })
      t.equal(statusCode, 201)
    }
  }
  for (const client of clients) await client.received(55)
  await storeAsPast(one, two)
  const sums = async (metric: string, topic?: string) =>
    sumOf(await seriesOf(shop, `metric=${metric}${topic === undefined ? '' : `&topic=${topic}`}`))
  t.equal(await sums('eventsIn'), 55)
  t.equal(await sums('eventsIn', busy), 50)
  t.equal(await sums('eventsIn', calm), 5)
  t.equal(await sums('eventsOut'), 110)
  t.equal(await sums('eventsOut', busy), 100)
  t.equal(await sums('eventsOut', calm), 10)
  t.equal(await sums('eventsIn', silent), 0)
  const inPerSec = await seriesOf(shop, 'metric=eventsInPerSec')
  t.match(inPerSec, { metric: 'eventsInPerSec', unit: 'events/s', step: 60 })
  t.ok(Math.abs(sumOf(inPerSec) * 60 - 55) < 0.1, 'a rate is by second')
  for (const topic of [undefined, busy, calm]) {
    const [p50, p95, p99] = await Promise.all(['P50', 'P95', 'P99'].map(async name =>
      largestOf(await seriesOf(shop, `metric=fanoutLatency${name}${topic === undefined ? '' : `&topic=${topic}`}`))
    )) as [number, number, number]
    t.ok(p50 > 0 && p50 <= p95 && p95 <= p99, `${p50} ${p95} ${p99}`)
  }
  t.equal(largestOf(await seriesOf(shop, `metric=fanoutLatencyP95&topic=${silent}`)), 0)
  t.ok(largestOf(await seriesOf(shop, 'metric=activeConnections')) > 0, 'sockets count by the time that they are open')
  for (const client of clients) client.close()
})

await t.test('a client that catches up counts for the topic as for the scope', async t => {
  const shop = await tenant(one)
  const topic = await shop.topic('past.events')
  await shop.publish(topic, ...upTo(300))
  const client = await connectWs(urls[1] as string, { token: shop.token() })
  await client.request('subscribe', { topic, after: 0 })
  await client.received(300)
  await storeAsPast(one, two)
  t.equal(sumOf(await seriesOf(shop, 'metric=eventsOut')), 300)
  t.equal(sumOf(await seriesOf(shop, `metric=eventsOut&topic=${topic}`)), 300)
  client.close()
})

await t.test('a node that starts again within a minute adds to it', async t => {
  const shop = await tenant(one)
  const topic = await shop.topic('restarted.events')
  for (const count of [3, 4]) {
    const { app } = await build(t, { databaseUrl })
    const { statusCode } = await app.inject({
      method: 'POST', url: `/api/topics/${topic}/events`, headers: { authorization: `Bearer ${shop.token()}` },
      payload: { events: upTo(count).map(payload => ({ payload })) }
    })
    t.equal(statusCode, 201)
    // The stop stores the rest.
    await app.close()
  }
  await storeAsPast(one, two)
  t.equal(sumOf(await seriesOf(shop, `metric=eventsIn&topic=${topic}`)), 7)
})

await t.test('the series of a webhook has its deliveries, failures and latency', async t => {
  const shop = await tenant(one)
  const topic = await shop.topic('sent.events')
  const good = await receiver(t)
  let failures = 0
  const flaky = await receiver(t, (received, response, request) =>
    answer(failures++ < 3 ? 500 : 200)(received, response, request))
  const [reliable, unreliable] = [await hook(shop, good.url), await hook(shop, flaky.url)]
  await shop.publish(topic, ...upTo(5))
  const settled = async () => {
    const { rows: [row] } = await one.pool.query<{ count: number }>(
      "select count(*) as count from webhook_deliveries where application_id = $1 and state = 'delivered'",
      [shop.applicationId]
    )
    return row?.count === 10
  }
  await until(settled, 'all deliveries')
  await storeAsPast(one, two)
  const values = async (webhookId?: string) => {
    const of = webhookId === undefined ? '' : `&webhookId=${webhookId}`
    return {
      deliveries: sumOf(await seriesOf(shop, `metric=deliveries${of}`)),
      failures: sumOf(await seriesOf(shop, `metric=deliveryFailures${of}`))
    }
  }
  t.same(await values(reliable.id), { deliveries: 5, failures: 0 })
  t.same(await values(unreliable.id), { deliveries: 5, failures: 3 })
  t.same(await values(), { deliveries: 10, failures: 3 })
  const other = await tenant(one)
  const foreign = await other.request('GET', `/api/metrics/series?metric=deliveries&webhookId=${reliable.id}`)
  t.match(foreign, { status: 404, body: { code: 'WEBHOOK_NOT_FOUND' } })
  for (const of of ['', `&webhookId=${reliable.id}`]) {
    t.ok(largestOf(await seriesOf(shop, `metric=deliveryLatencyP95${of}`)) > 0)
  }
  const shares = await seriesOf(shop, `metric=webhookFailureRate&webhookId=${unreliable.id}`)
  t.ok(largestOf(shares) > 0 && largestOf(shares) <= 1)
  t.equal(shares.unit, 'share')
  t.same([...new Set(valuesOf(await seriesOf(shop, `metric=webhookFailureRate&webhookId=${reliable.id}`)))].filter(
    value => value !== null
  ), [0])
})

await t.test('refused payloads count as failures of the minute', async t => {
  const shop = await tenant(one)
  const topic = await shop.topic('strict.events')
  await shop.request('POST', `/api/schemas/${topic}`, { schema: { type: 'number' } })
  await shop.request('POST', `/api/topics/${topic}/events`, { payload: 'text' })
  await storeAsPast(one, two)
  const series = await seriesOf(shop, 'metric=schemaValidationFailures')
  t.equal(sumOf(series), 1)
  t.equal(series.unit, 'failures')
})

await t.test('one node at a time samples the states that all nodes share', async t => {
  const shop = await tenant(one)
  const topic = await shop.topic('owed.events')
  const broken = await receiver(t, answer(410))
  await hook(shop, broken.url)
  await shop.publish(topic, 1, 2, 3)
  await eventually(async () => {
    const { rows: [row] } = await one.pool.query<{ count: number }>(
      "select count(*) as count from webhook_deliveries where application_id = $1 and state = 'dead'",
      [shop.applicationId]
    )
    return row?.count === 3
  })
  await Promise.all([one, two].map(({ metricSeries }) => metricSeries.recorder.doSharedWork()))
  await storeAsPast(one, two)
  const { rows } = await one.pool.query<{ node: string, dead: number }>(
    'select node, dead from metric_minutes where application_id = $1 and is_sampled order by at desc limit 1',
    [shop.applicationId]
  )
  t.same(rows, [{ node: '', dead: 3 }])
  const series = await seriesOf(shop, 'metric=dlqSize')
  t.equal(largestOf(series), 3)
  t.equal(series.unit, 'deliveries')
  const other = await tenant(one)
  t.equal(largestOf(await seriesOf(other, 'metric=dlqSize')), 0)
  for (const metric of ['queueDepth', 'retryCount', 'outboxLag', 'cdcLag']) {
    t.equal(largestOf(await seriesOf(other, `metric=${metric}`)), 0, metric)
  }
})

await t.test('the series of a deleted application are deleted', async t => {
  const shop = await tenant(one)
  await shop.publish(await shop.topic('doomed.events'), 1)
  await storeAsPast(one, two)
  const rows = async () => {
    const { rows: [row] } = await one.pool.query<{ count: number }>(
      'select count(*) as count from metric_minutes where application_id = $1', [shop.applicationId]
    )
    return row?.count
  }
  t.ok(await rows())
  t.equal((await shop.request('DELETE', `/api/applications/${shop.applicationId}?force=true`)).status, 204)
  await until(async () => await rows() === 0)
})
