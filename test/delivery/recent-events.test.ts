import t from 'tap'
import { build, listen } from '../support/build.ts'
import { connectWs, transports } from '../support/clients.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

/* The recent events that a node keeps in memory for reconnecting clients. */

const { app } = await build(t)
const url = await listen(app)
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)

await t.test('the recent events of all topics have one limit, and dropped ones are read from the log', async t => {
  const shop = await tenant(app)
  const listener = await connectWs(url, { token: shop.token() })
  const topics = await Promise.all(upTo(20).map(n => shop.topic(`busy.topic${n}`)))
  await listener.request('subscribe', { topic: '**' })
  for (const [n, topic] of topics.entries()) {
    await shop.publish(topic, ...upTo(4).map(() => 'x'.repeat(250_000)))
    // Topics have no order between them, so each must have its recent events before the next.
    await listener.received(4 * (n + 1))
  }
  const { recentEvents: recent } = app.hub
  t.ok(recent.bytes > 32 * 1024 * 1024 && recent.bytes <= 64 * 1024 * 1024, `${recent.bytes} bytes`)
  const remembered = topics.filter(topic => app.hub.feedOf(shop.scope, topic)?.recent(0) !== undefined)
  // Not exactly in the order of publishing: a pattern that catches up with a topic uses it again.
  t.same(topics.slice(-10).filter(topic => !remembered.includes(topic)), [], 'those of the latest topics are kept')
  t.notOk(remembered.includes(topics[0] as string), 'those of the first topic are dropped')
  for (const { name, connect } of transports) {
    const client = await connect(url, { token: shop.token() })
    for (const topic of [topics[0], topics.at(-1)]) {
      t.match(await client.request('subscribe', { topic, after: 0 }), { ok: true, recovered: true }, name)
    }
    t.equal((await client.received(8)).length, 8)
    client.close()
  }
  t.ok(recent.bytes <= 64 * 1024 * 1024, `${recent.bytes} bytes after reading the past`)
  listener.close()
  await until(() => app.hub.size === 0)
  t.equal(recent.bytes, 0, 'a topic without subscriptions has no recent events')
})

await t.test('the diffs of documents count towards the limit', async t => {
  const shop = await tenant(app)
  const client = await connectWs(url, { token: shop.token() })
  await client.request('subscribe', { topic: 'sync.session.updated', returnMode: 'diff' })
  await shop.request('POST', '/api/sync/session/documents', { id: 'd', data: { text: 'short' } })
  await shop.request('PATCH', '/api/sync/session/documents/d/merge', { data: { text: 'x'.repeat(100_000) } })
  await client.received(1)
  t.ok(app.hub.recentEvents.bytes > 4 * 200_000, `${app.hub.recentEvents.bytes} bytes`)
  client.close()
})
