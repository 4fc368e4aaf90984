import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { io } from 'socket.io-client'
import t from 'tap'
import { WebSocket } from 'ws'
import { build, listen } from '../../support/build.ts'
import { connectSocketIo, connectWs, nextOf, transports } from '../../support/clients.ts'
import { DatabaseProxy } from '../../support/database-proxy.ts'
import { createDatabase } from '../../support/database.ts'
import { person } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

/* Frames are counted before they are handled, before and after authentication. */

const { app } = await build(t)
const url = await listen(app)
const defaults = { ...app.config.delivery }
const limitTo = (limits: Partial<typeof defaults>) => { Object.assign(app.config.delivery, defaults, limits) }
const pace = { requestsPerSecond: 20, requestsBurst: 20 }
const limited = async () =>
  Number(
    /^realtime_socket_limited_total\{limit="requests"\} (\d+)$/m.exec(await app.instruments.registry.metrics())?.[1] ??
      0
  )

t.afterEach(async () => { await until(() => app.connections.size === 0) })

/** A link that keeps sending, even when it is refused and when the server closes it. */
async function flood (token: string | undefined, frame: Buffer): Promise<{ frames: number, refusals: number }> {
  const socket = connectTcp(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  let answers = ''
  socket.on('data', data => {
    answers += data.toString('latin1')
  })
  socket.write(
    [
      'GET /ws HTTP/1.1',
      'Host: x',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
      ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
      '',
      ''
    ].join('\r\n')
  )
  await until(() => answers.includes(token === undefined ? '\r\n\r\n' : 'authenticated'))
  const some = Buffer.concat(Array(100).fill(frame) as Buffer[])
  const link = { isOpen: true }
  const ended = new Promise<void>(resolve => socket.once('close', () => { link.isOpen = false; resolve() }))
  let frames = 0
  while (link.isOpen && frames < 200_000) {
    frames += 100
    if (!socket.write(some) && link.isOpen) {
      await Promise.race([new Promise(resolve => socket.once('drain', resolve)), ended])
    }
    await new Promise(resolve => setImmediate(resolve))
  }
  socket.destroy()
  return { frames, refusals: answers.split('RATE_LIMITED').length - 1 }
}

/** A masked frame, as clients send them. The mask is zero. */
function frameOf (text: string, firstByte = 0x81): Buffer {
  const data = Buffer.from(text)
  const head = data.length < 126
    ? Buffer.from([firstByte, 0x80 | data.length])
    : Buffer.from([firstByte, 0x80 | 126, data.length >> 8, data.length & 255])
  return Buffer.concat([head, Buffer.alloc(4), data])
}

await t.test('frames are counted before parsing, and a link that does not stop is destroyed', async t => {
  limitTo({ ...pace, closeTimeoutMs: 60_000 })
  const shop = await tenant(app)
  const parsed = JSON.parse.bind(JSON)
  let parses = 0
  JSON.parse = (...args) => { parses++; return parsed(...args) as unknown }
  t.teardown(() => { JSON.parse = parsed })
  for (const [name, frame] of Object.entries({
    malformed: frameOf(`{"broken": ${'['.repeat(2000)}`),
    empty: frameOf(''),
    binary: frameOf('xx', 0x82),
    ping: frameOf('{"type":"ping"}'),
    control: frameOf('', 0x89)
  })) {
    for (const token of [shop.token(), undefined]) {
      const before = await limited()
      parses = 0
      const { frames, refusals } = await flood(token, frame)
      const of = `${name}, ${token === undefined ? 'unknown' : 'known'}`
      t.ok(frames < 200_000, `${of}: ended after ${frames} frames`)
      // A burst of 20, ten times as many refusals, and five times as many frames that are only counted.
      const counted = await limited() - before
      t.ok(counted <= 1500, `${of}: ${counted} frames counted above the pace`)
      if (name === 'malformed') t.ok(parses < 100, `${of}: ${parses} parsed`)
      t.ok(refusals < 1000, `${of}: ${refusals} answers`)
    }
  }
})

await t.test('the refusal of a frame has its id if the frame is short or begins with it', async t => {
  // Only the burst is admitted, however slowly the frames arrive.
  limitTo({ requestsPerSecond: 0.001, requestsBurst: 1 })
  const shop = await tenant(app)
  const client = await connectWs(url, { token: shop.token() })
  const answers: Record<string, unknown>[] = []
  client.socket.on('message', (data: Buffer) => {
    const answer = JSON.parse(data.toString()) as Record<string, unknown>
    if (answer['type'] === 'error') answers.push(answer)
  })
  for (
    const frame of [
      '{"type":"leave","id":1,"channel":"x"}',
      '{"type":"leave","channel":"x","id":"two"}',
      `{"type":"leave","id":"three","channel":"${'x'.repeat(5000)}"}`,
      `{"channel":"${'x'.repeat(5000)}","id":4,"type":"leave"}`
    ]
  ) {
    client.socket.send(frame)
  }
  await until(() => answers.length === 4)
  t.same(answers.map(({ id, code }) => `${String(id)} ${String(code)}`).sort(), [
    '1 NOT_A_MEMBER',
    'three RATE_LIMITED',
    'two RATE_LIMITED',
    'undefined RATE_LIMITED'
  ])
  client.close()
})

await t.test('Socket.IO requests are refused before Socket.IO parses them', async t => {
  limitTo({ ...pace, requestsPerSecond: 0.001 })
  const shop = await tenant(app)
  const client = await connectSocketIo(url, { token: shop.token() })
  const parsed = JSON.parse.bind(JSON)
  let long = 0
  JSON.parse = (text: string, ...rest) => {
    if (text.length > 10_000) long++
    return parsed(text, ...rest) as unknown
  }
  t.teardown(() => {
    JSON.parse = parsed
  })
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => client.request('leave', { channel: 'x'.repeat(20_000) }))
  )
  t.match(answers.at(-1), { ok: false, code: 'RATE_LIMITED', retryAfterMs: Number })
  t.ok(long <= 40, `${long} of 100 were parsed`)
  for (let n = 0; n < 100; n++) client.socket.emit('leave', { channel: 'x' })
  await until(() => client.messages.some(({ name, body }) => name === 'error' && body['code'] === 'RATE_LIMITED'))
  client.close()
})

await t.test('before authentication messages are short and few; then the documented limits apply', async t => {
  limitTo({})
  const shop = await tenant(app)
  const engine = (method: string, query: string, body?: string) =>
    fetch(`${url}/socket.io/?EIO=4&transport=polling${query}`, { method, ...(body !== undefined && { body }) }).then(
      async response => ({ status: response.status, text: await response.text() }),
      () => ({ status: 0, text: '' })
    )
  const open = async () => `&sid=${(JSON.parse((await engine('GET', '')).text.slice(1)) as { sid: string }).sid}`
  const links = () => app.io.engine.clientsCount as number

  t.match(await engine('POST', await open(), `4${'x'.repeat(20_000)}`), { status: 413 }, 'a post of 20 KB')
  await until(() => links() <= 1)
  const many = await open()
  await engine('POST', many, Array(5000).fill('6').join('\u001e'))
  t.match(await engine('POST', many, '6'), { status: 400, text: /Session ID unknown/ }, 'a post of 5,000 packets')
  const dripping = await open()
  for (let n = 0; n < 50; n++) await engine('POST', dripping, '6')
  t.match(await engine('POST', dripping, '6'), { status: 400 }, 'fifty posts')
  t.match(await engine('GET', '&j=0'), { status: 403 }, 'JSONP')

  const known = await open()
  await engine('POST', known, `40${JSON.stringify({ token: shop.token() })}`)
  await until(() => app.connections.size === 1)
  t.match(await engine('POST', known, `420["leave",{"channel":"${'x'.repeat(600_000)}"}]`), { status: 200, text: 'ok' })
  await engine('POST', known, Array(100_000).fill('6').join('\u001e'))
  t.match(await engine('POST', known, '6'), { status: 400 }, 'packets of one post have a limit afterwards as well')

  for (const path of ['/ws', '/socket.io/?EIO=4&transport=websocket']) {
    const stranger = new WebSocket(`${url.replace('http', 'ws')}${path}`)
    await once(stranger, 'open')
    stranger.send('x'.repeat(20_000))
    t.same((await once(stranger, 'close'))[0], 1009, path)
  }
  for (
    const client of [
      await connectWs(url, { token: shop.token() }), await connectSocketIo(url, { token: shop.token() }),
      await connectSocketIo(url, { token: shop.token(), transports: ['polling', 'websocket'] })
    ]
  ) {
    t.match(
      await client.request('leave', { channel: 'x'.repeat(600_000) }), { ok: false, code: 'VALIDATION_FAILED' },
      client.kind
    )
    client.close()
  }
})

await t.test('a message has at most 256 fragments', async t => {
  limitTo({})
  const shop = await tenant(app)
  const [plain, below] = [
    await connectWs(url, { token: shop.token() }), await connectSocketIo(url, { token: shop.token() })
  ]
  for (const socket of [plain.webSocket(), below.webSocket()]) {
    const closed = once(socket, 'close')
    for (let n = 0; n < 300; n++) socket.send('', { fin: false })
    t.same((await closed)[0], 1008)
  }
})

await t.test('Socket.IO handshakes count as requests of their address', async t => {
  const { app } = await build(t, { variables: { RATE_LIMIT_MAX: '5' } })
  const url = await listen(app)
  const statuses: number[] = []
  for (let n = 0; n < 7; n++) statuses.push((await fetch(`${url}/socket.io/?EIO=4&transport=polling`)).status)
  t.same(statuses, [200, 200, 200, 200, 200, 403, 403])
  t.equal((await fetch(`${url}/openapi.json`)).status, 429, 'public routes share the limit')
})

await t.test('handshakes refused by a database outage do not count; other refused ones do', async t => {
  const direct = new URL(await createDatabase(t))
  const proxy = new DatabaseProxy(direct)
  t.teardown(() => proxy.close())
  const databaseUrl = Object.assign(new URL(direct), { hostname: '127.0.0.1', port: String(await proxy.open()) }).href
  const { app } = await build(t, {
    databaseUrl,
    variables: { RATE_LIMIT_MAX: '10' },
    adapt: ({ delivery }) => {
      delivery.authTimeoutMs = 1000
    }
  })
  const url = await listen(app)
  const { token } = await person(app, 'super_admin')
  const anybody = async (address: string) =>
    (await app.inject({ url: '/openapi.json', remoteAddress: address })).statusCode
  const fromHere = '127.0.0.1'
  await proxy.close()
  for (let round = 0; round < 8; round++) {
    const socket = await connectWs(url, { token })
    t.match(await socket.closed, { code: 1013 })
    const stock = io(url, {
      auth: { token }, transports: [round % 2 === 0 ? 'websocket' : 'polling'], forceNew: true, reconnection: false
    })
    t.equal((await nextOf(stock, 'disconnect'))[0], 'transport close')
  }
  await proxy.open()
  t.equal(await anybody(fromHere), 200, 'only this request counted for the address')
  await until(async () => (await app.inject('/health/ready')).statusCode === 200)
  const refused = async () =>
    await connectSocketIo(url, { token: 'x.y.z' }).then(
      () => 'let in', (error: Error & { data?: { code: string } }) => error.data?.code ?? error.message
    )
  const outcomes: string[] = []
  for (let n = 0; n < 10; n++) outcomes.push(await refused())
  t.ok(outcomes.slice(0, 5).every(code => code === 'CREDENTIAL_INVALID'), outcomes.join())
  t.not(outcomes.at(-1), 'CREDENTIAL_INVALID')
  t.equal(await anybody(fromHere), 429)
})

await t.test('the bytes of answers count, so small requests cannot fetch large answers without limit', async t => {
  limitTo({ bytesPerSecond: 1, bytesBurst: 20_000 })
  const shop = await tenant(app)
  for (const { name, connect } of transports) {
    const client = await connect(url, { token: shop.token() })
    t.match(await client.request('join', { channel: 'large', state: 'x'.repeat(4000) }), { ok: true }, name)
    const answers = []
    for (let n = 0; n < 10; n++) answers.push(await client.request('join', { channel: 'large' }))
    t.ok(answers.filter(({ ok }) => ok).length < 5, name)
    t.match(answers.at(-1), { ok: false, code: 'RATE_LIMITED', retryAfterMs: Number }, name)
    client.close()
  }
})

await t.test('past events are sent at a limited rate, however often they are requested', async t => {
  limitTo({ pastBytesPerSecond: 1024 * 1024, pastBytesBurst: 1024 * 1024 })
  const shop = await tenant(app)
  const topic = await shop.topic('long.past')
  const payloads = Array.from({ length: 10 }, (_, n) => `${n}`.padEnd(120_000, 'x'))
  await shop.publish(topic, ...payloads)
  for (const { name, connect } of transports) {
    const client = await connect(url, { token: shop.token() })
    const begin = performance.now()
    const answers = []
    for (let n = 0; n < 4; n++) answers.push(await client.request('subscribe', { topic, rewind: 10 }))
    t.ok(answers.every(({ ok }) => ok), name)
    await client.received(40)
    // Of 4.8 MB, 1 MiB is sent at once, and one page of 1 MiB may leave before it counts.
    t.ok(performance.now() - begin > 2000, `${name}: takes time`)
    for (const { subscriptionId } of answers) {
      t.same(
        client.events.filter(event => event.subscriptionIds.includes(subscriptionId)).map(event => event.payload),
        payloads, 'every event arrives'
      )
    }
    client.close()
  }
})
