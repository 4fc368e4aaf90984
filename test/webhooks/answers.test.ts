import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { AnswerHeads } from '../../src/webhooks/http/answer-heads.ts'
import { createAddressGuard } from '../../src/webhooks/http/address-guard.ts'
import { Sender, type SenderSettings } from '../../src/webhooks/http/sender.ts'

/* Real senders against servers that respond with exactly the given bytes. */

const settings: SenderSettings = {
  endpointConcurrencyMax: 4,
  connectTimeoutMs: 5000,
  timeoutMs: 10_000,
  responseBytesLogged: 1024,
  responseBytesMax: 65_536,
  retryAfterMaxMs: 3_600_000
}
const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const guard = createAddressGuard({ allowPrivate: true, allowedNetworks: [], resolve: async () => [] })

interface Teardown { teardown (work: () => Promise<void>): void }

/** Calls `answer` for each request, with its number and the number of the request on its connection. */
async function rawServer (
  t: Teardown, answer: (socket: Socket, nth: { request: number, onConnection: number }) => void
) {
  const sockets = new Set<Socket>()
  const seen = { requests: 0, connections: 0 }
  const server = createServer(socket => {
    sockets.add(socket)
    seen.connections++
    let onConnection = 0
    let text = ''
    socket.on('error', () => {})
    socket.on('data', chunk => {
      text += chunk.toString()
      if (!text.endsWith('\r\n\r\n{}')) return
      text = ''
      answer(socket, { request: ++seen.requests, onConnection: ++onConnection })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  let resent = 0
  const { port } = server.address() as AddressInfo
  const sender = new Sender({ url: `http://127.0.0.1:${port}/`, guard, settings, onResent: () => { resent++ } })
  t.teardown(async () => {
    await sender.close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { send: () => sender.send('{}', {}), seen, get resent () { return resent }, server, sender }
}

const interim = (status: number, headers = '') => `HTTP/1.1 ${status} Whatever\r\n${headers}\r\n`

await t.test('informational responses before the final one are skipped, however the bytes are split', async t => {
  const kinds: Record<string, string[]> = {
    'an unasked 100': [interim(100), ok],
    'in one packet': [interim(100) + ok],
    'of every kind': [interim(100) + interim(102) + interim(103, 'link: </a.css>; rel=preload\r\n') + interim(199), ok],
    'without a reason': ['HTTP/1.1 100\r\n\r\n', ok],
    'of HTTP/1.0 with bare LF': ['HTTP/1.0 100 Continue\n\n', ok],
    'with fields that mean nothing there': [
      interim(103, 'content-length: 7\r\nconnection: close\r\nretry-after: 9\r\n') + ok
    ],
    'byte by byte': [...(interim(100) + interim(103, 'x: y\r\n') + ok)]
  }
  for (const [name, pieces] of Object.entries(kinds)) {
    const { send, seen } = await rawServer(t, socket => { void writeAll(socket, pieces) })
    for (let i = 0; i < 2; i++) {
      t.match(await send(), {
        success: true, statusCode: 200, responseBody: 'ok', retryAfterMs: undefined, error: null
      }, name)
    }
    t.strictSame(seen, { requests: 2, connections: 1 }, `${name}: one request each, on one connection`)
  }
})

await t.test('a failure after an informational response is reported as that failure', async t => {
  const { send } = await rawServer(t, socket => {
    socket.write(`${interim(100)}HTTP/1.1 503 Busy\r\nretry-after: 2\r\ncontent-length: 0\r\n\r\n`)
  })
  t.match(await send(), { success: false, statusCode: 503, retryAfterMs: 2000 })
})

await t.test('an endless series of informational responses ends the attempt, as does an unrequested 101', async t => {
  const endless = await rawServer(t, socket => {
    const more = () => { while (!socket.destroyed && socket.write(interim(103).repeat(50))); }
    socket.on('drain', more)
    more()
  })
  t.match(await endless.send(), {
    success: false, statusCode: null,
    error: 'Failed: There were too many informational (1xx) responses (INTERIM_ANSWERS_TOO_LONG)'
  })
  const upgraded = await rawServer(t, socket => {
    socket.write(`${interim(101, 'upgrade: x\r\nconnection: upgrade\r\n')}${ok}`)
  })
  t.match(await upgraded.send(), { success: false, error: /Failed: / })
  t.equal(upgraded.resent, 0)
})

await t.test('a Content-Length repeated with one value is accepted, and with two values rejected', async t => {
  const answers: [string, boolean][] = [
    ['content-length: 2\r\nContent-Length: 2\r\n', true],
    ['content-length: 2, 2\r\n', true],
    ['x: y\r\ncontent-length: 2,2\r\ncontent-length: 02\r\nz: content-length: 3\r\n', true],
    ['content-length: 2, 3\r\n', false],
    ['content-length: 2\r\ncontent-length: 3\r\n', false],
    ['content-length: 2, x\r\n', false]
  ]
  for (const [headers, success] of answers) {
    const { send, seen } = await rawServer(t, socket => { socket.write(`HTTP/1.1 200 OK\r\n${headers}\r\nok`) })
    for (let i = 0; i < 2; i++) t.match(await send(), { success, ...(success && { responseBody: 'ok' }) }, headers)
    if (success) t.equal(seen.connections, 1, headers)
  }
})

await t.test('a response that is not HTTP, an overlong head and a cut head fail at once', async t => {
  for (
    const [name, bytes] of Object.entries({
      'a banner': 'SSH-2.0-OpenSSH\r\n',
      'a short word': 'HELO',
      'a long head': `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}`
    })
  ) {
    const { send } = await rawServer(t, socket => {
      socket.write(bytes)
    })
    t.match(await send(), { success: false, error: /Failed: / }, name)
  }
  const cut = await rawServer(t, socket => { socket.end('HTTP/1.1 200 OK\r\nx:') })
  t.match(await cut.send(), { success: false, error: /Failed: / })
})

await t.test('a kept-alive connection that ends before any byte of the response costs no attempt', async t => {
  for (
    const [how, end] of Object.entries({
      'a reset': (socket: Socket) => socket.resetAndDestroy(), 'a close': (socket: Socket) => socket.end(),
      'a cut': (socket: Socket) => socket.destroy()
    })
  ) {
    const server = await rawServer(t, (socket, { onConnection }) => {
      if (onConnection === 1) socket.write(ok)
      else end(socket)
    })
    for (let i = 1; i <= 3; i++) {
      t.match(await server.send(), { success: true }, how)
      t.equal(server.resent, i - 1, `${how}: counted as resent`)
    }
    t.strictSame(server.seen, { requests: 5, connections: 3 }, how)
  }
})

await t.test('a request is sent again once, on a new connection, even if others are kept alive', async t => {
  let isDown = false
  const waiting: Socket[] = []
  const server = await rawServer(t, socket => {
    if (isDown) return socket.resetAndDestroy()
    waiting.push(socket)
    if (waiting.length === 3) for (const one of waiting.splice(0)) one.write(ok)
  })
  t.match(await Promise.all([1, 2, 3].map(server.send)), [1, 2, 3].map(() => ({ success: true })))
  isDown = true
  t.match(await server.send(), { success: false, error: /Failed: / })
  t.strictSame(server.seen, { requests: 5, connections: 4 })
  t.equal(server.resent, 1)
})

await t.test('a request is not sent again on a new connection or after any byte of a response', async t => {
  const fresh = await rawServer(t, socket => { socket.resetAndDestroy() })
  t.match(await fresh.send(), { success: false })
  for (const first of ['H', interim(100), 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart']) {
    const begun = await rawServer(t, (socket, { onConnection }) => {
      if (onConnection === 1) socket.write(ok)
      else socket.end(first)
    })
    t.match(await begun.send(), { success: true })
    t.match(await begun.send(), { success: false, error: /Failed: / }, first)
    t.strictSame({ ...begun.seen, resent: begun.resent }, { requests: 2, connections: 1, resent: 0 }, first)
  }
  t.strictSame({ ...fresh.seen, resent: fresh.resent }, { requests: 1, connections: 1, resent: 0 })
})

await t.test('an aborted attempt is not sent again', async t => {
  const server = await rawServer(t, (socket, { onConnection }) => {
    if (onConnection === 1) return socket.write(ok)
    server.sender.breakOff()
  })
  await server.send()
  t.match(await server.send(), { success: false, error: /Interrupted/ })
  t.strictSame({ ...server.seen, resent: server.resent }, { requests: 2, connections: 1, resent: 0 })
})

t.test('the parser receives the same bytes however they are split', async () => {
  const finals = [
    ok, 'HTTP/1.1 204 No Content\r\n\r\n', 'HTTP/1.1 200 OK\n\nHTTP/1.1 100 in a body\r\n\r\n', 'no HTTP at all'
  ]
  fc.assert(fc.property(
    fc.array(fc.constantFrom(interim(100), interim(103, 'a: b\r\n'), 'HTTP/1.1 102\n\n')),
    fc.constantFrom(...finals),
    fc.array(fc.integer({ min: 1, max: 20 })),
    (before, final, cuts) => {
      const heads = new AnswerHeads()
      heads.begin()
      const bytes = Buffer.from(before.join('') + final)
      const passed: Buffer[] = []
      let at = 0
      for (const cut of [...cuts, bytes.length]) passed.push(heads.take(bytes.subarray(at, at += cut)))
      return Buffer.concat([...passed, heads.rest()]).toString() === final
    }
  ))
})

async function writeAll (socket: Socket, pieces: readonly string[]): Promise<void> {
  socket.setNoDelay(true)
  for (const piece of pieces) await new Promise(resolve => socket.write(piece, () => setImmediate(resolve)))
}
