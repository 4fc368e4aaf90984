import { connect as connectTcp, type Socket } from 'node:net'
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { socketRequests } from '../../../schemas/socket-protocol.ts'
import { errorCodes } from '../../../src/errors.ts'
import { build, listen } from '../../support/build.ts'
import { transports } from '../../support/clients.ts'
import { toText, Values } from '../../support/fuzz-values.ts'
import type { Schema } from '../../support/openapi-document.ts'
import { Random } from '../../support/random.ts'
import { tenant } from '../../support/tenant.ts'
import { pace, until } from '../../support/waiting.ts'

/*
 * Whatever arrives, the server neither crashes nor leaks nor hangs. `FUZZ_FRAMES=100000` is the full run; `FUZZ_SEED`
 * repeats a run.
 */

const frames = Number(process.env['FUZZ_FRAMES'] ?? 5000)
const seed = Number(process.env['FUZZ_SEED'] ?? 20261123)
let state = seed
/** The random number generator of Park and Miller. */
const random = () => { state = (state * 48271) % 2147483647; return state / 2147483647 }
const integer = (max: number) => Math.floor(random() * max)
const pick = <T>(...of: T[]): T => of[integer(of.length)] as T
const bytes = (length: number) => Buffer.from(Array.from({ length }, () => integer(256)))

const { app } = await build(t, {
  adapt: ({ delivery }) =>
    Object.assign(delivery, { authTimeoutMs: 3000, closeTimeoutMs: 300, requestsPerSecond: 0, bytesPerSecond: 0 })
})
const url = await listen(app)
const port = Number(new URL(url).port)
const shop = await tenant(app)
const topic = await shop.topic('fuzz.events')
const token = shop.token()
const surprises: unknown[] = []
process.on('uncaughtException', error => surprises.push(error))
process.on('unhandledRejection', error => surprises.push(error))

const value = (depth = 0): unknown =>
  pick<() => unknown>(
    () => null,
  () => true,
  () => integer(1e9),
  () => -1,
  () => 1.5,
  () => '',
  () => 'x'.repeat(integer(300)),
  () => '\u0000',
  () => '__proto__',
  () => 1e308 * 10,
  () => depth > 3 ? 0 : Array.from({ length: integer(4) }, () => value(depth + 1)),
  () =>
    depth > 3
      ? 0
      : Object.fromEntries(
        Array.from(
          { length: integer(4) },
          () => [pick('a', 'topic', 'constructor', '__proto__', 'toString', ''), value(depth + 1)]
        )
      )
  )()
const requests: Record<string, object> = Object.fromEntries(
  Object.entries(socketRequests).map(([name, { fields }]) => [name, fields])
)
const names = [
  ...Object.keys(requests),
  'ping',
  'constructor',
  '__proto__',
  'toString',
  'hasOwnProperty',
  'nothing',
  ''
]
const valid = (): Record<string, unknown> =>
  pick<() => Record<string, unknown>>(
    () => ({ type: 'subscribe', id: integer(9), topic: pick(topic, 'fuzz.*', '**', 'sync.a.created') }),
  () => ({
    type: 'subscribe', topic, filter: { a: value(), b: { [pick('gt', 'in', 'eq', 'prefix', 'nothing')]: value() } }
  }),
  () => ({ type: 'subscribe', topic: 'fuzz.*', after: { [topic]: integer(9) }, rewind: 1 + integer(5) }),
  () => ({ type: 'subscribe', topic, after: integer(20), rewind: 1 + integer(20) }),
  () => ({ type: 'subscribe', topic: pick(topic, 'fuzz.*'), since: integer(2 ** 42) }),
  () => ({ type: 'append', topic, payload: value(), idempotencyKey: pick('a', 'b') }),
  () => ({ type: 'append', topic, events: [{ payload: value(), key: 'k' }, { payload: value() }] }),
  () => ({ type: 'unsubscribe', subscriptionId: pick('sub_none', 'x') }),
  () => ({ type: 'auth', token }),
  () => ({ type: 'join', channel: pick('room', 'doc:a:b', 'x'.repeat(500)), state: value() }),
  () => ({ type: 'leave', channel: 'room' }),
  () => ({ type: 'publish', channel: 'room', event: 'hi', data: value() }),
  () => ({
    type: 'direct', socketId: pick('none', ...[...app.connections.all()].slice(0, 3).map(({ id }) => id)),
    event: 'hi', data: value()
  }),
  () => ({ type: 'presence', channel: 'room', state: value() }),
  () => ({ type: 'ping' })
  )()

/** A valid frame with one thing wrong. */
function mutated (): string {
  const frame = valid()
  if (random() < 0.6) frame[pick(...Object.keys(frame), 'surprise')] = value()
  let text = JSON.stringify(frame)
  if (random() < 0.3) text = text.slice(0, integer(text.length))
  if (random() < 0.3) {
    const at = integer(text.length)
    text = text.slice(0, at) + String.fromCharCode(integer(0x300)) + text.slice(at + 1)
  }
  return text
}

/** Encodes a client's frame (RFC 6455 §5.2), valid or not. */
function frame (
  opcode: number, payload: Buffer, { fin = true, rsv = 0, isMasked = true, length = payload.length } = {}
): Buffer {
  const head = [(fin ? 0x80 : 0) | rsv << 4 | opcode]
  const mask = isMasked ? 0x80 : 0
  if (length < 126) head.push(mask | length)
  else if (length < 65_536) head.push(mask | 126, length >> 8, length & 255)
  else head.push(mask | 127, 0, 0, 0, 0, length >>> 24, (length >> 16) & 255, (length >> 8) & 255, length & 255)
  if (!isMasked) return Buffer.concat([Buffer.from(head), payload])
  const key = bytes(4)
  return Buffer.concat([Buffer.from(head), key, payload.map((byte, i) => byte ^ (key[i & 3] ?? 0))])
}
const text = (content: string) => frame(1, Buffer.from(content))

const asFrame = (one: string | Buffer) => typeof one === 'string' ? text(one) : frame(2, one)

const deep = '['.repeat(50_000)
const large = Buffer.alloc(10 * 1024 * 1024, 'x')

/** Input that must not end a connection. */
const wsFrame = (): Buffer =>
  pick<() => Buffer>(
    () => text(mutated()),
  () => text(mutated()),
  () => text(mutated()),
  () => text(JSON.stringify(valid())),
  () => text(JSON.stringify({ ...valid(), type: pick(...names) })),
  () => frame(1, bytes(integer(200))),
  () => frame(2, bytes(integer(200))),
  () => frame(9, bytes(integer(126))),
  () => frame(10, bytes(integer(126))),
  () => text(JSON.stringify(value())),
  () => text(`{"type":"subscribe","topic":"${topic}","filter":${deep.slice(0, 500 + integer(9000))}`),
  () =>
    Buffer.concat([
      frame(1, Buffer.from('{"type":'), { fin: false }), frame(9, Buffer.alloc(0)), frame(0, Buffer.from('"ping"}'))
    ])
  )()

/** Input that ends a connection. */
const wsPoison = (): Buffer =>
  pick<() => Buffer>(
    () => bytes(1 + integer(2000)), () => frame(pick(3, 7, 11, 15), bytes(4)),
  () => frame(1, bytes(4), { rsv: 1 + integer(7) }), () => frame(1, Buffer.from('{}'), { isMasked: false }),
  () => frame(9, bytes(126)), () => frame(9, bytes(3), { fin: false }), () => frame(0, bytes(3)),
  () => frame(1, bytes(4), { length: 0xFFFFFFFF }), () => frame(8, bytes(1)),
  () => frame(8, Buffer.from([0x03, 0xE7])), () => frame(8, Buffer.from([0x13, 0x88, 0xFF, 0xFE])),
  () => frame(1, bytes(10), { length: 1000 }), () => frame(1, large.subarray(0, 2 * 1024 * 1024)),
  () => Buffer.concat(Array.from({ length: 300 }, () => frame(9, bytes(100)))),
  () => Buffer.concat([frame(1, bytes(3), { fin: false }), frame(1, bytes(3))])
  )()

/** Engine.IO and Socket.IO packets as text, or binary attachments as buffers. */
const packet = (): string | Buffer =>
  pick<() => string | Buffer>(
    () => `42${JSON.stringify([pick(...names), valid()])}`,
  () => `42${integer(100)}${JSON.stringify([pick(...names), valid()])}`,
  () => `42${JSON.stringify([value(), value(), value()])}`,
  () => `42["subscribe",${mutated()}]`,
  () => `43${integer(10)}${JSON.stringify([value()])}`,
  () => `42${integer(9)}["subscribe"]`,
  () => '42["subscribe",{},{},{}]'
  )()
const packetPoison = (): string | Buffer =>
  pick<() => string | Buffer>(
    () => bytes(1 + integer(300)),
  () => bytes(20).toString('latin1'),
  () => '41',
  () => '1',
  () => '40/other,',
  () => '44{"a":1}',
  () => '451-["subscribe",{"_placeholder":true,"num":0}]',
  () => '459999999-["a"]',
  () => '45-1-["a"]',
  () => '42',
  () => '42{',
  () => '42[]',
  () => '42["connect"]',
  () => '42["disconnecting"]',
  () => '2probe',
  () => '3',
  () => '5',
  () => '6',
  () => '7',
  () => '9',
  () => '',
  () => `42["x",${deep}`,
  () => '451-["auth",{"_placeholder":true,"num":9}]'
  )()

async function open (path: string, headers = ''): Promise<Socket> {
  const tcp = connectTcp(port, '127.0.0.1')
  tcp.on('error', () => {})
  tcp.write(
    `GET ${path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n${headers}\r\n`
  )
  await new Promise<void>(resolve => {
    tcp.once('data', () => resolve()).once('close', () => resolve())
  })
  tcp.resume()
  return tcp
}

/** Writes and yields to the server, because a full socket buffer is not what this tests. */
async function write (tcp: Socket, chunk: Buffer): Promise<void> {
  // Sometimes in pieces, as a network would.
  const at = random() < 0.2 ? integer(chunk.length) : chunk.length
  tcp.write(chunk.subarray(0, at))
  if (at < chunk.length) {
    await new Promise(resolve => setImmediate(resolve))
    tcp.write(chunk.subarray(at))
  }
  if (tcp.writableNeedDrain && !tcp.destroyed) {
    await new Promise<void>(resolve => {
      tcp.once('drain', resolve).once('close', () => resolve())
    })
  }
}

async function end (tcp: Socket): Promise<void> {
  if (random() < 0.5) tcp.resetAndDestroy()
  else tcp.destroy()
  if (!tcp.closed) await new Promise<void>(resolve => tcp.once('close', () => resolve()))
}

async function everythingGone (): Promise<Record<string, number>> {
  const left = () => ({
    connections: app.connections.size,
    webSockets: app.websocketServer.clients.size,
    engine: app.io.engine.clientsCount,
    namespace: app.io.of('/').sockets.size,
    feeds: app.hub.size
  })
  // The caller reports the rest.
  await until(() => Object.values(left()).every(count => count === 0)).catch(() => {})
  return left()
}

async function aGoodClientWorks (t: Test): Promise<void> {
  for (const { name, connect } of transports) {
    const client = await connect(url, { token })
    t.match(await client.request('subscribe', { topic }), { ok: true })
    await shop.publish(topic, 'still here')
    t.match(await client.received(1), [{ payload: 'still here' }], name)
    client.close()
  }
}

const share = Math.ceil(frames / 4)

await t.test(`raw frames over /ws (seed ${seed})`, async t => {
  for (let sent = 0; sent < share * 2;) {
    const isGreeted = random() < 0.9
    const tcp = await open('/ws', isGreeted ? `Authorization: Bearer ${token}\r\n` : '')
    const run = 1 + integer(60)
    for (let i = 0; i < run && !tcp.destroyed && sent < share * 2; i++, sent++) await write(tcp, wsFrame())
    if (random() < 0.5) { await write(tcp, wsPoison()); sent++ }
    if (random() < 0.1) await pace(20)
    await end(tcp)
  }
  const tcp = await open('/ws', `Authorization: Bearer ${token}\r\n`)
  await write(tcp, frame(1, large))
  await end(tcp)
  await aGoodClientWorks(t)
})

await t.test(`packets over Socket.IO's WebSocket (seed ${seed})`, async t => {
  for (let sent = 0; sent < share;) {
    const tcp = await open('/socket.io/?EIO=4&transport=websocket')
    if (random() < 0.95) await write(tcp, text(`40${JSON.stringify({ token: random() < 0.9 ? token : value() })}`))
    const run = 1 + integer(60)
    for (let i = 0; i < run && !tcp.destroyed && sent < share; i++, sent++) await write(tcp, asFrame(packet()))
    if (random() < 0.7) { await write(tcp, random() < 0.5 ? asFrame(packetPoison()) : wsPoison()); sent++ }
    await end(tcp)
  }
  await aGoodClientWorks(t)
})

await t.test(`packets over long polling (seed ${seed})`, async t => {
  const at = `${url}/socket.io/?EIO=4&transport=polling`
  const signal = () => AbortSignal.timeout(20_000)
  const post = (sid: string, body: string | Buffer) =>
    fetch(`${at}&sid=${sid}`, { method: 'POST', body, signal: signal() }).then(response => response.text(), () => '')
  const encode = (one: string | Buffer) => typeof one === 'string' ? one : `b${one.toString('base64')}`
  for (let sent = 0; sent < share;) {
    const { sid } = JSON.parse((await (await fetch(at, { signal: signal() })).text()).slice(1)) as { sid: string }
    await post(sid, `40${JSON.stringify({ token })}`)
    const controller = new AbortController()
    const polling = fetch(`${at}&sid=${sid}`, { signal: controller.signal }).then(response => response.text()).catch(
      () => ''
    )
    for (let i = 0; i < 1 + integer(3) && sent < share; i++) {
      const packets = Array.from({ length: 1 + integer(40) }, packet)
      sent += packets.length
      await post(sid, packets.map(encode).join('\x1e'))
    }
    sent++
    if (random() < 0.1) await post(sid, large.subarray(0, 1_500_000))
    else await post(sid, random() < 0.5 ? bytes(integer(500)) : encode(packetPoison()))
    controller.abort()
    await polling
    await post(sid, '1')
  }
  await aGoodClientWorks(t)
})

await t.test(`every request, with valid, boundary and broken fields (seed ${seed})`, async t => {
  const outcomes = new Map<string, { ok: number, refused: number }>()
  const wrong: string[] = []
  for (const { name: transport, connect } of transports) {
    const choices = new Random(seed)
    for (let sent = 0; sent < share;) {
      const client = await connect(url, { token })
      const [live, patterned] = [
        await client.request('subscribe', { topic }), await client.request('subscribe', { topic: 'fuzz.**' })
      ]
      await client.request('join', { channel: 'room' })
      const values = new Values(choices, {
        topic: [topic, topic, 'fuzz.*', '**', 'presence.updated'],
        subscriptionId: [live.subscriptionId, patterned.subscriptionId],
        channel: ['room', 'room', 'doc:cart:one'],
        socketId: [...app.connections.all()].map(({ id }) => id),
        token: [token, shop.token(['admin'])],
        epoch: [live.epoch], filter: [{ a: 1 }, { b: { gt: 1 } }], after: [0, { [topic]: 0 }]
      })
      const state = { isOpen: true }
      void client.closed.then(() => { state.isOpen = false })
      for (let turn = 0; turn < 10 && state.isOpen; turn++) {
        await Promise.all(Array.from({ length: 20 }, async () => {
          const name = choices.pick(app.protocol.names)
          const schema = requests[name] as Schema
          let fields = values.good(schema)
          for (let changes = choices.chance(0.3) ? 0 : 1 + choices.below(2); changes > 0; changes--) {
            fields = values.changed(fields, schema)
          }
          const text = toText(fields)
          sent++
          // Deeper than the client can write. Raw frames above cover it.
          if (/(?:\[|\{"a":){1000}/.test(text)) return
          const parsed: unknown = JSON.parse(text)
          const answer = await client.request(name, typeof parsed === 'object' && parsed !== null ? parsed : {})
          const outcome = outcomes.get(name) ?? { ok: 0, refused: 0 }
          outcome[answer.ok ? 'ok' : 'refused']++
          outcomes.set(name, outcome)
          if (
            !answer.ok &&
            (!Object.hasOwn(errorCodes, String(answer.code)) || answer.code === 'INTERNAL' ||
              typeof answer.error !== 'string' || typeof answer.message !== 'string')
          ) {
            wrong.push(`${transport} ${name} ${text.slice(0, 300)}: ${JSON.stringify(answer).slice(0, 300)}`)
          }
        }))
      }
      t.ok(state.isOpen, `${transport}: the connection stays open`)
      client.close()
      await client.closed
    }
  }
  t.same(wrong.slice(0, 10), [])
  t.same([...outcomes.keys()].sort(), [...app.protocol.names].sort(), 'every request was made')
  for (const [name, { ok, refused }] of outcomes) t.ok(ok > 0 && refused > 0, `${name}: ${ok} done, ${refused} refused`)
  await aGoodClientWorks(t)
})

await t.test('afterwards nothing is left in memory, and nothing was thrown', async t => {
  t.same(await everythingGone(), { connections: 0, webSockets: 0, engine: 0, namespace: 0, feeds: 0 })
  t.ok(app.hub.watches.isEmpty)
  const metrics = await app.instruments.registry.metrics()
  t.match(metrics, /^realtime_subscriptions 0$/m)
  t.notMatch(metrics, /^realtime_websocket_connections\{.*\} [^0]/m)
  t.same(surprises, [])
  globalThis.gc?.()
  const { heapUsed, rss } = process.memoryUsage()
  t.comment(`heap ${Math.round(heapUsed / 1e6)} MB, resident ${Math.round(rss / 1e6)} MB`)
  t.ok(heapUsed < 400e6, `${heapUsed} bytes`)
  await aGoodClientWorks(t)
})
