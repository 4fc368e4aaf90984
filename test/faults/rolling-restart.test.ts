import t from 'tap'
import { createDatabase } from '../build.ts'
import { startRedis } from '../cluster/redis.ts'
import { arrived, openShop, Publisher, startBalancer, startNodeProcesses, Subscriber } from './nodes.ts'

/* Two nodes behind a balancer are replaced one after the other, under load: nobody who uses them notices more than a reconnect. */

t.setTimeout(180_000)

const rounds = Number(process.env['ROLLING_ROUNDS'] ?? 1)
const redis = await startRedis(t)

t.test('a rolling restart of two nodes under load', { skip: redis === undefined && 'redis-server is not installed' }, async t => {
  if (redis === undefined) return
  const nodes = await startNodeProcesses(t, 2, { databaseUrl: await createDatabase(t), redisUrl: redis.url })
  const balancer = await startBalancer(t, nodes.map(({ url }) => Number(new URL(url).port)))
  const pick = () => balancer
  const shop = await openShop(nodes[0].url)
  const subscribers = await Promise.all(Array.from({ length: 40 }, (_, i) => new Subscriber(shop, pick, i % 2 === 0 ? 'ws' : 'socket.io').start()))
  t.teardown(() => { for (const subscriber of subscribers) subscriber.stop() })
  const publisher = new Publisher(shop, pick).start({ atOnce: 4, pauseMs: 5 })
  for (let round = 0; round < rounds; round++) {
    for (const node of nodes) {
      const before = publisher.acknowledged
      while (publisher.acknowledged < before + 100) await new Promise(resolve => setTimeout(resolve, 10))
      const stoppingAt = performance.now()
      node.server.kill('SIGTERM')
      t.same(await node.server.exit, { code: 0, signal: null })
      t.comment(`it stopped after ${Math.round(performance.now() - stoppingAt)} ms`)
      await node.start()
    }
  }
  await publisher.stop()
  t.equal(new Set(publisher.offsets).size, publisher.acknowledged, 'each write was acknowledged with an offset of its own')
  await arrived(t, subscribers, Math.max(...publisher.offsets))
  t.same(new Set(subscribers.flatMap(({ closings }) => closings)), new Set(['1012 SHUTTING_DOWN']), 'sockets were told to come back')
  t.equal(publisher.refused, 0, 'nobody was refused')
  t.comment(`${publisher.acknowledged} events, ${publisher.broken} tries whose connection ended, the slowest write ${Math.round(publisher.slowestMs)} ms`)
  t.ok(subscribers.every(({ connections }) => connections > 1))
})
