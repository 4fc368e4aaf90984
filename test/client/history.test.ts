import t from 'tap'
import { build, listen } from '../support/build.ts'
import { openStreams, upTo } from '../support/streams.ts'

const { app } = await build(t)
const url = await listen(app)

async function all<T> (events: AsyncIterable<{ payload: T }>): Promise<T[]> {
  const payloads: T[] = []
  for await (const { payload } of events) payloads.push(payload)
  return payloads
}

t.test('history pages through the log in both orders', async t => {
  const { client, topic, publish } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  await publish(name, ...upTo(25))
  const orders = client.topic(name)
  t.same(await all(orders.history({ pageSize: 10 })), upTo(25))
  t.same(await all(orders.history({ pageSize: 10, order: 'desc' })), upTo(25).reverse())
  t.same(await all(orders.history({ after: 20, before: 24 })), [21, 22, 23])
  t.same(await all(orders.history({ to: new Date(0) })), [])
  t.same(await all(orders.history({ from: Date.now() + 3_600_000 })), [])
  t.same(await all(orders.history({ from: 0, pageSize: 20 })), upTo(25))
})

t.test('history finds events by key and filter beyond pages without any', async t => {
  const { client, topic, publish } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  // A request examines 10,000 events at most: the first page is empty.
  await publish(name, ...upTo(10_500).map(n => ({ n })))
  await client.topic(name).publish({ n: 0 }, { key: 'k' })
  t.same(await all(client.topic(name).history({ key: 'k' })), [{ n: 0 }])
  t.same(await all(client.topic(name).history({ filter: { n: { gte: 10_500 } } })), [{ n: 10_500 }])
})

t.test('history stops at break, and rejects when aborted or refused', async t => {
  const { client, topic, publish } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  await publish(name, ...upTo(10))
  const controller = new AbortController()
  const seen: unknown[] = []
  await t.rejects(async () => {
    for await (const { payload } of client.topic(name).history({ pageSize: 2, signal: controller.signal })) {
      seen.push(payload)
      if (payload === 2) controller.abort(new Error('enough'))
    }
  }, { message: 'enough' })
  t.same(seen, [1, 2])
  for await (const { payload } of client.topic(name).history({ pageSize: 2 })) if (payload === 3) break
  await t.rejects(all(client.topic('no.topic').history()), { code: 'TOPIC_NOT_FOUND', status: 404 })
})
