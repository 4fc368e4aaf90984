import { request as httpRequest } from 'node:http'
import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { connectSocketIo, connectWs } from '../../support/clients.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

/* Messages that begin and are never finished. */

t.setTimeout(600_000)

const [half, part] = [600_000, 100_000]
const { app } = await build(t, { adapt: ({ delivery }) => { delivery.arrivingBytesMax = 3 * half } })
const url = await listen(app)

await t.test('unfinished messages have a limit together; the application with the most loses its sockets', async t => {
  const [shop, other] = [await tenant(app), await tenant(app)]
  const frameHead = Buffer.concat([
    Buffer.from([0x81, 0xff]), Buffer.alloc(5), Buffer.from([0x0f, 0xff, 0xff]), Buffer.alloc(4)
  ])
  const plain = async ({ token }: typeof shop, bytes: number) => {
    const client = await connectWs(url, { token: token() })
    client.tcp().write(frameHead)
    client.tcp().write(Buffer.alloc(bytes))
    return client
  }
  const below = async ({ token }: typeof shop, bytes: number) => {
    const client = await connectSocketIo(url, { token: token() })
    client.tcp().write(frameHead)
    client.tcp().write(Buffer.alloc(bytes))
    return client
  }
  const polling = async ({ token }: typeof shop, bytes: number) => {
    const client = await connectSocketIo(url, { token: token(), transports: ['polling'] })
    const path = `/socket.io/?EIO=4&transport=polling&sid=${client.socket.io.engine.id}`
    httpRequest(`${url}${path}`, { method: 'POST', headers: { 'content-length': 1_000_000 } }).on('error', () => {})
      .write('x'.repeat(bytes))
    return client
  }
  const arriving = () => [...app.connections.all()].reduce((sum, { transport }) => sum + transport.arrivingBytes, 0)
  const small = [await plain(other, part), await below(other, part), await polling(other, part)]
  await until(() => arriving() >= 3 * part)
  for (const send of [plain, below, polling]) {
    app.config.delivery.arrivingBytesMax = 100 * half
    const large = [await send(shop, half), await send(shop, half), await send(shop, half)]
    await until(() => arriving() >= 3 * (half + part))
    app.config.delivery.arrivingBytesMax = 3 * half
    await until(() => app.connections.size === 5)
    await until(() => arriving() <= 3 * half)
    t.same(
      [...app.connections.all()].filter(({ scope }) => scope.applicationId === other.applicationId).length,
      3,
      `${send.name}: no other application's`
    )
    for (const client of large) {
      client.cut()
      client.close()
    }
    await until(() => app.connections.size === 3)
  }
  t.match(await app.instruments.registry.metrics(), /realtime_socket_arriving_bytes \d{6}/)
  for (const client of small) { client.cut(); client.close() }
})
