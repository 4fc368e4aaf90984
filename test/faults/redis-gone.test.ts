import t from 'tap'
import { createDatabase } from '../support/database.ts'
import { startNodeProcesses } from '../support/node-processes.ts'
import { Publisher } from '../support/publisher.ts'
import { startRedis } from '../support/redis.ts'
import { openShop } from '../support/shop.ts'
import { arrived, Subscriber } from '../support/subscriber.ts'
import { until } from '../support/waiting.ts'

/* Redis is killed and restarted repeatedly under load. REDIS_KILLS and REDIS_SUBSCRIBERS set the length. */

t.setTimeout(600_000)

const kills = Number(process.env['REDIS_KILLS'] ?? 2)
const subscribersCount = Number(process.env['REDIS_SUBSCRIBERS'] ?? 20)
/** Latency limit of an event with Redis: far below the second after which a node polls the log. */
const promptMs = 250
const redis = await startRedis(t)

t.test(
  `after Redis dies ${kills} times under load there is no gap, no duplicate, and latency recovers`,
  { skip: redis === undefined && 'redis-server is not installed' },
  async t => {
    if (redis === undefined) return
    const nodes = await startNodeProcesses(t, 2, { databaseUrl: await createDatabase(t), redisUrl: redis.url })
    const shop = await openShop(nodes[0].url)
    const subscribers = await Promise.all(Array.from({ length: subscribersCount }, (_, i) =>
      new Subscriber(shop, () => (nodes[i % 2] as typeof nodes[0]).url, i % 4 < 2 ? 'ws' : 'socket.io').start()))
    t.teardown(() => {
      for (const subscriber of subscribers) { subscriber.stop() }
    })
    let turn = 0
    const publisher = new Publisher(shop, () => (nodes[turn++ % 2] as typeof nodes[0]).url).start({
      atOnce: 4, pauseMs: 10
    })
    const more = async (count: number) => {
      const wanted = publisher.acknowledged + count
      await until(() => publisher.acknowledged >= wanted, `${count} writes`)
    }
    /** Returns the highest latency among the next events that arrive last everywhere. */
    const latency = async () => {
      await more(20)
      return Math.max(...subscribers.map(({ latencyMs }) => latencyMs))
    }
    const quietBefore = await latency()
    const back: number[] = []
    for (let n = 0; n < kills; n++) {
      await more(50)
      await redis.kill()
      await more(100)
      await redis.start()
      const startedAt = performance.now()
      await until(async () => await latency() < promptMs, 'events to be prompt again')
      back.push(Math.round(performance.now() - startedAt))
    }
    await publisher.stop()
    t.equal(publisher.broken + publisher.refused, 0, `none of ${publisher.acknowledged} writes failed`)
    await arrived(t, subscribers, Math.max(...publisher.offsets))
    t.ok(subscribers.every(({ connections }) => connections === 1), 'no connection was closed')
    t.comment(
      `${publisher.acknowledged} events to ${subscribersCount} subscribers; latency ${quietBefore} ms before, ` +
        `prompt again ${
        back.join(', ')
      } ms after Redis was started`
    )
  }
)
