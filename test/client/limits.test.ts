import { fork } from 'node:child_process'
import { once } from 'node:events'
import { extname, join } from 'node:path'
import t from 'tap'
import { build, listen } from '../support/build.ts'
import { noChromium, servePages, startChromium } from '../support/chromium.ts'
import { startCuttingProxy } from '../support/cutting-proxy.ts'
import type { ManySubscriptions } from '../support/many-subscriptions.ts'
import type { Teardown } from '../support/teardown.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

/* The numbers that one client must bear. */

t.setTimeout(600_000)

const extension = extname(import.meta.filename)
const mebibyte = 1024 * 1024

t.test('a client with 1,000 subscriptions has one socket and needs less than 2 MB for them', async t => {
  const count = 1000
  const text = 'x'.repeat(500)
  // The client must keep to the limits of production.
  const { app } = await build(t, {
    adapt: ({ delivery }) => Object.assign(delivery, { requestsPerSecond: 100, bytesPerSecond: mebibyte })
  })
  const shop = await tenant(app)
  const topics = await Promise.all(Array.from({ length: 20 }, (_, i) => shop.topic(`order.placed${i}`)))
  const proxy = await startCuttingProxy(t, await listen(app))
  const client = startClient(t, [proxy.url, shop.token(), String(count), ...topics])
  const connections = () => [...app.connections.all()]
  const atServer = () => connections().flatMap(({ subscriptions }) => [...subscriptions]).length
  /** Publishes an event for each subscription. */
  const publish = () => Promise.all(topics.map((topic, i) => shop.publish(
    topic, ...Array.from({ length: count / topics.length }, (_, j) => ({ n: i + j * topics.length, text }))
  )))
  const received = async (events: number) => {
    await until(async () => (await client('received')).least >= events, `${events} events for each subscription`)
    t.same(await client('received'), { least: events, most: events, wrong: 0, gaps: 0, errors: [] })
  }

  await client('warmUp')
  await until(() => atServer() === 0, 'the end of the first subscription')
  const before = await client('heapUsed')

  await client('subscribe')
  t.equal(connections().length, 1, 'one socket')
  t.equal(atServer(), count, 'each has its subscription at the server')
  await publish()
  await received(1)
  const heapBytes = await client('heapUsed') - before
  t.comment(`${count} subscriptions: ${(heapBytes / 1e6).toFixed(2)} MB of heap`)
  t.ok(heapBytes < 2e6, `${heapBytes} bytes of heap`)

  proxy.isRefusing = true
  proxy.cut()
  await until(() => connections().length === 0, 'the cut')
  await publish()
  proxy.isRefusing = false
  await received(2)
  t.equal(connections().length, 1, 'one socket after a cut')
  t.equal(atServer(), count, 'all subscriptions are restored')
  await publish()
  await received(3)

  await client('unsubscribe')
  await until(() => atServer() === 0, 'the end of all subscriptions')
  t.equal(connections().length, 1)
  await received(3)
  const leftBytes = await client('heapUsed') - before
  t.comment(`after their end: ${(leftBytes / 1e6).toFixed(2)} MB`)
})

/** Starts a client in its own process. Returns a function that calls its methods, one at a time. */
function startClient (t: Teardown, args: string[]) {
  // The loader of tap, which NODE_OPTIONS names, would add to the heap.
  const { NODE_OPTIONS: _, ...env } = process.env
  const child = fork(join(import.meta.dirname, `../support/many-subscriptions${extension}`), args, {
    execArgv: [...extension === '.ts' ? ['--import', import.meta.resolve('tsx')] : [], '--expose-gc'], env
  })
  const gone = once(child, 'exit')
  t.teardown(async () => {
    child.kill()
    await gone
  })
  return async <Name extends keyof ManySubscriptions>(
    method: Name
  ): Promise<Awaited<ReturnType<ManySubscriptions[Name]>>> => {
    const answered = once(child, 'message')
    child.send(method)
    const [{ value, error }] = await Promise.race([
      answered, gone.then(([code]) => { throw new Error(`the client ended with ${code}`) })
    ])
    if (error !== undefined) throw new Error(error)
    return value
  }
}

t.test('a page handles 20,000 events, each once, in order', { skip: noChromium }, async t => {
  const count = 20_000
  const burst = 5000
  const pages = await servePages(t)
  const { app } = await build(t, { variables: { CORS_ORIGINS: pages.origin } })
  const shop = await tenant(app)
  const topic = await shop.topic('order.placed')
  const open = await startChromium(t)
  const tab = await open(await pages.add({
    source: `
      import { RealtimeClient } from '@realtime-platform/client'
      globalThis.start = async options => {
        globalThis.wrong = []
        globalThis.last = 0
        globalThis.client = new RealtimeClient(options)
        client.on('error', error => wrong.push(error.code))
        await client.topic('${topic}').subscribe(({ offset, payload }) => {
          if (offset !== last + 1 || payload.n !== last) wrong.push([last, offset, payload.n])
          last = offset
        }, { onGap: gap => wrong.push(gap) }).ready
      }
    `
  }))
  await tab.run(`start(${JSON.stringify({ url: await listen(app), token: shop.token() })})`)
  for (let first = 0; first < count; first += burst) {
    await shop.publish(topic, ...Array.from({ length: burst }, (_, i) => ({ n: first + i, status: 'active' })))
  }
  await until(async () => await tab.run('last') === count, `${count} events`)
  t.same(await tab.run('wrong.slice(0, 10)'), [])
})
