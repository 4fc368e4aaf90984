import t from 'tap'
import type { Bus } from '../../src/cluster/bus.ts'
import type { Cluster } from '../../src/cluster/cluster.ts'
import { IpcBus } from '../../src/cluster/ipc/ipc-bus.ts'
import { IpcCounter } from '../../src/cluster/ipc/ipc-counter.ts'
import { localCluster } from '../../src/cluster/local-cluster.ts'
import { createNode, type Node } from '../../src/cluster/node.ts'
import { Peers } from '../../src/cluster/peers.ts'
import { RedisBus } from '../../src/cluster/redis-bus.ts'
import { SharedRecords } from '../../src/cluster/shared-records.ts'
import { createEventRelay, localRelay, type EventRelay } from '../../src/delivery/event-relay.ts'
import { RedisCounter } from '../../src/foundation/limits/redis-counter.ts'
import type { SharedCounter } from '../../src/foundation/limits/shared-counter.ts'
import { createMetrics, type Metrics } from '../../src/foundation/observability/metrics.ts'
import { createRedisNamespace } from '../../src/foundation/redis-namespace.ts'
import { startExchange } from '../support/exchange.ts'
import { startRedis } from '../support/redis.ts'
import type { Teardown } from '../support/teardown.ts'
import { eventually, until } from '../support/waiting.ts'

/*
 * The contract of a cluster, which has three implementations: memory (a single process), the bus between workers, and
 * Redis. A node without others sees the same from all three. Several nodes see the same from the two that have others.
 */

const silent = { info: () => {}, warn: () => {} }
const scope = { applicationId: 'app_a', environment: 'production' } as const
const settings = { heartbeatMs: 50, leaseMs: 5000, answerMs: 5000, moveMs: 0 }
const redis = await startRedis(t)

interface Member extends Cluster {
  bus: Bus
  peers: Peers
  records: SharedRecords
  relay: EventRelay
  counter: SharedCounter
  leave (): Promise<void>
}
/** Opens a node of one cluster, or another node of it. */
type Open = (t: Teardown) => Promise<Member>

async function member (t: Teardown, node: Node, bus: Bus, counter: SharedCounter, metrics: Metrics): Promise<Member> {
  const peers = new Peers({ node, bus, settings, metrics, log: silent })
  const records = new SharedRecords(peers)
  const leave = async () => {
    peers.leave()
    counter.close()
    await bus.close()
  }
  t.teardown(leave)
  await peers.start()
  await records.complete(settings.answerMs)
  return { bus, peers, records, relay: createEventRelay({ bus, records, log: silent }), counter, leave }
}

const withOthers: Record<string, (t: Teardown) => Promise<Open>> = {
  workers: async t => {
    const exchange = await startExchange(t)
    return async t => {
      const { parent } = await exchange.connect()
      const metrics = createMetrics()
      t.teardown(() => parent.close())
      return await member(t, createNode(), new IpcBus({ parent, metrics }), new IpcCounter(parent), metrics)
    }
  },
  ...(redis !== undefined && {
    Redis: async () => {
      const namespace = createRedisNamespace(`conformance-${Math.random()}`, '')
      return async (t: Teardown) => {
        const metrics = createMetrics()
        const node = createNode()
        const bus = new RedisBus({ node, url: redis.url, namespace, metrics, log: silent })
        return await member(t, node, bus, new RedisCounter({ url: redis.url, namespace }), metrics)
      }
    }
  })
}

const alone: Record<string, (t: Teardown) => Promise<Cluster & { relay: EventRelay }>> = {
  memory: async () => ({ ...localCluster, relay: localRelay }),
  ...Object.fromEntries(
    Object.entries(withOthers).map(([name, create]) => [name, async (t: Teardown) => (await create(t))(t)])
  )
}

for (const [name, create] of Object.entries(alone)) {
  await t.test(`a single node with the cluster of ${name}`, async t => {
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

for (const [name, create] of Object.entries(withOthers)) {
  await t.test(`three nodes with the cluster of ${name}`, async t => {
    const open = await create(t)
    const [a, b, c] = [await open(t), await open(t), await open(t)]
    await until(() => [a, b, c].every(({ peers, records }) => peers.count === 2 && records.incomplete.length === 0))

    await t.test('messages arrive once, in order, at each listener of the channel, except on the sender', async t => {
      const heard: Record<string, string[]> = { first: [], second: [], third: [], own: [], elsewhere: [] }
      const hear = (name: string) => (message: string) => { heard[name]?.push(message) }
      const listenings = [
        b.bus.listen('c', hear('first')), b.bus.listen('c', hear('second')), c.bus.listen('c', hear('third')),
        a.bus.listen('c', hear('own')), b.bus.listen('d', hear('elsewhere'))
      ]
      await Promise.all(listenings.map(({ live }) => live))
      t.equal(await a.bus.reach('c'), 3)
      const sent = Array.from({ length: 500 }, (_, i) => `${i} with spaces\nand "ünïcode" ${'x'.repeat(i * 10)}`)
      for (const message of sent) a.bus.publish('c', message)
      await until(() => heard['second']?.length === 500 && heard['third']?.length === 500)
      t.same(heard, { first: sent, second: sent, third: sent, own: [], elsewhere: [] })
      for (const listening of listenings) listening.end()
      await eventually(async () => await a.bus.reach('c') === 0)
    })

    await t.test('a message of a megabyte arrives whole', async t => {
      const large = 'é'.repeat(1024 ** 2)
      const arrived = new Promise<string>(resolve => {
        const listening = b.bus.listen('large', resolve)
        void listening.live.then(() => a.bus.publish('large', large))
      })
      t.ok(await arrived === large)
    })

    await t.test('no message arrives after `end`, and other listeners of the channel continue', async t => {
      const [gone, heard]: [string[], string[]] = [[], []]
      const [one, other] = [b.bus.listen('c', m => gone.push(m)), b.bus.listen('c', m => heard.push(m))]
      await other.live
      one.end()
      a.bus.publish('c', 'x')
      await until(() => heard.length === 1)
      other.end()
      const again = b.bus.listen('c', m => heard.push(m))
      await again.live
      a.bus.publish('c', 'y')
      await until(() => heard.length === 2)
      again.end()
      t.same({ heard, gone }, { heard: ['x', 'y'], gone: [] })
    })

    await t.test('nodes answer questions, and invalidations reach all', async t => {
      for (const [i, { peers }] of [b, c].entries()) peers.on('question', (_from, body) => `${body} ${i}`)
      const { answers, missing } = await a.peers.ask(a.peers.nodes, 'question', 'n')
      t.same([...answers.values()].sort(), ['n 0', 'n 1'])
      t.equal(missing, 0)
      const told: string[] = []
      for (const { peers } of [b, c]) peers.on('news', (_from, body) => { told.push(body); return undefined })
      a.peers.tellAll('news', 'x')
      await until(() => told.length === 2)
    })

    await t.test('records are known everywhere after `spread`, also to a node that joins later', async t => {
      const seen: string[] = []
      b.records.observe('p/', { changed: (_node, key, value) => { seen.push(`${key}=${value}`) } })
      for (let n = 0; n < 600; n++) a.records.set(`p/${n}`, String(n))
      await a.records.spread()
      t.equal(seen.length, 600)
      const late = await open(t)
      const known: string[] = []
      late.records.observe('p/', { changed: (_node, key) => { known.push(key) } })
      const gone = new Promise<number>(resolve => {
        b.records.observe('p/', { left: (_node, records) => resolve(records.size) })
      })
      late.records.set('p/late', '')
      await late.records.spread()
      t.ok(seen.includes('p/late='))
      await late.leave()
      t.equal(await gone, 1, 'the records of a node leave with it')
      await until(() => a.peers.count === 2 && b.peers.count === 2)
    })

    await t.test('counts are shared, and end with their window', async t => {
      let counts: (number | undefined)[] = []
      let round = 0
      // Redis may be late once on a busy machine; each node then counts for itself, so a fresh key is tried.
      await eventually(async () => {
        const key = `key with spaces ${round++}`
        counts = []
        for (const { counter } of [a, b, c, a]) counts.push((await counter.count(key, 60_000))?.count)
        await b.counter.uncount(key)
        counts.push((await a.counter.count(key, 60_000))?.count)
        return !counts.includes(undefined)
      })
      t.same(counts, [1, 2, 3, 4, 4])
      await eventually(async () => (await a.counter.count('short', 1))?.count === 1)
      await eventually(async () => (await b.counter.count('short', 1))?.count === 1)
    })
  })
}
