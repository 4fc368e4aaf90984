import t from 'tap'
import type { SocketDetail, SocketSummary } from '../../schemas/sockets.ts'
import { transports, type Client } from '../support/clients.ts'
import { acquainted, startNodes } from '../support/nodes.ts'
import { nodeLinks } from '../support/node-links.ts'
import { idOf } from '../support/room.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

const links = await nodeLinks(t)

for (const link of links) {
  await t.test(`connections of all nodes, over ${link.name}`, async t => {
    const nodes = await startNodes(t, link, 2, { adapt: config => { config.cluster.answerMs = 10_000 } })
    await acquainted(nodes)
    const [one, two] = nodes
    const shop = await tenant(one.app)
    const clients: Client[] = []
    t.teardown(() => { for (const client of clients) client.close() })
    const request = (node: typeof one) => async (method: 'GET' | 'DELETE', url: string) => {
      const answer = await node.app.inject({ method, url, headers: { authorization: `Bearer ${shop.token()}` } })
      return {
        status: answer.statusCode, headers: answer.headers,
        body: answer.body === '' ? undefined : answer.json<unknown>()
      }
    }
    for (let n = 0; n < 8; n++) {
      const { connect } = transports[n % 2] as typeof transports[number]
      clients.push(await connect((n < 5 ? one : two).url, { token: shop.token(['admin'], { subject: `u${n}` }) }))
    }
    const subscribed = await clients[7]?.request('subscribe', { topic: 'sync.**', filter: { a: 1 } })

    await t.test('every node lists all of them, page by page', async t => {
      for (const node of nodes) {
        for (const query of ['', '&sort=userId&order=asc']) {
          const found: SocketSummary[] = []
          let cursor: string | undefined
          do {
            const page = await request(node)(
              'GET', `/api/socket/sockets?limit=3${query}${cursor === undefined ? '' : `&cursor=${cursor}`}`
            )
            t.notOk('x-nodes-missing' in page.headers)
            found.push(...page.body as SocketSummary[])
            cursor = page.headers['x-next-cursor'] as string | undefined
          } while (cursor !== undefined)
          const ids = clients.map(idOf)
          t.same(found.map(({ id }) => id), query === '' ? ids.toReversed() : ids)
          t.same(found.filter(({ nodeId }) => nodeId === two.app.node.id).length, 3)
        }
      }
    })

    await t.test('every node shows and closes the connections of the other', async t => {
      const [first, last] = [clients[0], clients[7]] as [Client, Client]
      // A closed client of Socket.IO has no id.
      const [firstId, lastId] = [idOf(first), idOf(last)]
      t.match((await request(one)('GET', `/api/socket/sockets/${lastId}`)).body as SocketDetail, {
        userId: 'u7', nodeId: two.app.node.id,
        subscriptions: [{ id: subscribed?.subscriptionId, topic: 'sync.**', filter: { a: 1 } }]
      })
      for (const [node, client, id] of [[one, last, lastId], [two, first, firstId]] as const) {
        t.equal((await request(node)('DELETE', `/api/socket/sockets/${id}`)).status, 204)
        await client.closed
        await until(
          async () => (await request(node)('GET', `/api/socket/sockets/${id}`)).status === 404,
          'the connection to be gone'
        )
      }
      const entries = await one.app.db.selectFrom('audit_log').select('resource_id')
        .where('action', '=', 'socket.closed')
        .where('application_id', '=', shop.applicationId).execute()
      t.same(entries.map(entry => entry.resource_id).sort(), [firstId, lastId].sort())
    })

    await t.test('a node that does not answer is counted as missing', async t => {
      const silent = two.app.cluster.peers
      silent.on('sockets', () => new Promise(() => {}))
      silent.on('socket', () => new Promise(() => {}))
      one.app.config.cluster.answerMs = 200
      const { body, headers } = await request(one)('GET', '/api/socket/sockets')
      t.equal(headers['x-nodes-missing'], '1')
      t.ok((body as SocketSummary[]).every(({ nodeId }) => nodeId === one.app.node.id))
      t.match(await request(one)('GET', '/api/socket/sockets/unknown'), {
        status: 404, body: { message: /1 node did not answer in time/ }
      })
    })
  })
}
