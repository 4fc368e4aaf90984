import { connect as connectTcp, createServer, type AddressInfo, type Socket } from 'node:net'
import { pino } from 'pino'
import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { connectWs, transports } from '../../support/clients.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

/* Both sides detect a lost peer. */

const pingIntervalMs = 500
const lines: string[] = []
const logger = pino({ level: 'trace' }, {
  write: (line: string) => {
    lines.push(line)
  }
})
const { app } = await build(t, {
  logger, adapt: ({ delivery }) => Object.assign(delivery, { pingIntervalMs, pongTimeoutMs: 4000, closeTimeoutMs: 300 })
})
const url = await listen(app)

/** A proxy whose connections can vanish: the TCP connections stay open, but nothing passes any more. */
async function proxy () {
  const held: Socket[] = []
  const server = createServer(client => {
    const upstream = connectTcp(Number(new URL(url).port), '127.0.0.1')
    held.push(client, upstream)
    client.on('error', () => {}).on('close', () => upstream.destroy())
    upstream.on('error', () => {}).on('close', () => client.destroy())
    client.pipe(upstream)
    upstream.pipe(client)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    vanish () { for (const socket of held) { socket.unpipe(); socket.pause() } },
    close () { for (const socket of held) socket.destroy(); server.close() }
  }
}

for (const { name, connect } of transports) {
  await t.test(`a vanished peer is cut off, and its subscriptions end (${name})`, async t => {
    const shop = await tenant(app)
    const topic = await shop.topic('vanishing.events')
    const [far, near] = [await proxy(), await connect(url, { token: shop.token() })]
    t.teardown(() => far.close())
    const gone = await connect(far.url, { token: shop.token() })
    await gone.request('subscribe', { topic })
    await gone.request('subscribe', { topic: 'vanishing.*' })
    await near.request('subscribe', { topic })
    const watch = await connectWs(url, { token: shop.token() })
    let pings = 0
    watch.socket.on('ping', () => { pings++ })
    t.equal(app.connections.size, 3)
    far.vanish()
    await until(() => app.connections.size === 2)
    t.match(await app.instruments.registry.metrics(), /^realtime_subscriptions 1$/m)
    t.match(await app.instruments.registry.metrics(), /realtime_sockets_closed_total\{code="PEER_VANISHED"\} [1-9]/)
    const before = pings
    await until(() => pings >= before + 3, 'three rounds of pings')
    await shop.publish(topic, 1)
    await near.received(1)
    for (const client of [near, watch]) client.close()
    await until(() => app.connections.size === 0)
  })
}

await t.test('the server pings, and answers pings', async t => {
  const shop = await tenant(app)
  const client = await connectWs(url, { token: shop.token() })
  let pings = 0
  client.socket.on('ping', () => pings++)
  await until(() => pings >= 3)
  const pong = new Promise<string>(resolve => client.socket.once('pong', data => resolve(data.toString())))
  client.socket.ping('are you there')
  t.equal(await pong, 'are you there', 'the WebSocket ping')
  t.match(await client.request('ping', {}), { ok: true }, 'the ping frame, for browsers')
  t.equal(client.socket.extensions, '', 'nothing is compressed')
  client.close()
})

await t.test('a socket that never authenticates is closed; one that leaves earlier is not kept', async t => {
  const quick = await build(t, { adapt: ({ delivery }) => { delivery.authTimeoutMs = 200 } })
  const own = await listen(quick.app)
  const client = await connectWs(own)
  t.match(await client.message('error'), { code: 'AUTH_TIMEOUT' })
  t.match(await client.closed, { code: 4401 })
})

await t.test('a token in the query is never logged', async t => {
  const shop = await tenant(app)
  const token = shop.token()
  for (const path of ['/ws', '/socket.io/']) {
    const tcp = connectTcp(Number(new URL(url).port), '127.0.0.1')
    tcp.write(
      `GET ${path}?EIO=4&transport=websocket&token=${token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n` +
        'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
    )
    await new Promise(resolve => tcp.once('data', resolve))
    await until(() => path === '/ws' ? app.connections.size === 1 : app.io.engine.clientsCount === 1, 'the connection')
    tcp.destroy()
    await until(() => app.connections.size === 0 && app.io.engine.clientsCount === 0, 'its end')
  }
  await app.inject({ url: `/ws?token=${token}` })
  await app.inject({ url: `/api/topics?token=${token}` })
  // The log of a later request has that of the earlier ones before it.
  await (await fetch(`${url}/health`)).text()
  const signature = token.split('.')[2] as string
  t.ok(lines.length > 0)
  t.notOk(lines.some(line => line.includes(signature)))
})
