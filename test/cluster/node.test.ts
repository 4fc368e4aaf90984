import t from 'tap'
import { build } from '../support/build.ts'
import { createDatabase } from '../support/database.ts'
import { readableLog } from '../support/log-lines.ts'
import { nodeLinks } from '../support/node-links.ts'
import { acquainted, startNodes } from '../support/nodes.ts'

/* A process has one identity, wherever it appears. */

await t.test('/health, metrics, traces and the log have the same id of a process', async t => {
  const log = readableLog()
  const databaseUrl = await createDatabase(t)
  const [{ app }, { app: other }] = await Promise.all([
    build(t, { databaseUrl, logger: log.logger }), build(t, { databaseUrl })
  ])
  const { id } = app.node
  t.match(id, /^node_/)
  t.not(id, other.node.id, 'another process has another id')
  t.match((await app.inject('/health')).json(), { node: id })
  t.match((await app.inject('/api/metrics/prometheus')).body, `realtime_node_info{node_id="${id}"} 1`)
  const { rows } = await app.pool.query<{ id: string }>('select id from trace_nodes')
  t.same(new Set(rows.map(row => row.id)), new Set([id, other.node.id]))
  app.log.info({}, 'a line')
  t.match(log.lines().find(({ msg }) => msg === 'a line'), { nodeId: id })
})

const links = await nodeLinks(t)
for (const link of links) {
  await t.test(`nodes find each other by these ids, over ${link.name}`, async t => {
    const nodes = await startNodes(t, link, 2)
    await acquainted(nodes)
    const [one, two] = nodes
    t.same(one.app.cluster.peers.nodes, [two.app.node.id])
    t.same(two.app.cluster.peers.nodes, [one.app.node.id])
  })
}
