import { once } from 'node:events'
import t from 'tap'
import { WebSocket } from 'ws'
import { build, listen } from '../../support/build.ts'
import { connectSocketIo, connectWs, transports } from '../../support/clients.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

/* The form of requests: malformed ones are refused before anything reads them, and answers repeat the request's id. */

t.setTimeout(600_000)

const { app } = await build(t)
const url = await listen(app)
const shop = await tenant(app)
const wide = Object.fromEntries(Array.from({ length: 90_000 }, (_, i) => [`k${i}`, 0]))
const stillServed = { ok: false, code: 'SUBSCRIPTION_NOT_FOUND' }

await t.test('binary data in a Socket.IO request is refused, and the connection stays open', async t => {
  for (const kind of ['websocket', 'polling'] as const) {
    const client = await connectSocketIo(url, { token: shop.token(), transports: [kind] })
    const large = Buffer.alloc(kind === 'websocket' ? 1_000_000 : 100_000)
    const requests: Record<string, unknown[]> = {
      'a Buffer': ['leave', large],
      'a Buffer as a name': ['join', { channel: Buffer.from('room') }],
      'an ArrayBuffer': ['publish', new ArrayBuffer(8)],
      'a typed array': ['presence', { channel: 'room', state: new Float64Array(2) }],
      'a deep one': ['publish', { channel: 'room', event: 'said', data: { a: [{ b: Buffer.from('x') }] } }],
      'many of them': ['publish', Array.from({ length: 30 }, () => Buffer.from('x'))],
      'one beside the fields': ['leave', { channel: 'room' }, Buffer.from('x')],
      'an unknown request': ['fly', Buffer.from('x')]
    }
    for (const [what, [name, ...args]] of Object.entries(requests)) {
      t.match(await client.socket.timeout(60_000).emitWithAck(name as string, ...args), {
        ok: false, error: 'ValidationError', code: 'FRAME_INVALID', message: /[Bb]inary/
      }, `${kind}: ${what}`)
    }
    client.messages.length = 0
    client.socket.emit('leave', Buffer.from('x'))
    t.match(await client.message('error'), { ok: false, code: 'FRAME_INVALID' }, 'without an acknowledgement')
    for (
      const packet of [
        '51-["x",{"_placeholder":true,"num":0}]',
        '5999999-["leave"]',
        '51-["leave"',
        `51-${'9'.repeat(400)}["leave"]`
      ]
    ) {
      client.messages.length = 0
      client.socket.io.engine.write(packet)
      t.match(
        await client.message('error'),
        { code: 'FRAME_INVALID' },
        `${packet.slice(0, 40)}, whose attachments never come`
      )
      t.match(await client.request('unsubscribe', { subscriptionId: 'x' }), stillServed)
    }
    for (
      const stray of [
        '61-1[{"_placeholder":true,"num":0}]', Buffer.from('an attachment of nothing'),
        '31[{"_placeholder":true,"num":0}]'
      ]
    ) {
      client.socket.io.engine.write(stray as string)
      t.match(
        await client.request('unsubscribe', { subscriptionId: 'x' }), stillServed, 'stray answers are ignored'
      )
    }
    client.close()
  }
})

await t.test('JSON that looks like a binary placeholder is ordinary JSON', async t => {
  const [ada, bob] = [
    await connectSocketIo(url, { token: shop.token() }), await connectWs(url, { token: shop.token() })
  ]
  for (const client of [ada, bob]) await client.request('join', { channel: 'room' })
  const data = { a: { _placeholder: true, num: 0 } }
  t.match(await ada.request('publish', { channel: 'room', event: 'said', data }), { ok: true, delivered: 1 })
  t.same((await bob.message('message'))['data'], data)
  for (const client of [ada, bob]) client.close()
})

await t.test('a request with too many fields, elements or arguments is refused before it is walked', async t => {
  for (const { name, connect } of transports) {
    const client = await connect(url, { token: shop.token() })
    for (const request of ['leave', 'subscribe', 'auth']) {
      t.match(await client.request(request, wide), {
        ok: false, code: 'VALIDATION_FAILED', message: /at most 32 fields/, details: [{ path: '' }]
      }, `${name}: ${request}`)
    }
    t.match(await client.request('fly', wide), { ok: false, code: 'FRAME_INVALID' })
    const refusals: [string, object, RegExp][] = [
      ['subscribe', { topic: 'a.b', filter: wide }, /filter/],
      ['subscribe', { topic: 'a.*', after: wide }, /after/],
      ['join', { channel: 'room', state: wide }, /\/state must be at most 4096 bytes/],
      ['join', { channel: 'room', state: Array(90_000).fill(0) }, /\/state must be at most 4096 bytes/],
      ['publish', { channel: 'room', event: 'said', data: wide }, /\/data must be at most 262144 bytes/],
      [
        'publish', { channel: 'room', event: 'said', data: { a: [Array(200_000).fill(0)] } },
        /\/data\/a\/0 must be at most 262144 bytes/
      ]
    ]
    for (const [request, fields, message] of refusals) {
      t.match(
        await client.request(request, fields),
        { ok: false, code: 'VALIDATION_FAILED', message },
        `${name}: ${request}`
      )
    }
    client.close()
  }
  const client = await connectSocketIo(url, { token: shop.token() })
  for (
    const packet of [
      `2["leave",${'0,'.repeat(400_000)}0]`,
      '2["leave",{},{}]',
      `2["join",{},${'['.repeat(100_000)}${']'.repeat(100_000)}]`
    ]
  ) {
    client.messages.length = 0
    client.socket.io.engine.write(packet)
    t.match(await client.message('error'), { code: 'FRAME_INVALID', message: /one argument/ }, packet.slice(0, 20))
  }
  t.match(await client.request('unsubscribe', { subscriptionId: 'x' }), stillServed)
  client.close()
})

await t.test('a /ws id is repeated exactly as sent, or refused', async t => {
  const { socket, close } = await connectWs(url, { token: shop.token() })
  const answers: string[] = []
  socket.on('message', (data: Buffer) => { answers.push(data.toString()) })
  const ask = async (frame: string) => {
    const before = answers.length
    socket.send(frame)
    await until(() => answers.length > before, `an answer to ${frame.slice(0, 60)}`)
    return answers.at(-1) ?? ''
  }
  const good = [
    '0',
    '-1',
    '7',
    '9007199254740991',
    '-9007199254740991',
    '""',
    '"p1"',
    '"9007199254740993"',
    `"${'x'.repeat(128)}"`,
    '"\u{1f600}"'
  ]
  for (const id of good) {
    for (const frame of [`{"type":"ping","id":${id}}`, `{ "id" : ${id} , "type" : "ping" }`]) {
      t.equal(await ask(frame), `{"type":"pong","id":${id}}`, frame)
    }
  }
  for (
    const id of [
      '9007199254740992',
      '9007199254740993',
      '-9007199254740993',
      '1e400',
      '-1e400',
      '1e2',
      '1.5',
      '1.0',
      '-0',
      '1.0000000000000000001',
      '9007199254740990.6',
      '123456789012345678901234567890',
      `"${'x'.repeat(129)}"`,
      '{}',
      '[1]',
      'true',
      'false'
    ]
  ) {
    t.match(JSON.parse(await ask(`{"type":"ping","id":${id}}`)), {
      type: 'error',
      code: 'FRAME_INVALID',
      message: /id/
    }, id.slice(0, 40))
  }
  t.equal(await ask('{"type":"ping","id":null}'), '{"type":"pong"}', 'null counts as no id')
  close()
})

await t.test('lengths are counted in code points, over sockets as over REST', async t => {
  const astral = (count: number) => '\u{1f600}'.repeat(count)
  const publish = async (channel: string, event: string) =>
    (await shop.request('POST', '/api/socket/broadcast', { channel, event, data: 1 })).status
  for (const { name, connect } of transports) {
    const client = await connect(url, { token: shop.token() })
    t.match(await client.request('join', { channel: astral(200) }), { ok: true }, name)
    t.match(await client.request('join', { channel: astral(201) }), {
      ok: false, code: 'VALIDATION_FAILED', message: /channel/
    }, name)
    t.match(await client.request('publish', { channel: astral(200), event: astral(100), data: 1 }), { ok: true }, name)
    t.match(await client.request('publish', { channel: astral(200), event: astral(101), data: 1 }), {
      ok: false, message: /event/
    }, name)
    t.match(await client.request('unsubscribe', { subscriptionId: astral(64) }), stillServed, name)
    t.match(await client.request('unsubscribe', { subscriptionId: astral(65) }), {
      ok: false, code: 'VALIDATION_FAILED'
    }, name)
    client.close()
  }
  t.equal(await publish(astral(200), astral(100)), 200)
  t.equal(await publish(astral(201), 'x'), 400)
  t.equal(await publish('x', astral(101)), 400)
})

await t.test('over /ws, at most 100 frames wait while the credential is checked', async t => {
  const { identify } = app.handshake
  let check = () => {}
  const checked = new Promise<void>(resolve => { check = resolve })
  t.teardown(() => { app.handshake.identify = identify })
  app.handshake.identify = async (...greeting) => {
    await checked
    return await identify(...greeting)
  }
  const client = await connectWs(url)
  client.request('auth', { token: shop.token() }).catch(() => {})
  const refusals: string[] = []
  const answers = Array.from(
    { length: 103 },
    (_, n) =>
      client.request('unsubscribe', { subscriptionId: `sub_${n}` }, ({ code = '' }) => {
        refusals.push(`${n} ${code}`)
      })
  )
  await Promise.all(answers.slice(100))
  t.same(refusals, ['100 RATE_LIMITED', '101 RATE_LIMITED', '102 RATE_LIMITED'])
  check()
  await Promise.all(answers)
  t.same(
    refusals.slice(3),
    Array.from({ length: 100 }, (_, n) => `${n} SUBSCRIPTION_NOT_FOUND`),
    'the waiting frames are answered in order'
  )
  client.close()
})

await t.test('a close frame gets its code back, 1007 for invalid UTF-8, 1002 for an invalid code', async t => {
  const closing = async (payload: Buffer) => {
    const { socket, tcp } = await connectWs(url, { token: shop.token() })
    const closed = once(socket, 'close')
    // Masked with zeros.
    tcp().write(Buffer.concat([Buffer.from([0x88, 0x80 | payload.length, 0, 0, 0, 0]), payload]))
    const [code, reason] = await closed as [number, Buffer]
    return { code, reason: reason.toString() }
  }
  const frame = (code: number, reason: Buffer | string = '') =>
    Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)])
  for (const code of [1000, 1001, 1003, 1012, 3000, 4999]) {
    t.same(await closing(frame(code, 'goodbye ä')), { code, reason: 'goodbye ä' })
  }
  t.match(await closing(Buffer.alloc(0)), { code: 1005 })
  for (const bytes of [[0xff, 0xfe], [0xc0, 0xaf], [0x61, 0xe2, 0x82], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80]]) {
    t.match(await closing(frame(1000, Buffer.from(bytes))), { code: 1007 }, Buffer.from(bytes).toString('hex'))
  }
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535]) {
    t.match(await closing(frame(code)), { code: 1002 }, String(code))
  }
  t.match(await closing(Buffer.from([3])), { code: 1002 }, 'half a code')
})

await t.test('/ws accepts only its own subprotocol', async t => {
  const address = `${url.replace('http', 'ws')}/ws`
  const headers = { authorization: `Bearer ${shop.token()}` }
  for (
    const [offered, agreed] of [[[], ''], [['realtime.v1'], 'realtime.v1'], [
      ['graphql-ws', 'realtime.v1', 'mqtt'], 'realtime.v1'
    ]] as const
  ) {
    const socket = new WebSocket(address, [...offered], { headers })
    const [data] = await once(socket, 'message') as [Buffer]
    t.match(JSON.parse(data.toString()), { type: 'authenticated' })
    t.equal(socket.protocol, agreed)
    socket.terminate()
  }
  for (const offered of ['graphql-ws', 'Realtime.v1', 'realtime.v2']) {
    const socket = new WebSocket(address, [offered], { headers })
    const upgrade = once(socket, 'upgrade')
    socket.on('error', () => {})
    const [response] = await upgrade as [{ headers: Record<string, string> }]
    t.equal(response.headers['sec-websocket-protocol'], undefined, offered)
    socket.terminate()
  }
})
