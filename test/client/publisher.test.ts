import t from 'tap'
import { build, listen } from '../support/build.ts'
import { openStreams, upTo } from '../support/streams.ts'
import { until } from '../support/waiting.ts'

const { app } = await build(t)
const url = await listen(app)

/** The payloads of a topic's log. */
async function logOf (request: Awaited<ReturnType<typeof openStreams>>['request'], topic: string): Promise<unknown[]> {
  const { body } = await request('GET', `/api/topics/${topic}/events?limit=1000`)
  return (body as { payload: unknown }[]).map(({ payload }) => payload)
}

t.test('events are stored in the order of the calls, whether the client is connected or not', async t => {
  const { client, topic, request, cut } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  const receipts = upTo(300).map(n => client.topic(name).publish(n))
  await cut(client)
  receipts.push(...upTo(600, 301).map(n => client.topic(name).publish(n)))
  await Promise.all(receipts.slice(0, 100))
  client.disconnect()
  receipts.push(...upTo(700, 601).map(n => client.topic(name).publish(n)))
  t.same((await Promise.all(receipts)).map(({ offset }) => offset), upTo(700))
  t.same(await logOf(request, name), upTo(700))
  t.equal((await client.topic(name).publish('large'.repeat(40_000))).offset, 701, 'a large payload goes over REST')
})

t.test('an event whose answer is lost is stored once', async t => {
  const { client, topic, request, proxy } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  await client.connect()
  for (const n of upTo(3)) {
    proxy.isMute = true
    const single = client.topic(name).publish({ n }, { key: 'k' })
    const batch = client.topic(name).publishBatch([{ payload: `${n}a` }, { payload: `${n}b` }])
    await until(async () => (await logOf(request, name)).length > (n - 1) * 3, 'the event')
    proxy.isMute = false
    proxy.cut()
    t.same([(await single).count, (await batch).count], [1, 2])
  }
  t.same(await logOf(request, name), upTo(3).flatMap(n => [{ n }, `${n}a`, `${n}b`]))
})

t.test('a custom idempotency key has one effect over the socket, REST and a reload', async t => {
  const streams = await openStreams(t, app, url)
  const { client, open, topic, request } = streams
  const name = await topic('order.placed')
  await client.connect()
  const options = { key: 'k', idempotencyKey: 'order-1' }
  const first = await client.topic(name).publish({ a: 1, b: 2 }, options)
  client.disconnect()
  t.same(await client.topic(name).publish({ b: 2, a: 1 }, options), first, 'over REST')
  t.same(await open().topic(name).publish({ a: 1, b: 2 }, options), first, 'after a reload')
  await t.rejects(client.topic(name).publish({ a: 2 }, options), { code: 'IDEMPOTENCY_KEY_REUSED' })
  const batch = await client.topic(name).publishBatch([{ payload: 1 }], { idempotencyKey: 'batch-1' })
  t.same(await open().topic(name).publishBatch([{ payload: 1 }], { idempotencyKey: 'batch-1' }), batch)
  t.equal((await logOf(request, name)).length, 2)
})

t.test('of events that travel together, only the invalid ones are refused', async t => {
  const { client, topic, request } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  const { status, text } = await request('POST', `/api/schemas/${name}`, {
    schema: { type: 'object', required: ['n'], properties: { n: { type: 'number' } } }
  })
  t.equal(status, 201, text)
  await client.connect()
  const results = await Promise.allSettled([1, 'two', 3, { n: 4 }, 5, { n: 6 }].map(payload =>
    client.topic(name).publish(typeof payload === 'number' ? { n: payload } : payload)))
  t.same(results.map(({ status }) => status), ['fulfilled', 'rejected', ...Array(4).fill('fulfilled')])
  t.match(results[1], { reason: { code: 'SCHEMA_VIOLATED' } })
  t.same(await logOf(request, name), [1, 3, 4, 5, 6].map(n => ({ n })))
  await t.rejects(client.topic(name).publishBatch([{ payload: { n: 7 } }, { payload: 8 }]), { code: 'SCHEMA_VIOLATED' })
  await t.rejects(client.topic('no.topic').publish(1), { code: 'TOPIC_NOT_FOUND' })
  const unserialisable: { self?: unknown } = {}
  unserialisable.self = unserialisable
  await t.rejects(client.topic(name).publish(unserialisable), TypeError)
  t.equal((await logOf(request, name)).length, 5)
})

t.test('later changes of the caller do not affect a published payload', async t => {
  const { client, topic, request } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  const payload = { n: 1 }
  const published = [client.topic(name).publish(payload), client.topic(name).publish(payload)]
  payload.n = 2
  await Promise.all(published)
  t.same(await logOf(request, name), [{ n: 1 }, { n: 1 }])
})

t.test('an aborted call rejects at once, and does not hold up the others', async t => {
  const { client, topic, request, proxy } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  await client.connect()
  proxy.isMute = true
  const controller = new AbortController()
  const aborted = [1, 2].map(n => client.topic(name).publish(n, { signal: controller.signal }))
  const last = client.topic(name).publish(3)
  controller.abort(new Error('enough'))
  for (const publishing of aborted) await t.rejects(publishing, { message: 'enough' })
  await t.rejects(client.topic(name).publish(4, { signal: controller.signal }), { message: 'enough' })
  proxy.isMute = false
  proxy.cut()
  await last
  t.same((await logOf(request, name)).filter(n => n !== 1), [3])
})

t.test('requests above the pace of the server are repeated until they are accepted', async t => {
  const { app } = await build(t, {
    adapt: config => { Object.assign(config.delivery, { requestsPerSecond: 60, requestsBurst: 10 }) }
  })
  const { client, topic, request } = await openStreams(t, app, await listen(app))
  const names = await Promise.all(upTo(25).map(n => topic(`order.t${n}`)))
  await client.connect()
  const seen: unknown[] = []
  const subscriptions = names.map(name => client.topic(name).subscribe(event => { seen.push(event.payload) }))
  await Promise.all(subscriptions.map(({ ready }) => ready))
  await Promise.all(names.map(name => client.topic(name).publish(name)))
  await until(() => seen.length === names.length, 'the events')
  t.same(seen.sort(), [...names].sort())
  for (const name of names) t.same(await logOf(request, name), [name])
})
