import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../db/embedded-postgres.ts'
import type { RealtimeEvent } from '../../schemas/events.ts'
import { startNodeProcesses } from '../support/node-processes.ts'
import { Publisher } from '../support/publisher.ts'
import { startRedis } from '../support/redis.ts'
import { call, made } from '../support/rest.ts'
import { dataFolder, isAlive } from '../support/server-process.ts'
import { openShop } from '../support/shop.ts'
import { arrived, Subscriber } from '../support/subscriber.ts'
import { until } from '../support/waiting.ts'

/*
 * The PostgreSQL of two nodes is killed and restarted under load. POSTGRES_KILLS and POSTGRES_SUBSCRIBERS set the
 * length.
 */

t.setTimeout(600_000)

const kills = Number(process.env['POSTGRES_KILLS'] ?? 2)
const subscribersCount = Number(process.env['POSTGRES_SUBSCRIBERS'] ?? 20)
const redis = await startRedis(t)

t.test(
  `when PostgreSQL is killed ${kills} times, two nodes answer 503, lose no acknowledged event, and recover`,
  { skip: redis === undefined && 'redis-server is not installed' },
  async t => {
    if (redis === undefined) return
    const dataDir = await dataFolder(t)
    const launch = (port?: number) =>
      startEmbeddedPostgres({ dataDir, databases: ['realtime'], log: () => {}, ...(port !== undefined && { port }) })
    let postgres: EmbeddedPostgres = await launch()
    t.teardown(() => postgres.stop())
    const nodes = await startNodeProcesses(t, 2, {
      databaseUrl: postgres.connectionString('realtime'), redisUrl: redis.url
    })
    const shop = await openShop(nodes[0].url)
    const at = (n: number) => (nodes[n % 2] as typeof nodes[0]).url
    const subscribers = await Promise.all(Array.from({ length: subscribersCount }, (_, i) =>
      new Subscriber(shop, () =>
        at(i), i % 4 < 2 ? 'ws' : 'socket.io').start()))
    t.teardown(() => {
      for (const subscriber of subscribers) { subscriber.stop() }
    })
    let turn = 0
    const publisher = new Publisher(shop, () => at(turn++)).start({ atOnce: 8 })
    const more = async (count: number) => {
      const wanted = publisher.acknowledged + count
      await until(() => publisher.acknowledged >= wanted, `${count} writes`)
    }
    const resumed: number[] = []
    for (let n = 0; n < kills; n++) {
      await more(100)
      const pid = Number.parseInt(await readFile(join(dataDir, 'postgres/postmaster.pid'), 'utf8'))
      process.kill(pid, 'SIGKILL')
      await until(() => !isAlive(pid), 'its end')
      const before = publisher.refused
      await until(() => publisher.refused > before, 'writes to be refused with 503')
      const { port } = postgres
      await postgres.stop()
      postgres = await launch(port)
      const startedAt = performance.now()
      await more(1)
      resumed.push(Math.round(performance.now() - startedAt))
    }
    await publisher.stop()
    t.ok(nodes.every(({ server }) => server.isRunning), 'no node has ended')
    t.ok(publisher.refused > 0)
    t.equal(publisher.broken, 0, `${publisher.refused} tries were refused with 503, none otherwise`)
    const log: RealtimeEvent[] = []
    for (let page: RealtimeEvent[] | undefined; page === undefined || page.length === 1000;) {
      page = await made<RealtimeEvent[]>(
        call('GET', `${at(0)}/api/topics/${shop.topic}/events?limit=1000&after=${log.length}`, { token: shop.token })
      )
      log.push(...page)
    }
    t.same(log.map(({ offset }) => offset), Array.from({ length: log.length }, (_, i) => i + 1), 'the log has no gap')
    t.same(
      publisher.offsets.filter(offset => offset > log.length),
      [],
      `each of ${publisher.acknowledged} acknowledged events is stored`
    )
    t.equal(new Set(log.map(({ payload }) => (payload as { n: number }).n)).size, log.length, 'no duplicates')
    await arrived(t, subscribers, log.length)
    t.comment(
      `${publisher.acknowledged} events; writing again ${
        resumed.join(', ')
      } ms after PostgreSQL was started; the slowest write took ${Math.round(publisher.slowestMs)} ms`
    )
  }
)
