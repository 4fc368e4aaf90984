import t from 'tap'
import type { Cluster } from '../../src/cluster/cluster.ts'
import { localCluster } from '../../src/cluster/local-cluster.ts'
import { createNode } from '../../src/cluster/node.ts'
import { Peers } from '../../src/cluster/peers.ts'
import { RedisBus } from '../../src/cluster/redis-bus.ts'
import { SharedRecords } from '../../src/cluster/shared-records.ts'
import { createEventRelay, localRelay, type EventRelay } from '../../src/delivery/event-relay.ts'
import { createMetrics } from '../../src/foundation/observability/metrics.ts'
import { createRedisNamespace } from '../../src/foundation/redis-namespace.ts'
import { startRedis } from '../support/redis.ts'
import type { Teardown } from '../support/teardown.ts'

/* A node without others sees the same from both implementations of a cluster: the local one, and the one over Redis. */

const silent = { info: () => {}, warn: () => {} }
const scope = { applicationId: 'app_a', environment: 'production' } as const
const redis = await startRedis(t)

async function overRedis (t: Teardown, url: string): Promise<Cluster & { relay: EventRelay }> {
  const metrics = createMetrics()
  const node = createNode()
  const bus = new RedisBus({ node, url, namespace: createRedisNamespace('conformance', ''), metrics, log: silent })
  const peers = new Peers({
    node, bus, settings: { heartbeatMs: 50, leaseMs: 5000, answerMs: 5000, moveMs: 0 }, metrics, log: silent
  })
  const records = new SharedRecords(peers)
  t.teardown(async () => {
    peers.leave()
    await bus.close()
  })
  await peers.start()
  return { bus, peers, records, relay: createEventRelay({ bus, records, log: silent }) }
}

const implementations = {
  local: async () => ({ ...localCluster, relay: localRelay }),
  ...(redis !== undefined && { Redis: (t: Teardown) => overRedis(t, redis.url) })
}

for (const [name, create] of Object.entries(implementations)) {
  await t.test(`a single node with the ${name} cluster`, async t => {
    const { bus, peers, records, relay } = await create(t)
    const unexpected: string[] = []
    const note = (what: string) => () => {
      unexpected.push(what)
      return undefined
    }
    const listening = bus.listen('channel', note('bus'))
    bus.onRestored(note('restored'))
    peers.on('kind', note('peers'))
    records.observe('', { changed: note('changed'), removed: note('removed'), left: note('left') })
    relay.onRestored(note('relay restored'))
    const following = relay.follow(scope, 'order.placed', note('relay'))
    const beginnings = relay.followBeginnings(scope, note('beginnings'))
    await Promise.all([listening.live, following?.live, beginnings?.live])

    bus.publish('channel', 'message')
    peers.tellAll('kind', 'body')
    records.set('key', 'value')
    records.delete('key')
    relay.send([])
    await records.spread()

    t.same({ nodes: peers.nodes, count: peers.count, isThere: peers.has('node_x') }, {
      nodes: [], count: 0, isThere: false
    }, 'there are no other nodes')
    t.same(await peers.ask(['node_x'], 'kind', 'body'), { answers: new Map(), missing: 0 }, 'and none that is missing')
    t.same(records.incomplete, [])
    t.ok(bus.health().isConnected)
    for (const one of [listening, following, beginnings]) one?.end()
    t.same(unexpected, [], 'the node receives nothing of its own')
  })
}
