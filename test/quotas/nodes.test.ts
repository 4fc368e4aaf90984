import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { build, listen } from '../support/build.ts'
import { transports, type Client } from '../support/clients.ts'
import { createDatabase } from '../support/database.ts'
import { person } from '../support/people.ts'
import { requester, tenant } from '../support/tenant.ts'
import { pace, until } from '../support/waiting.ts'

/* Quotas and usage over two nodes that share a database and have no Redis. */

t.setTimeout(600_000)
const databaseUrl = await createDatabase(t)
const start = async () => {
  const { app } = await build(t, { databaseUrl })
  return { app, url: await listen(app) }
}
const [one, two] = [await start(), await start()]
const root = await person(one.app, 'super_admin')

/** Lets both nodes exchange what they have, twice, so that each has what the other wrote. */
async function exchange (...apps: FastifyInstance[]): Promise<void> {
  for (let round = 0; round < 2; round++) for (const app of apps) await app.quotas.node.exchange()
}

await t.test('a changed quota applies on all nodes', async t => {
  const shop = await tenant(one.app)
  const path = `/api/applications/${shop.applicationId}/quotas`
  const atTwo = requester(two.app, shop.token())
  await shop.topic('n.changed')
  const publish = () => atTwo('POST', '/api/topics/n.changed/events', { payload: 1 })
  t.equal((await publish()).status, 201)
  await root.request('PUT', path, { bytesStored: 0 })
  await until(async () => (await publish()).status === 429, 'the other node to refuse')
  t.match((await atTwo('GET', path)).body, { bytesStored: 0 })
  await root.request('PUT', path, {})
  await until(async () => (await publish()).status === 201, 'the other node to admit')
})

await t.test('two nodes together hold publishesPerSecond', async t => {
  const shop = await tenant(one.app)
  await shop.topic('n.rate')
  const quota = 50
  await root.request('PUT', `/api/applications/${shop.applicationId}/quotas`, { publishesPerSecond: quota })
  await until(() => two.app.quotas.limits.of(shop.applicationId).publishesPerSecond === quota)
  const requests = [one, two].map(({ app }) => requester(app, shop.token()))
  let admitted: number[] = []
  const load = { isOver: false }
  const clients = requests.map(async request => {
    while (!load.isOver) {
      const { status } = await request('POST', '/api/topics/n.rate/events', { payload: 1 })
      if (status === 201) admitted.push(performance.now())
      else if (status !== 429) throw new Error(String(status))
      await pace(4)
    }
  })
  // Until the nodes have exchanged their demand, each allows the whole quota.
  await pace(4000)
  const begin = performance.now()
  admitted = []
  await pace(10_000)
  load.isOver = true
  await Promise.all(clients)
  const seconds = (performance.now() - begin) / 1000
  const most = quota * seconds * 1.25
  t.ok(admitted.length <= most, `${admitted.length} in ${seconds.toFixed(1)} s, at most ${most.toFixed()}`)
  t.ok(admitted.length >= quota * seconds * 0.5, `${admitted.length} in ${seconds.toFixed(1)} s`)
})

await t.test('two nodes together hold sockets, and a node that ends gives its sockets back', async t => {
  const three = await start()
  const shop = await tenant(one.app)
  await root.request('PUT', `/api/applications/${shop.applicationId}/quotas`, { sockets: 6, subscriptions: 100 })
  await until(() => three.app.quotas.limits.of(shop.applicationId).sockets === 6)
  const clients: Client[] = []
  t.teardown(() => { for (const client of clients) client.close() })
  const connect = transports[1]?.connect
  if (connect === undefined) throw new Error('no transport')
  const open = ({ app }: typeof one) => app.connections.counts().get(shop.applicationId)?.sockets ?? 0
  const isFull = async () => {
    await exchange(one.app, three.app)
    for (const node of [one, three]) {
      const client = await connect(node.url, { token: shop.token() })
      if (open(node) > 0) clients.push(client)
    }
    return open(one) + open(three) >= 6
  }
  await until(isFull, 'six sockets to be open')
  await exchange(one.app, three.app)
  const refused = await connect(one.url, { token: shop.token() })
  t.match(await refused.message('error'), { code: 'QUOTA_EXCEEDED', details: [{ path: 'sockets' }], message: /of 6/ })
  t.ok(open(one) + open(three) <= 7, `${open(one) + open(three)} sockets`)
  t.ok(open(three) > 0)
  await three.app.close()
  await exchange(one.app, two.app)
  const admitted = await connect(one.url, { token: shop.token() })
  t.match(await Promise.race([admitted.message('authenticated'), admitted.message('error')]), { socketId: String })
  admitted.close()
})

await t.test('usage adds up over nodes and restarts', async t => {
  const shop = await tenant(one.app)
  await shop.topic('n.usage')
  const publish = (app: FastifyInstance) =>
    requester(app, shop.token())('POST', '/api/topics/n.usage/events', { payload: 'abc' })
  await publish(one.app)
  await publish(two.app)
  const three = await start()
  await publish(three.app)
  await three.app.close()
  const four = await start()
  await publish(four.app)
  await Promise.all([one, two].map(({ app }) => app.quotas.node.flush()))
  const { body } = await requester(four.app, shop.token())('GET', `/api/applications/${shop.applicationId}/usage`)
  t.match(body, [{ publishes: 4, bytesWritten: 20, bytesStored: 20 }])
  const { body: hours } = await shop.request('GET', `/api/applications/${shop.applicationId}/usage?by=hour`)
  t.equal((hours as { publishes: number }[]).reduce((sum, { publishes }) => sum + publishes, 0), 4)
})

await t.test('counts wait while the database refuses them, and none is lost', async t => {
  const shop = await tenant(one.app)
  await shop.topic('n.outage')
  await one.app.pool.query('alter table application_usage rename to application_usage_away')
  await shop.publish('n.outage', 'abc')
  await t.rejects(one.app.quotas.node.flush(), { code: '42P01' })
  await shop.publish('n.outage', 'abc')
  await one.app.pool.query('alter table application_usage_away rename to application_usage')
  const { body } = await shop.request('GET', `/api/applications/${shop.applicationId}/usage`)
  t.match(body, [{ publishes: 2, bytesWritten: 10, bytesStored: 10 }])
})

await t.test('old usage is deleted, and applications without traffic are measured', async t => {
  const { createHousekeeping } = await import('../../src/quotas/housekeeping.ts')
  const [shop, quiet] = [await tenant(one.app), await tenant(one.app)]
  await quiet.topic('n.quiet')
  await quiet.publish('n.quiet', 'abc')
  await quiet.request('POST', '/api/sync/cart/documents', { data: {} })
  await one.app.quotas.node.flush()
  const dayMs = 24 * 3_600_000
  const now = Date.now() + 10 * dayMs
  await one.app.pool.query(
    "insert into application_usage (application_id, span, starts_at) values ($1, 'hour', $2), ($1, 'hour', $3), " +
      "($1, 'day', $2), ($1, 'day', $4)",
    [shop.applicationId, now - 32 * dayMs, now - 30 * dayMs, now - 401 * dayMs]
  )
  const housekeeping = createHousekeeping({ pool: one.app.pool, now: () => now, log: one.app.log })
  await housekeeping.expire()
  const { rows } = await one.app.pool.query(
    'select span, starts_at from application_usage where application_id = $1 order by span', [shop.applicationId]
  )
  t.same(rows, [{ span: 'day', starts_at: now - 32 * dayMs }, { span: 'hour', starts_at: now - 30 * dayMs }])
  for (let i = 0; i < 3; i++) await housekeeping.countAgain(null)
  await housekeeping.measure()
  const { rows: measured } = await one.app.pool.query(
    'select publishes, documents, bytes_stored > 5 as stores from application_usage where application_id = $1 and ' +
      "span = 'hour' and starts_at = $2",
    [quiet.applicationId, now - now % 3_600_000]
  )
  t.same(measured, [{ publishes: 0, documents: 1, stores: true }])
})
