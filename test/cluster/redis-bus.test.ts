import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import t from 'tap'
import { createNode } from '../../src/cluster/node.ts'
import { RedisBus } from '../../src/cluster/redis-bus.ts'
import { createMetrics } from '../../src/foundation/observability/metrics.ts'
import { createRedisNamespace } from '../../src/foundation/redis-namespace.ts'
import { startRedis } from '../support/redis.ts'
import type { Teardown } from '../support/teardown.ts'
import { until } from '../support/waiting.ts'

/* The contract of the bus, with a Redis that dies and comes back. */

const silent = { info: () => {}, warn: () => {} }
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)

const namespace = createRedisNamespace('test', '')
const redis = await startRedis(t)

t.test('messages between nodes', { skip: redis === undefined && 'redis-server is not installed' }, async t => {
  if (redis === undefined) return
  const metrics = createMetrics()
  const open = () => new RedisBus({ node: createNode(), url: redis.url, namespace, metrics, log: silent })
  const [a, b] = [open(), open()]
  t.teardown(() => Promise.all([a.close(), b.close()]).then(() => {}))
  await until(() => a.health().isConnected && b.health().isConnected)

  await t.test("arrive once, in order, at every listener of the channel, except on the sender's node", async t => {
    const heard: Record<string, string[]> = { first: [], second: [], own: [], elsewhere: [] }
    const listenings = [
      b.listen('c', message => heard['first']?.push(message)), b.listen('c', message => heard['second']?.push(message)),
      a.listen('c', message => heard['own']?.push(message)), b.listen('d', message => heard['elsewhere']?.push(message))
    ]
    await Promise.all(listenings.map(({ live }) => live))
    const sent = upTo(500).map(n => `${n} with spaces\nand "ünïcode"`)
    for (const message of sent) a.publish('c', message)
    await until(() => heard['second']?.length === 500)
    t.same(heard, { first: sent, second: sent, own: [], elsewhere: [] })
    for (const listening of listenings) listening.end()
  })

  await t.test('no message arrives after `end`, and another listener of the channel continues', async t => {
    const heard: string[] = []
    const gone: string[] = []
    const [one, other] = [b.listen('c', message => gone.push(message)), b.listen('c', message => heard.push(message))]
    await other.live
    one.end()
    a.publish('c', 'x')
    await until(() => heard.length === 1)
    other.end()
    const again = b.listen('c', message => heard.push(message))
    await again.live
    a.publish('c', 'y')
    await until(() => heard.length === 2)
    t.same({ heard, gone }, { heard: ['x', 'y'], gone: [] })
    again.end()
  })

  await t.test('during an outage publishing neither waits nor throws; afterwards onRestored is called', async t => {
    const heard: string[] = []
    let restored = 0
    b.onRestored(() => { restored++ })
    const listening = b.listen('c', message => heard.push(message))
    await listening.live
    await redis.kill()
    await until(() => !a.health().isConnected && !b.health().isConnected)
    a.publish('c', 'lost')
    const late = b.listen('late', message => heard.push(message))
    await redis.start()
    await until(() => restored === 1 && a.health().isConnected)
    await late.live
    a.publish('c', 'found')
    a.publish('late', 'found too')
    await until(() => heard.length === 2)
    t.same(heard, ['found', 'found too'])
    t.match(await metrics.registry.metrics(), /realtime_bus_messages_total\{outcome="dropped"\} 1/)
    for (const { end } of [listening, late]) end()
  })

  await t.test('a hanging Redis is detected, and the bus recovers with it', async t => {
    let restored = 0
    b.onRestored(() => { restored++ })
    process.kill(redis.pid, 'SIGSTOP')
    await until(() => !b.health().isConnected)
    process.kill(redis.pid, 'SIGCONT')
    await until(() => restored > 0 && b.health().isConnected && b.health().heartbeatAgeMs < 3000)
    t.pass('recovered')
  })

  await t.test('a single hanging link is detected while the other answers', async t => {
    const through = await hangingProxy(t, redis.url)
    const bus = new RedisBus({ node: createNode(), url: through.url, namespace, metrics, log: silent })
    t.teardown(() => bus.close())
    const heard: string[] = []
    await bus.listen('c', message => heard.push(message)).live
    let restored = 0
    bus.onRestored(() => { restored++ })
    through.hang('subscribe')
    a.publish('c', 'unheard')
    await until(() => restored === 1)
    a.publish('c', 'heard')
    await until(() => heard.length === 1)
    t.same(heard, ['heard'])
    t.equal(through.opened, 3, 'the other link stayed open')
  })
})

/** A proxy before Redis. It can let those connections hang that have sent a certain command. */
async function hangingProxy (t: Teardown, url: string) {
  const { hostname, port } = new URL(url)
  const links: { client: Socket, redis: Socket, sent: string }[] = []
  const server = createServer(client => {
    const link = { client, redis: connect(Number(port), hostname), sent: '' }
    links.push(link)
    client.on('data', data => { link.sent += data.toString('latin1') })
    client.pipe(link.redis).pipe(client)
    for (const socket of [client, link.redis]) {
      socket.on('error', () => {}).on('close', () => {
        client.destroy()
        link.redis.destroy()
      })
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get opened () { return links.length },
    hang (command: string) {
      for (const { client, redis, sent } of links) {
        if (!sent.toLowerCase().includes(command)) continue
        redis.unpipe(client)
        client.unpipe(redis)
        redis.resume()
      }
    }
  }
}
