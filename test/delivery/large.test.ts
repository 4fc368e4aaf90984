import t from 'tap'
import { build, listen } from '../build.ts'
import { connectSocketIo, connectWs } from '../clients.ts'
import { tenant } from '../tenant.ts'

/* What is large and goes to many. */

const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)
const until = async (isDone: () => boolean | Promise<boolean>) => { while (!await isDone()) await new Promise(resolve => setTimeout(resolve, 10)) }

await t.test('a large batch that many wait for is there once, and is no reason to cut them off', async t => {
  const { app } = await build(t, { adapt: config => { Object.assign(config.delivery, { socketBufferBytesMax: 64 * 1024 * 1024, bufferedBytesMax: 40 * 1024 * 1024 }) } })
  const url = await listen(app)
  const shop = await tenant(app)
  const topic = await shop.topic('large.events')
  const clients = await Promise.all(upTo(8).map(n => (n % 2 === 0 ? connectWs : connectSocketIo)(url, { token: shop.token() })))
  for (const client of clients) await client.request('subscribe', { topic })
  for (const client of clients) client.pause()
  const batchBytes = 8 * 1024 * 1024
  const waiting = () => [...app.connections.all()].reduce((sum, { transport }) => sum + transport.bufferedBytes, 0)
  const publish = async () => {
    const before = waiting()
    await shop.publish(topic, ...upTo(28).map(() => 'x'.repeat(250_000)), ...upTo(500).map(() => 'y'.repeat(1500)))
    await until(() => waiting() > before + clients.length * batchBytes / 4)
  }
  const before = process.memoryUsage().arrayBuffers
  await publish()
  // What Engine.IO has to say meanwhile holds back what comes after it.
  const told = clients.map(client => client.request('unsubscribe', { subscriptionId: 'sub_none' }))
  await until(() => [...app.connections.all()].some(({ transport }) => transport.bufferedBytes - transport.costBytes > 0))
  await publish()
  const bytes = process.memoryUsage().arrayBuffers - before
  t.ok(bytes < 13 * batchBytes, `${bytes} bytes for ${clients.length} times ${2 * batchBytes}`)
  const { socketBufferedBytesMax } = app.instruments
  for (let sweeps = 0; sweeps < 2; sweeps++) {
    socketBufferedBytesMax.set(-1)
    await until(async () => (await socketBufferedBytesMax.get()).values[0]?.value !== -1)
  }
  t.equal(app.connections.size, clients.length)
  for (const client of clients) client.resume()
  for (const client of clients) t.same((await client.received(1056, 30_000)).map(event => event.offset), upTo(1056), client.kind)
  await Promise.all(told)
  await until(() => waiting() === 0)
  t.ok([...app.connections.all()].every(({ transport }) => transport.costBytes === 0), 'nothing is shared any more')
  for (const client of clients) client.close()
})
