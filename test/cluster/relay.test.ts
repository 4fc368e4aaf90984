import t from 'tap'
import { transports } from '../support/clients.ts'
import { nodeLinks } from '../support/node-links.ts'
import { startNodes } from '../support/nodes.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

/*
 * Two nodes with one database, over both kinds of links. The poll, which would bring every event a second later, is
 * disabled on the second.
 */

const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)
const links = await nodeLinks(t)

for (const link of links) {
  await t.test(`events of one node reach the subscribers of the other, over ${link.name}`, async t => {
    const [one, two] = await startNodes(t, link, 2)
    const { url } = two
    const shop = await tenant(one.app)
    const topic = await shop.topic('order.placed')
    for (const { name, connect } of transports) {
      await t.test(`over ${name}, by the bus alone`, async t => {
        two.app.hub.stopPolling()
        t.teardown(() => two.app.hub.start())
        const client = await connect(url, { token: shop.token() })
        const { offset } = await client.request('subscribe', { topic })
        const pattern = await connect(url, { token: shop.token() })
        await pattern.request('subscribe', { topic: 'chat.**' })
        await shop.publish(topic, ...upTo(200).map(n => ({ n })))
        t.same(
          (await client.received(200)).map(event => event.offset), upTo(200).map(n => offset + n),
          'every offset, in order'
        )
        const created = await shop.topic(`chat.${name === '/ws' ? 'ws' : 'io'}`)
        for (const n of upTo(20)) await shop.publish(created, { n })
        t.same(
          (await pattern.received(20)).map(event => event.offset), upTo(20),
          'a new topic joins a pattern'
        )
        for (const one of [client, pattern]) {
          one.close()
          await one.closed
        }
      })
    }

    await t.test('documents arrive in the requested returnMode', async t => {
      const client = await transports[0]?.connect(url, { token: shop.token() })
      if (client === undefined) throw new Error('no client')
      await client.request('subscribe', { topic: 'sync.cart.updated', returnMode: 'both' })
      await shop.request('POST', '/api/sync/cart/documents', { id: 'c', data: { total: 1 } })
      await shop.request('PATCH', '/api/sync/cart/documents/c/merge', { data: { total: 2 } })
      const [event] = await client.received(1)
      t.match(event?.payload, {
        id: 'c', revision: 2, previousRevision: 1, data: { total: 2 },
        diff: [{ op: 'replace', path: '/total', value: 2 }]
      })
      client.close()
    })

    const { redis } = link
    if (redis === undefined) return

    await t.test('Redis is killed and restarted under load: no gap, no duplicate', async t => {
      const clients = await Promise.all(transports.map(({ connect }) => connect(url, { token: shop.token() })))
      const [first] = await Promise.all(clients.map(client => client.request('subscribe', { topic })))
      const state = { isOver: false, published: 0 }
      const publishing = (async () => {
        while (!state.isOver) await shop.publish(topic, { n: ++state.published })
      })()
      const reach = (count: number) => until(() => state.published >= count, `${count} events`)
      for (const round of upTo(2)) {
        const before = state.published
        await reach(before + 50)
        await redis.kill()
        t.match((await two.app.inject('/health/ready')).json(), { status: 'ready' }, `round ${round}: still ready`)
        await reach(before + 100)
        await redis.start()
      }
      state.isOver = true
      await publishing
      for (const client of clients) {
        const offsets = (await client.received(state.published)).map(event => event.offset)
        t.same(
          offsets,
          upTo(state.published).map(n => (first?.offset ?? NaN) + n),
        `${client.kind}: every offset once, in order`
        )
        client.close()
      }
    })
  })
}
