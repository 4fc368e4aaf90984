import { io } from 'socket.io-client'
import t from 'tap'
import { startBalancer } from '../support/balancer.ts'
import { createDatabase } from '../support/database.ts'
import { startNodeProcesses } from '../support/node-processes.ts'
import { Publisher } from '../support/publisher.ts'
import { follow } from '../support/recipe.ts'
import { startRedis } from '../support/redis.ts'
import { openShop } from '../support/shop.ts'
import { arrived, Subscriber } from '../support/subscriber.ts'
import type { Teardown } from '../support/teardown.ts'
import { until } from '../support/waiting.ts'

/*
 * Two nodes behind a balancer are replaced one after the other under load. Clients notice a reconnect and nothing else.
 */

t.setTimeout(600_000)

const rounds = Number(process.env['ROLLING_ROUNDS'] ?? 1)
const redis = await startRedis(t)

t.test(
  'a rolling restart of two nodes under load',
  { skip: redis === undefined && 'redis-server is not installed' },
  async t => {
    if (redis === undefined) return
    const nodes = await startNodeProcesses(t, 2, { databaseUrl: await createDatabase(t), redisUrl: redis.url })
    const balancer = await startBalancer(t, nodes.map(({ url }) => Number(new URL(url).port)))
    const pick = () => balancer
    const shop = await openShop(nodes[0].url)
    const subscribers = await Promise.all(
      Array.from({ length: 40 }, (_, i) => new Subscriber(shop, pick, i % 2 === 0 ? 'ws' : 'socket.io').start())
    )
    t.teardown(() => {
      for (const subscriber of subscribers) subscriber.stop()
    })
    const stock = await startStockClients(t, nodes.map(({ url }) => Number(new URL(url).port)), balancer, shop.token)
    const publisher = new Publisher(shop, pick).start({ atOnce: 4, pauseMs: 5 })
    for (let round = 0; round < rounds; round++) {
      for (const node of nodes) {
        const before = publisher.acknowledged
        await until(() => publisher.acknowledged >= before + 100, 'writes')
        const stoppingAt = performance.now()
        node.server.kill('SIGTERM')
        t.same(await node.server.exit, { code: 0, signal: null })
        t.comment(`it stopped after ${Math.round(performance.now() - stoppingAt)} ms`)
        await node.start()
      }
    }
    await publisher.stop()
    t.equal(
      new Set(publisher.offsets).size, publisher.acknowledged, 'each write was acknowledged with its own offset'
    )
    const last = Math.max(...publisher.offsets)
    await arrived(t, subscribers, last)
    for (const { name, socket, connects, seen } of stock) {
      await until(() => seen.offsets.at(-1) === last, () => `${name} is at ${seen.offsets.at(-1)} of ${last}`, 60_000)
      const first = seen.offsets[0] as number
      t.same(
        seen.offsets,
        Array.from({ length: last - first + 1 }, (_, i) => first + i),
        `an unmodified client over ${name} has every offset once`
      )
      t.equal(seen.reloads, 0)
      t.ok(socket.connected && connects() > 1, `${name} came back by itself`)
    }
    t.same(
      new Set(subscribers.flatMap(({ closings }) => closings)), new Set(['1012 SHUTTING_DOWN']),
      'sockets were asked to reconnect'
    )
    t.equal(publisher.refused, 0, 'no write was refused')
    t.comment(
      `${publisher.acknowledged} events, ${publisher.broken} tries whose connection ended, the slowest write ${
        Math.round(publisher.slowestMs)
      } ms`
    )
    t.ok(subscribers.every(({ connections }) => connections > 1))
  }
)

/**
 * Starts unmodified clients that follow docs/PROTOCOL.md. Long polling needs a sticky balancer: each polling client has
 * one.
 */
async function startStockClients (t: Teardown, ports: number[], balancer: string, token: string) {
  const kinds = [
    ...Array.from({ length: 6 }, () => ({ name: 'WebSocket', options: { transports: ['websocket'] } })),
    ...Array.from({ length: 2 }, () => ({ name: 'long polling', options: { transports: ['polling'] } })),
    ...Array.from({ length: 2 }, () => ({ name: 'the default transports', options: {} }))
  ]
  return await Promise.all(kinds.map(async ({ name, options }) => {
    const url = name === 'WebSocket' ? balancer : await startBalancer(t, ports, { isSticky: true })
    const socket = io(url, { auth: { token }, forceNew: true, ...options })
    t.teardown(() => {
      socket.disconnect()
    })
    let count = 0
    socket.on('connect', () => {
      count++
    })
    const seen = follow(socket)
    await until(() => socket.connected, `${name} to connect`)
    return { name, socket, seen, connects: () => count }
  }))
}
