import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { deflateSync, gzipSync } from 'node:zlib'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { connectSocketIo, connectWs, transports, type Client } from '../../support/clients.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

/* Limits of the memory that a tenant or an unauthenticated client may use on a node. */

t.setTimeout(600_000)

const kib = 1024

/** Sends the head and a part of the body of a request, and then stops. */
function stall (
  url: string, path: string, bytes: number, headers: string[] = []
): { socket: Socket, answer: () => string } {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let answer = ''
  socket.on('data', data => {
    answer += data.toString()
  }).on('error', () => {})
  socket.write(
    [
      `POST ${path} HTTP/1.1`,
      'Host: x',
      'Content-Type: application/json',
      `Content-Length: ${bytes + 1}`,
      ...headers,
      '',
      ''
    ].join('\r\n')
  )
  socket.write(`"${'x'.repeat(bytes - 1)}`)
  return { socket, answer: () => answer }
}

const heldBy = async (app: FastifyInstance) =>
  Number(/^realtime_request_body_bytes (\d+)$/m.exec(await app.instruments.registry.metrics())?.[1])

await t.test('public routes accept 16 KiB', async t => {
  const { app } = await build(t)
  const post = (bytes: number) =>
    app.inject({
      method: 'POST', url: '/api/auth/login', payload: { email: 'a@b.example', password: 'x'.repeat(bytes) }
    })
  t.equal((await post(17 * kib)).statusCode, 413)
  t.not((await post(1 * kib)).statusCode, 413)
})

await t.test('unanswered bodies have a budget, with shares for an address and an application', async t => {
  const { app } = await build(t, {
    adapt: ({ http }) => {
      Object.assign(http.bodies, { nodeBytesMax: 280 * kib, applicationBytesMax: 200 * kib, addressBytesMax: 40 * kib })
    }
  })
  const url = await listen(app)
  const [shop, other] = [await tenant(app), await tenant(app)]
  for (const { topic } of [shop, other]) await topic('held.bodies')
  const held = () => heldBy(app)
  await until(async () => await held() === 0)
  const strangers = [1, 2, 3, 4].map(() => stall(url, '/api/auth/login', 15 * kib))
  await until(() => strangers.filter(({ answer }) => answer().startsWith('HTTP/1.1 429')).length === 2)
  t.match(strangers.map(({ answer }) => answer()).find(answer => answer !== ''), /retry-after: 2[\s\S]*RATE_LIMITED/i)
  const publish = (of: typeof shop) =>
    stall(url, '/api/topics/held.bodies/events', 90 * kib, [`Authorization: Bearer ${of.token()}`])
  const own = [publish(shop), publish(shop)]
  await until(async () => await held() >= 200 * kib)
  const third = publish(shop)
  await until(() => third.answer() !== '')
  t.match(third.answer(), /^HTTP\/1.1 429[\s\S]*The application has/)
  const others = publish(other)
  await until(() => others.answer() !== '')
  t.match(others.answer(), /^HTTP\/1.1 503[\s\S]*OVERLOADED/)
  for (const { socket } of [...strangers, ...own, third, others]) socket.destroy()
  await until(async () => await held() === 0)
  t.match(await other.request('POST', '/api/topics/held.bodies/events', { payload: 'x'.repeat(90 * kib) }), {
    status: 201
  })
  await until(async () => await held() === 0)
})

await t.test('a body stops counting when its connection ends, even if it is never answered', async t => {
  const { app } = await build(t)
  const { port } = new URL(await listen(app))
  const shop = await tenant(app)
  // While this lock is held, no request is answered.
  const holder = await app.pool.connect()
  t.teardown(async () => { await holder.query('rollback'); holder.release() })
  await holder.query('begin')
  await holder.query('lock table webhook_versions in access exclusive mode')
  const body = JSON.stringify({ url: 'https://example.com/', events: ['*'] }).padEnd(8 * kib)
  const request = (text = body, method = 'POST') =>
    `${method} /api/webhooks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${shop.token()}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${text}`
  const half = body.slice(0, 4 * kib)
  /** The bytes to send, and the KiB that are then counted. */
  const cases: [string, string, number][] = [
    ['a request that is never answered', request(), 8],
    ['thirty requests behind one that is never answered', request().repeat(31), 31 * 8],
    ['a request that breaks off', request(half), 4],
    ['a request that breaks off behind others', request().repeat(3) + request(half), 3 * 8 + 4],
    ['HEAD and GET with a body, which is not read', request(body, 'HEAD') + request(body, 'GET') + request(), 8]
  ]
  const warnings: string[] = []
  const warned = ({ name }: Error) => warnings.push(name)
  process.on('warning', warned)
  t.teardown(() => process.off('warning', warned))
  for (const [name, bytes, heldKib] of cases) {
    for (const end of ['destroy', 'resetAndDestroy'] as const) {
      const socket = connect(Number(port), '127.0.0.1').on('error', () => {})
      socket.write(bytes)
      await until(async () => await heldBy(app) === heldKib * kib)
      socket[end]()
      await until(async () => await heldBy(app) === 0)
      t.pass(`${name}: ${end}`)
    }
  }
  const socket = connect(Number(port), '127.0.0.1').on('error', () => {})
  const upgrade =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ' +
      'dGhlIHNhbXBsZSBub25jZQ==\r\n'
  socket.write(request().replace('/api/webhooks', '/ws').replace('Content-Type', `${upgrade}Content-Type`))
  await once(socket.resume(), 'close')
  t.equal(await heldBy(app), 0, 'a rejected upgrade')
  t.strictSame(warnings, [], 'a connection has one listener for all pipelined requests')
})

await t.test("a decoder's window is counted before it emits a byte, and released afterwards", async t => {
  const { app } = await build(t, { adapt: ({ http }) => { http.bodies.addressBytesMax = 150 * kib } })
  const { port } = new URL(await listen(app))
  const stalled = (coding: string) => {
    const socket = connect(Number(port), '127.0.0.1').on('error', () => {})
    socket.write(
      'POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n' +
        `Content-Encoding: ${coding}\r\nContent-Length: 99\r\n\r\n`
    )
    socket.write((coding === 'gzip' ? gzipSync('{}') : deflateSync('{}')).subarray(0, 2))
    return socket
  }
  const sockets = [stalled('gzip'), stalled('deflate')]
  await until(async () => await heldBy(app) === 128 * kib)
  const third = stalled('gzip')
  const [answer] = await once(third, 'data') as [Buffer]
  t.match(answer.toString(), /^HTTP\/1.1 429/)
  for (const socket of [...sockets, third]) socket.destroy()
  await until(async () => await heldBy(app) === 0)
  for (let n = 0; n < 5; n++) {
    const payload = gzipSync(JSON.stringify({ email: 'a@b.example', password: 'a wrong password' }))
    const { statusCode } = await app.inject({
      method: 'POST', url: '/api/auth/login', payload,
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' }
    })
    t.equal(statusCode, 401)
  }
  await until(async () => await heldBy(app) === 0)
})

await t.test('subscriptions and states have a byte budget; the application with the most gives way', async t => {
  const { app } = await build(t, {
    adapt: ({ delivery }) => {
      Object.assign(delivery, { heldBytesMax: 200_000, heldBytesPerApplicationMax: 150_000 })
    }
  })
  const url = await listen(app)
  const [large, small] = [await tenant(app), await tenant(app)]
  for (const { topic } of [large, small]) await topic('held.events')
  await small.request('PATCH', `/api/applications/${small.applicationId}`, { presenceGraceMs: 0 })
  const filter = (n: number) => ({
    topic: 'held.events',
    filter: { field: { in: Array.from({ length: 100 }, (_, i) => `${n}-${i}`.padEnd(75, 'x')) } }
  })
  for (const { name, connect } of transports) {
    const client = await connect(url, { token: large.token() })
    const answers = []
    for (let n = 0; n < 10; n++) answers.push(await client.request('subscribe', filter(n)))
    t.equal(answers.filter(({ ok }) => ok).length, 5, `${name}: of 27 KB each`)
    t.match(answers.at(-1), { ok: false, error: 'RateLimitError', code: 'MEMORY_LIMIT' })
    const neighbour = await connectWs(url, { token: small.token() })
    for (let n = 0; n < 3; n++) {
      t.match(await neighbour.request('subscribe', filter(n)), { ok: true }, 'another application has room')
    }
    t.match(await client.closed, { code: 1013 }, 'at the expense of the larger one')
    for (let n = 0; n < 12; n++) await neighbour.request('join', { channel: `room${n}`, state: 'x'.repeat(4000) })
    t.match(await neighbour.request('join', { channel: 'more', state: 'x'.repeat(4000) }), { code: 'MEMORY_LIMIT' })
    for (let n = 0; n < 2; n++) t.match(await neighbour.request('leave', { channel: `room${n}` }), { ok: true })
    t.match(await neighbour.request('join', { channel: 'more', state: 'x'.repeat(4000) }), { ok: true })
    neighbour.close()
    await until(() => app.connections.size === 0)
    await until(() => app.heldBytes.bytes === 0)
  }
  t.match(await app.instruments.registry.metrics(), /^realtime_held_bytes_shed_total [1-9]/m)
})

await t.test('absent members give way first, then a connection with its states', async t => {
  const { app } = await build(t, {
    adapt: ({ delivery }) => {
      Object.assign(delivery, { heldBytesMax: 200_000, heldBytesPerApplicationMax: 150_000 })
    }
  })
  const url = await listen(app)
  const tenants = [await tenant(app), await tenant(app), await tenant(app), await tenant(app)] as const
  const [away, present, third, fourth] = tenants
  for (const { request, applicationId } of tenants) {
    await request('PATCH', `/api/applications/${applicationId}`, { presenceGraceMs: 60_000 })
  }
  const enter = (client: Client, n: number) => client.request('join', { channel: `room${n}`, state: 'x'.repeat(4000) })
  const fill = async (of: typeof away) => {
    const client = await connectWs(url, { token: of.token() })
    for (let n = 0; n < 6; n++) t.match(await enter(client, n), { ok: true })
    return client
  }
  const membersOf = ({ scope }: typeof away) =>
    Array.from({ length: 6 }, (_, n) => app.channels.directory.members(scope, `room${n}`, {}).items.length).filter(
      count => count > 0
    ).length
  const gone = await fill(away)
  gone.close()
  await gone.closed
  await until(() => app.connections.size === 0)
  const full = await fill(present)
  t.ok(app.heldBytes.bytes > 190_000, 'the node is full')
  const client = await connectSocketIo(url, { token: third.token() })
  for (let n = 0; n < 6; n++) t.match(await enter(client, n), { ok: true }, 'at the expense of absent members')
  t.same(tenants.map(membersOf), [0, 6, 6, 0])
  const last = await connectWs(url, { token: fourth.token() })
  t.match(await enter(last, 0), { ok: true }, 'at the expense of a connection')
  t.match(await full.closed, { code: 1013 })
  t.same(tenants.map(membersOf), [0, 0, 6, 1], 'without a grace period')
  for (const one of [client, last]) {
    for (let n = 0; n < 6; n++) await one.request('leave', { channel: `room${n}` })
    one.close()
  }
  t.equal(app.heldBytes.bytes, 0)
})

await t.test('memory outside the heap counts as well', async t => {
  const { app } = await build(t, {
    adapt: ({ http }) => {
      http.externalBytesMax = process.memoryUsage().external + 64 * kib * kib
    }
  })
  t.equal((await app.inject('/api/auth/setup-status')).statusCode, 200)
  const ballast = [Buffer.alloc(96 * kib * kib, 1)]
  await until(async () => (await app.inject('/api/auth/setup-status')).statusCode === 503)
  await until(() => app.isUnderPressure())
  t.equal((await app.inject('/health')).statusCode, 200)
  ballast.length = 0
})
