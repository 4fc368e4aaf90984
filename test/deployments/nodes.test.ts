import t from 'tap'
import { acquainted, startNodes } from '../support/nodes.ts'
import { connectWs } from '../support/clients.ts'
import { member, objectWith, team } from '../support/deployments.ts'
import { requests } from '../support/people.ts'
import { nodeLinks } from '../support/node-links.ts'

t.setTimeout(300_000)

const links = await nodeLinks(t)

for (const link of links) {
  await t.test(`a deployment on one node takes effect on the others, over ${link.name}`, async t => {
    const nodes = await startNodes(t, link, 2)
    const [one, two] = nodes
    await acquainted(nodes)
    const own = await team(one.app)
    const { author, topic, schema, applicationId } = own
    const there = member(requests(two.app, author.token), applicationId)
    await topic('order.placed')
    await schema('order.placed', objectWith('id'))
    await topic('order.placed', 'staging', 'As before')
    const publish = async (payload: unknown) =>
      (await there.request('POST', '/api/topics/order.placed/events', { payload }, 'staging')).status
    t.equal(await publish({ id: 1 }), 201, 'the other node has used the topic before')

    const token = one.app.tokens.mint({
      subject: 'client', applicationId, permissions: ['subscribe'], environment: 'staging', expiresInS: undefined
    }).token
    const clients = [await connectWs(one.url, { token }), await connectWs(two.url, { token })]
    t.teardown(() => { for (const client of clients) client.close() })
    for (const client of clients) t.match(await client.request('subscribe', { topic: 'order.placed' }), { ok: true })

    const created = await author.create([
      { kind: 'topic', name: 'order.placed' }, { kind: 'schema', name: 'order.placed' }
    ])
    t.match(created.body, { listeners: [{ topic: 'order.placed', subscriptions: 2, webhooks: 0 }] })
    t.equal(created.headers['x-nodes-missing'], undefined)
    t.equal((await author.act(created.body.id, 'apply')).status, 200)
    t.equal(await publish({ id: 1 }), 400, 'the schema is in force on the other node at once')
    t.equal(await publish({ id: 'a' }), 201)
    t.match((await there.request('GET', '/api/topics/order.placed', undefined, 'staging')).body, {
      description: 'A topic', activeSchemaVersion: 1
    })
    t.equal((await there.act(created.body.id, 'rollback')).status, 200)
    t.equal(await publish({ id: 1 }), 201)
    t.equal((await author.request(
      'POST', '/api/topics/order.placed/events', { payload: { id: 1 } }, 'staging'
    )).status, 201, 'also on the first node')

    // A node that does not answer.
    two.app.cluster.peers.on('subscriptions', async () => await new Promise<string>(() => {}))
    const answer = await author.request('GET', `/api/deployments/${String(created.body.id)}`)
    t.equal(answer.headers['x-nodes-missing'], '1')
    t.match(answer.body, { listeners: [{ subscriptions: 1 }] })
  })
}
