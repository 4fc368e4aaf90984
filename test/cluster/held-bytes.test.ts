import t from 'tap'
import { connectSocketIo, connectWs } from '../support/clients.ts'
import { nodeLinks } from '../support/node-links.ts'
import { tenant, type Tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'
import { acquainted, startNodes } from '../support/nodes.ts'

/* Memory of members' states at nodes other than their own. */

t.setTimeout(600_000)

const links = await nodeLinks(t)

for (const link of links) {
  await t.test(`the states of members count at every node, and are shed at every node, over ${link.name}`, async t => {
    const nodes = await startNodes(t, link, 2, {
      adapt: ({ delivery }) => {
        Object.assign(delivery, { heldBytesMax: 200_000, heldBytesPerApplicationMax: 100_000 })
      }
    })
    const [one, two] = nodes
    await acquainted(nodes)
    const [first, second, third] = [await tenant(one.app), await tenant(one.app), await tenant(one.app)]
    for (const { request, applicationId } of [first, second, third]) {
      await request('PATCH', `/api/applications/${applicationId}`, { presenceGraceMs: 0 })
    }
    const state = 'x'.repeat(4000)
    const fill = async ({ token }: Tenant) => {
      const client = await connectWs(one.url, { token: token() })
      for (let n = 0; n < 6; n++) {
        t.match(await client.request('join', { channel: `room${n}`, state: n === 0 ? 1 : state }), { ok: true })
      }
      t.match(await client.request('presence', { channel: 'room0', state }), { ok: true })
      return client
    }
    const clients = [await fill(first), await fill(second)]
    await until(() => two.app.heldBytes.bytes === one.app.heldBytes.bytes, 'the other node to count the same')
    t.ok(two.app.heldBytes.bytes > 190_000)
    t.match(await two.app.instruments.registry.metrics(), /^realtime_held_bytes 19\d{4}$/m)
    const elsewhere = await connectSocketIo(two.url, { token: first.token() })
    t.match(
      await elsewhere.request('join', { channel: 'more', state }), { code: 'MEMORY_LIMIT' },
      'an application has one share for its members on all nodes'
    )
    const neighbour = await connectWs(two.url, { token: third.token() })
    t.match(
      await neighbour.request('join', { channel: 'room', state }), { code: 'MEMORY_LIMIT' },
      'connections of this node hold nothing'
    )
    t.match(
      await Promise.race(clients.map(({ closed }) => closed)), { code: 1013 },
      'another node sheds one of its own'
    )
    await until(() => two.app.heldBytes.bytes < 110_000, 'its members to leave')
    t.match(await neighbour.request('join', { channel: 'room', state }), { ok: true })
    for (const client of [...clients, elsewhere, neighbour]) client.close()
    await until(() => nodes.every(({ app }) => app.heldBytes.bytes === 0), 'all bytes to be released')
  })
}
