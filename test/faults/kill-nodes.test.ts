import t from 'tap'
import { createDatabase } from '../support/database.ts'
import { startNodeProcesses } from '../support/node-processes.ts'
import { Publisher } from '../support/publisher.ts'
import { startRedis } from '../support/redis.ts'
import { openShop } from '../support/shop.ts'
import { arrived, Subscriber } from '../support/subscriber.ts'
import { until } from '../support/waiting.ts'

/* Two nodes are killed in turn under load. The long form: KILL_SUBSCRIBERS=200 KILL_EVENTS=20000 KILLS=10. */

t.setTimeout(900_000)

const subscribersCount = Number(process.env['KILL_SUBSCRIBERS'] ?? 30)
const events = Number(process.env['KILL_EVENTS'] ?? 2000)
const kills = Number(process.env['KILLS'] ?? 2)
const redis = await startRedis(t)

t.test(
  `${subscribersCount} subscribers have each of ${events} events once, in order, after ${kills} kills of two nodes`,
  { skip: redis === undefined && 'redis-server is not installed' },
  async t => {
    if (redis === undefined) return
    const nodes = await startNodeProcesses(t, 2, { databaseUrl: await createDatabase(t), redisUrl: redis.url })
    const shop = await openShop(nodes[0].url)
    let turn = 0
    /** The next running node in turn. */
    const pick = () => {
      const running = nodes.filter(({ isUp }) => isUp)
      return (running[turn++ % running.length] ?? nodes[0]).url
    }
    const subscribers = await Promise.all(Array.from({ length: subscribersCount }, (_, i) =>
      new Subscriber(shop, pick, i % 10 === 0 ? 'socket.io' : 'ws').start()))
    t.teardown(() => {
      for (const subscriber of subscribers) { subscriber.stop() }
    })
    const begin = performance.now()
    const publisher = new Publisher(shop, pick).start({ atOnce: 16, most: events })
    for (let n = 0; n < kills; n++) {
      const wanted = events * (n + 1) / (kills + 1)
      await until(() => publisher.acknowledged >= wanted, 'writes', 600_000)
      const node = nodes[n % 2] as typeof nodes[0]
      await node.kill()
      await node.start()
    }
    await publisher.done()
    t.equal(publisher.acknowledged, events)
    t.same(
      publisher.offsets.sort((a, b) => a - b), Array.from({ length: events }, (_, i) => i + 1),
      'each write has its own offset, including retried ones'
    )
    await arrived(t, subscribers, events, 120_000)
    t.comment(
      `${events} events to ${subscribersCount} subscribers and ${kills} kills in ${
        Math.round((performance.now() - begin) / 100) / 10
      } s: ${publisher.broken} tries broke off, ${publisher.refused} were refused, the slowest write took ${
        Math.round(publisher.slowestMs)
      } ms, there were ${subscribers.reduce((sum, { connections }) => sum + connections - 1, 0)} reconnects`
    )
  }
)
