import t from 'tap'
import { WebhookReceiver } from '@realtime-platform/client/webhook'
import { tenant } from '../support/tenant.ts'
import { allSettled, answer, receiver } from '../support/webhook-receiver.ts'
import { deliveriesOf, hook, node } from '../support/webhooks.ts'

const { app } = await node(t)

await t.test('a delivery shows its request, whose signature verifies, and the response to every attempt', async t => {
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const sink = await receiver(t, answer(503, {
    'content-type': 'text/plain', 'x-reason': 'full', 'set-cookie': 'session=secret'
  }, 'try later'))
  const { id, secret } = await hook(shop, sink.url)
  await shop.publish('order.placed', { total: 12 })
  await allSettled(app, shop, 1)
  const [delivery] = await deliveriesOf(shop)
  const { status, body } = await shop.request('GET', `/api/webhooks/deliveries/${delivery?.id}/details`)
  t.equal(status, 200)
  t.match(body, { ...delivery, request: { url: sink.url } })
  t.equal(body.log.length, 6)
  for (const attempt of body.log) {
    t.match(attempt, {
      webhookId: id, statusCode: 503, success: false, responseBody: 'try later',
      responseHeaders: { 'content-type': 'text/plain', 'x-reason': 'full', 'set-cookie': undefined }, sentAt: Number
    })
  }
  t.match(body.log.map(({ attempts }: { attempts: number }) => attempts), [6, 5, 4, 3, 2, 1])
  const last = sink.received.at(-1)
  t.match(last?.headers, body.request.headers, 'the headers are those of the last attempt')
  t.equal(body.request.body, last?.text, 'the body is the one that was sent')
  const { event } = new WebhookReceiver(secret).verify(last?.text ?? '', body.request.headers)
  t.match(event, { topic: 'order.placed', payload: { total: 12 } })
})

await t.test('after a rotation, an earlier request keeps the signature that was sent', async t => {
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const sink = await receiver(t)
  const { id } = await hook(shop, sink.url)
  await shop.publish('order.placed', 1)
  await allSettled(app, shop, 1)
  await shop.request('POST', `/api/webhooks/${id}/rotate-secret`, {})
  const [delivery] = await deliveriesOf(shop)
  const { body } = await shop.request('GET', `/api/webhooks/deliveries/${delivery?.id}/details`)
  t.equal(body.request.headers['webhook-signature'], sink.received[0]?.headers['webhook-signature'])
})

await t.test('a delivery that never got a response has no headers of one', async t => {
  const shop = await tenant(app)
  await shop.topic('order.placed')
  await hook(shop, 'http://127.0.0.1:1/hook')
  await shop.publish('order.placed', 1)
  await allSettled(app, shop, 1)
  const [delivery] = await deliveriesOf(shop, '&statusClass=none')
  const { body } = await shop.request('GET', `/api/webhooks/deliveries/${delivery?.id}/details`)
  t.match(body.log[0], { statusCode: null, responseHeaders: null, responseBody: null, success: false })
})

await t.test('details are refused to strangers and without permission to read the event', async t => {
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const sink = await receiver(t)
  await hook(shop, sink.url)
  await shop.publish('order.placed', 1)
  await allSettled(app, shop, 1)
  const [delivery] = await deliveriesOf(shop)
  const path = `/api/webhooks/deliveries/${delivery?.id}/details`
  t.match(await (await tenant(app)).request('GET', path), { status: 404, body: { code: 'WEBHOOK_DELIVERY_NOT_FOUND' } })
  const blind = { authorization: `Bearer ${shop.token(['webhooks:read'])}` }
  t.equal((await shop.request('GET', path, undefined, blind)).status, 404)
  t.equal((await shop.request('GET', '/api/webhooks/deliveries/dlv_nothing/details')).status, 400)
})

await t.test('a redrive takes the filters of the list, and counts first', async t => {
  const shop = await tenant(app)
  await shop.topic('order.placed')
  await shop.topic('order.paid')
  const sink = await receiver(t, ({ body }, response) => {
    response.writeHead(body.data.topic === 'order.paid' ? 404 : 500).end()
  })
  await hook(shop, sink.url)
  await shop.publish('order.placed', 1, 2, 3)
  const [{ id: paidId } = { id: '' }] = await shop.publish('order.paid', 4)
  await allSettled(app, shop, 4)
  const counts = async (filter: object) =>
    (await shop.request('POST', '/api/webhooks/redrive', { ...filter, dryRun: true })).body.matched as number
  for (const [filter, expected] of [
    [{}, 4], [{ topic: 'order.placed' }, 3], [{ statusClass: '4xx' }, 1], [{ statusClass: '5xx' }, 3],
    [{ statusClass: 'none' }, 0], [{ eventId: paidId }, 1], [{ environment: 'production' }, 0],
    [{ environment: 'development', event: 'topic.event' }, 4], [{ event: 'document.created' }, 0]
  ] as const) {
    t.equal(await counts(filter), expected, JSON.stringify(filter))
    const query = new URLSearchParams(Object.entries({ state: 'dead', ...filter }))
    t.equal((await deliveriesOf(shop, `&${query}`)).length, expected, `the list has ${expected} of ${query}`)
  }
  sink.behave(answer(200))
  t.match((await shop.request('POST', '/api/webhooks/redrive', { statusClass: '5xx', topic: 'order.placed' })).body, {
    matched: 3, redriven: 3, remaining: 0
  })
  await allSettled(app, shop, 4)
  t.equal((await deliveriesOf(shop, '&state=delivered')).length, 3)
  t.match(await deliveriesOf(shop, '&state=dead'), [{ topic: 'order.paid' }])
})

await t.test('a paused endpoint is reported by the node that pauses it', async t => {
  const { app } = await node(t, undefined, { circuitFailures: 2, circuitPauseMs: 60_000, circuitPauseMaxMs: 60_000 }, {
    WEBHOOK_RETRY_SCHEDULE: '1h,1h'
  })
  const shop = await tenant(app)
  await shop.topic('order.placed')
  const sink = await receiver(t, answer(500))
  const { id } = await hook(shop, sink.url)
  t.notOk('pausedUntil' in (await shop.request('GET', `/api/webhooks/${id}`)).body)
  await shop.publish('order.placed', 1, 2, 3, 4)
  await sink.came(2)
  let paused: number | undefined
  while (paused === undefined) paused = (await shop.request('GET', `/api/webhooks/${id}`)).body.pausedUntil
  t.ok(paused > Date.now() - 1000)
  t.equal((await shop.request('GET', '/api/webhooks')).body[0].pausedUntil, paused)
})
