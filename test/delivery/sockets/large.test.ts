import t from 'tap'
import { build, listen, unpinged } from '../../support/build.ts'
import { connectSocketIo, connectWs, transports, type Client } from '../../support/clients.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

/* Large batches for many sockets. */

const mib = 1024 * 1024
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)
const unbounded = { ...unpinged, socketBufferBytesMax: 1024 * mib, bufferedBytesMax: 100_000 * mib }
const none = { subscriptionId: 'sub_none' }
/** The answer arrives between the events, possibly later than the client's timeout. */
const ask = (client: Client) => { client.request('unsubscribe', none).catch(() => {}) }
/** 528 events of all lengths: shared ones, copied ones, and both next to each other. */
const batch = (n: number) => [
  ...upTo(24).map(i => `${n}/${i} `.padEnd(250_000, 'x')),
  ...upTo(4).flatMap(i => [`${n}/${i} `.padEnd(120_000, 'ü'), i]),
  ...upTo(496).map(i => `${n}/${i} `.padEnd(i * 3, 'z'))
]

await t.test('a large batch is in memory once, for any number of waiting sockets', async t => {
  const { app } = await build(t, { adapt: config => { Object.assign(config.delivery, unbounded) } })
  const url = await listen(app)
  const shop = await tenant(app)
  const topic = await shop.topic('large.events')
  const clients = await Promise.all(
    upTo(20).map(n => (n % 2 === 0 ? connectWs : connectSocketIo)(url, { token: shop.token() }))
  )
  for (const client of clients) {
    await client.request('subscribe', { topic })
    client.pause()
  }
  const waiting = () => [...app.connections.all()].reduce((sum, { transport }) => sum + transport.bufferedBytes, 0)
  const sent: unknown[] = []
  const publish = async (...payloads: unknown[]) => {
    const before = waiting()
    await shop.publish(topic, ...payloads)
    sent.push(...payloads)
    await until(() => waiting() > before)
  }
  const before = process.memoryUsage().arrayBuffers
  await publish(...batch(1))
  await publish('small')
  // Engine.IO buffers its answer, and everything after it.
  for (const client of clients) ask(client)
  const mark = { channel: 'room', code: 'NOT_A_MEMBER', message: 'sent between events' } as const
  for (const connection of app.connections.all()) connection.transport.sendMessage('resync', mark)
  await publish('small', 'again')
  await publish(...batch(2))
  await publish('last')
  const bytes = process.memoryUsage().arrayBuffers - before
  t.ok(bytes < 140 * mib, `${Math.round(bytes / mib)} MiB for ${clients.length} times 14 MiB`)
  const cut = clients.splice(0, 2)
  const payloadsOf = async (client: typeof clients[number]) =>
    (await client.received(sent.length, 120_000)).splice(0).map(event => event.payload)
  for (const client of cut) {
    client.resume()
    await client.received(10, 120_000)
    client.cut()
  }
  // One after another: the last client has waited longest.
  for (const client of clients) {
    client.resume()
    const found = await payloadsOf(client)
    t.equal(found.findIndex((payload, i) => payload !== sent[i]), -1, `${client.kind}: every event, whole and in order`)
    t.strictSame(client.messages.filter(({ name }) => name === 'resync').map(({ body }) => body), [mark])
    t.match(await client.request('unsubscribe', none), { code: 'SUBSCRIPTION_NOT_FOUND' }, 'the link is intact')
  }
  await until(() => app.connections.size === clients.length)
  await until(() => waiting() === 0)
  for (const client of clients) client.close()
})

await t.test('control frames and answers stay between the frames of large runs', async t => {
  const { app } = await build(t, { adapt: config => { Object.assign(config.delivery, unbounded) } })
  const url = await listen(app)
  for (const { name, connect } of transports) {
    const shop = await tenant(app)
    const topic = await shop.topic('pinged.events')
    const client = await connect(url, { token: shop.token() })
    await client.request('subscribe', { topic })
    client.pause()
    for (const n of [1, 2, 3]) {
      await shop.publish(topic, ...batch(n))
      client.webSocket().ping()
      ask(client)
      await shop.publish(topic, n)
      client.webSocket().ping()
    }
    client.resume()
    const sent = [1, 2, 3].flatMap(n => [...batch(n), n])
    const found = (await client.received(sent.length, 120_000)).map(event => event.payload)
    t.equal(found.findIndex((payload, i) => payload !== sent[i]), -1, name)
    t.match(await client.request('unsubscribe', none), { code: 'SUBSCRIPTION_NOT_FOUND' })
    client.close()
  }
})
