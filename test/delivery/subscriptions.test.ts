import t from 'tap'
import { build, listen } from '../support/build.ts'
import { connectSocketIo, connectWs, transports, type Client, type Received } from '../support/clients.ts'
import { tenant } from '../support/tenant.ts'

const { app } = await build(t)
const url = await listen(app)

const offsets = (events: Received[]) => events.map(event => event.offset)
const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

await t.test('both transports share one port, each over WebSocket', async t => {
  const shop = await tenant(app)
  const [socketIo, ws] = [
    await connectSocketIo(url, { token: shop.token() }), await connectWs(url, { token: shop.token() })
  ]
  t.equal(socketIo.socket.io.engine.transport.name, 'websocket')
  t.equal(ws.socket.readyState, ws.socket.OPEN)
  const upgraded = await connectSocketIo(url, { token: shop.token(), transports: ['polling', 'websocket'] })
  while (upgraded.socket.io.engine.transport.name !== 'websocket') {
    await new Promise(resolve => upgraded.socket.io.engine.once('upgrade', resolve))
  }
  t.equal(upgraded.socket.io.engine.transport.name, 'websocket', 'a default client does not stay on long polling')
  for (const client of [socketIo, ws, upgraded]) client.close()
})

for (const { name, connect } of transports) {
  await t.test(`over ${name}`, async t => {
    const shop = await tenant(app)
    const clients: Client[] = []
    t.teardown(() => { for (const client of clients) client.close() })
    const open = async (options = {}) => {
      const client = await connect(url, { token: shop.token(), ...options })
      clients.push(client)
      return client
    }

    await t.test('subscribing to an empty topic stores nothing, and still returns its epoch', async t => {
      const own = await tenant(app)
      const client = await open({ token: own.token() })
      const topics = ['sync.cart.created', 'sync.made-up.created', 'sync.made-up.updated']
      const [ack] = await Promise.all(topics.map(topic => client.request('subscribe', { topic })))
      const { rows } = await app.pool.query('select from topic_logs where application_id = $1', [own.applicationId])
      t.equal(rows.length, 0)
      t.match(ack, { ok: true, offset: 0, epoch: /^[\w-]{16}$/ })
      t.match(await client.request('subscribe', { topic: 'sync.cart.created', after: 0, epoch: ack?.epoch }), {
        ok: true, recovered: true
      })
      t.equal((await own.request('POST', '/api/sync/cart/documents', { id: 'one', data: {} })).status, 201)
      t.match(await client.received(1), [{ topic: 'sync.cart.created', offset: 1, epoch: ack?.epoch }])
      client.close()
    })

    await t.test('a subscriber gets the events published after its acknowledgement, in order', async t => {
      const topic = await shop.topic('order.status')
      await shop.publish(topic, { n: 0 })
      const client = await open()
      const ack = await client.request('subscribe', { topic })
      t.match(ack, { ok: true, topic, offset: 1, recovered: false, epoch: String })
      t.match(ack.subscriptionId, /^sub_/)
      const [first] = await shop.publish(topic, ...upTo(50).map(n => ({ n })))
      const events = await client.received(50)
      t.same(offsets(events), upTo(51, 2))
      t.match(events[0], {
        id: first?.id,
        topic,
        offset: 2,
        epoch: ack.epoch,
        type: 'topic.event',
        source: 'api',
        applicationId: shop.applicationId,
        environment: 'development',
        timestamp: Number,
        schemaVersion: null,
        key: null,
        payload: { n: 1 },
        subscriptionIds: [ack.subscriptionId]
      })
    })

    await t.test('documents arrive in the requested returnMode', async t => {
      const client = await open()
      const ids: Record<string, string> = {}
      for (const returnMode of ['full', 'diff', 'both']) {
        ids[returnMode] =
          (await client.request('subscribe', { topic: 'sync.session.updated', returnMode })).subscriptionId
      }
      await shop.request('POST', '/api/sync/session/documents', { id: 'd1', data: { status: 'active', n: 1 } })
      await shop.request('PATCH', '/api/sync/session/documents/d1/merge', { data: { status: 'ended' } })
      const events = await client.received(3)
      const of = (mode: string) => events.find(event => event.subscriptionIds[0] === ids[mode])?.payload
      const diff = [{ op: 'replace', path: '/status', value: 'ended' }]
      const full = { service: 'session', id: 'd1', revision: 2, data: { status: 'ended', n: 1 } }
      t.match(of('full'), full)
      t.notOk('diff' in (of('full') as object))
      t.same(of('diff'), { service: 'session', id: 'd1', revision: 2, previousRevision: 1, diff })
      t.match(of('both'), { ...full, previousRevision: 1, diff })
      t.same(events.map(event => event.type), Array(3).fill('document.updated'))
    })

    await t.test('only matching subscriptions get an event, and one message names them all', async t => {
      const topic = await shop.topic('filtered.events')
      const client = await open()
      const a = await client.request('subscribe', { topic, filter: { kind: 'a' } })
      const big = await client.request('subscribe', { topic, filter: { n: { gte: 10 } } })
      const none = await client.request('subscribe', { topic, filter: { kind: 'none' } })
      t.ok(none.ok)
      await shop.publish(topic, { kind: 'a', n: 1 }, { kind: 'b', n: 1 }, { kind: 'b', n: 10 }, { kind: 'a', n: 11 })
      const events = await client.received(3)
      t.same(offsets(events), [1, 3, 4])
      t.same(events.map(event => event.subscriptionIds.sort()), [
        [a.subscriptionId], [big.subscriptionId], [a.subscriptionId, big.subscriptionId].sort()
      ])
    })

    await t.test('a client that resumes with `after` gets the events it missed, then live ones', async t => {
      const topic = await shop.topic('resumed.events')
      const first = await open()
      await first.request('subscribe', { topic })
      await shop.publish(topic, 1, 2, 3)
      await first.received(3)
      first.cut()
      await shop.publish(topic, ...upTo(1500, 4))
      const second = await open()
      const ack = await second.request('subscribe', { topic, after: 3, filter: {} })
      t.match(ack, { ok: true, recovered: true, offset: 3 })
      await shop.publish(topic, 1501)
      t.same(offsets(await second.received(1498)), upTo(1501, 4))
      t.same(second.events.map(event => event.payload), upTo(1501, 4))
    })

    await t.test('`recovered` is false if an event cannot be recovered', async t => {
      const topic = await shop.topic('lost.events')
      await shop.publish(topic, 1, 2, 3)
      const client = await open()
      t.match(
        await client.request('subscribe', { topic, after: 99 }), { ok: true, recovered: false, offset: 3 },
        'an offset above the head'
      )
      t.match(await client.request('subscribe', { topic, after: 1, epoch: 'another' }), {
        ok: true, recovered: false, offset: 3
      }, 'another epoch')
      await app.pool.query('delete from events where topic = $1 and "offset" <= 2', [topic])
      t.match(
        await client.request('subscribe', { topic, after: 1 }), { ok: true, recovered: false, offset: 3 },
        'past retention'
      )
      t.match(
        await client.request('subscribe', { topic, after: 2 }), { ok: true, recovered: true, offset: 2 },
        'just retained'
      )
    })

    await t.test('`rewind` starts with the latest events', async t => {
      const topic = await shop.topic('rewound.events')
      await shop.publish(topic, 1, 2, 3, 4, 5)
      const client = await open()
      t.match(await client.request('subscribe', { topic, rewind: 2 }), { ok: true, offset: 3 })
      await shop.publish(topic, 6)
      t.same(offsets(await client.received(3)), [4, 5, 6])
      const other = await open()
      t.match(await other.request('subscribe', { topic, rewind: 100 }), { ok: true, offset: 0 })
      t.same(offsets(await other.received(6)), upTo(6))
    })

    await t.test('no event arrives after the answer to `unsubscribe`', async t => {
      const topic = await shop.topic('unsubscribed.events')
      const client = await open()
      const { subscriptionId } = await client.request('subscribe', { topic })
      const other = await client.request('subscribe', { topic, filter: { keep: true } })
      t.match(await client.request('unsubscribe', { subscriptionId }), { ok: true, subscriptionId })
      await shop.publish(topic, { keep: false }, { keep: true })
      const events = await client.received(1)
      t.same(events.map(event => [event.offset, event.subscriptionIds]), [[2, [other.subscriptionId]]])
      t.match(await client.request('unsubscribe', { subscriptionId }), {
        ok: false, error: 'NotFoundError', code: 'SUBSCRIPTION_NOT_FOUND'
      })
    })

    await t.test('refusals name the wrong field, and the connection stays open', async t => {
      const topic = await shop.topic('refused.events')
      const client = await open()
      const cases: [string, Record<string, unknown>, object][] = [
        ['subscribe', { topic: 'no.such' }, {
          error: 'NotFoundError', code: 'TOPIC_NOT_FOUND', message: 'Topic not found: no.such'
        }],
        ['subscribe', { topic: 'system.anything' }, { error: 'NotFoundError', code: 'TOPIC_NOT_FOUND' }],
        ['subscribe', {}, { error: 'ValidationError', message: /topic/ }],
        ['subscribe', { topic: 7 }, { error: 'ValidationError', message: /topic/ }],
        ['subscribe', { topic: 'x'.repeat(10_000) }, { error: 'ValidationError', message: /topic/ }],
        ['subscribe', { topic, after: -1 }, { error: 'ValidationError', message: /after/ }],
        ['subscribe', { topic, after: 1.5 }, { error: 'ValidationError', message: /after/ }],
        ['subscribe', { topic, after: '1' }, { error: 'ValidationError', message: /after/ }],
        ['subscribe', { topic, rewind: 0 }, { error: 'ValidationError', message: /rewind/ }],
        ['subscribe', { topic, returnMode: 'some' }, { error: 'ValidationError', message: /returnMode/ }],
        ['subscribe', { topic, filter: [] }, { error: 'ValidationError', message: /filter/ }],
        ['subscribe', { topic, filter: { a: { like: 'x' } } }, {
          error: 'ValidationError', message: /filter\/a\/like/
        }],
        ['subscribe', { topic, surprise: 1 }, { error: 'ValidationError', message: /surprise/ }],
        ['unsubscribe', { subscriptionId: 'sub_none' }, { error: 'NotFoundError', code: 'SUBSCRIPTION_NOT_FOUND' }],
        ['constructor', {}, { error: 'ValidationError', code: 'FRAME_INVALID' }],
        ['no-such-request', {}, { error: 'ValidationError', code: 'FRAME_INVALID' }]
      ]
      for (const [request, fields, refusal] of cases) {
        t.match(
          await client.request(request, fields),
          { ok: false, ...refusal },
          `${request} ${JSON.stringify(fields).slice(0, 60)}`
        )
      }
      t.match(await client.request('subscribe', { topic }), { ok: true })
    })

    await t.test('a token grants its topics, only in its own application and environment', async t => {
      const topic = await shop.topic('guarded.events')
      const stranger = await tenant(app)
      const refused = { ok: false, error: 'ForbiddenError', code: 'PERMISSION_DENIED' }
      t.match(await (await open({ token: shop.token(['publish']) })).request('subscribe', { topic }), refused)
      t.match(await (await open({ token: shop.token(['subscribe:other.*']) })).request('subscribe', { topic }), refused)
      t.match(await (await open({ token: shop.token(['subscribe:guarded.*']) })).request('subscribe', { topic }), {
        ok: true
      })
      t.match(await (await open({ token: stranger.token() })).request('subscribe', { topic }), {
        ok: false, code: 'TOPIC_NOT_FOUND'
      })
      t.match(await (await open({ environment: 'staging' })).request('subscribe', { topic }), {
        ok: false, code: 'TOPIC_NOT_FOUND'
      })
    })

    await t.test('a connection without a valid token is refused', async t => {
      for (const token of ['nonsense', 'sess_nobody', `${shop.token()}x`]) {
        if (name === 'Socket.IO') {
          const refusal = await connect(url, { token }).then(() => undefined, (error: unknown) => error)
          t.match(refusal, { data: { error: 'UnauthorizedError', code: 'CREDENTIAL_INVALID' } })
        } else {
          const client = await connect(url, { token })
          t.match(await client.message('error'), { error: 'UnauthorizedError', code: 'CREDENTIAL_INVALID' })
          t.match(await client.closed, { code: 4401 })
        }
      }
    })
  })
}

await t.test('a socket closes shortly after its token expires, unless it presents a fresh one', async t => {
  // Both transports at once, because each has to wait.
  await Promise.all(transports.map(async ({ name, connect }) => {
    const shop = await tenant(app)
    const topic = await shop.topic('expiring.events')
    const [left, refreshed] = [
      await connect(url, { token: shop.token(['client'], { expiresInS: 5 }) }),
      await connect(url, { token: shop.token(['client'], { expiresInS: 5 }) })
    ]
    await refreshed.request('subscribe', { topic })
    t.match(await refreshed.request('auth', { token: shop.token(['client'], { subject: 'somebody-else' }) }), {
      ok: false, error: 'ForbiddenError'
    })
    t.match(await refreshed.request('auth', { token: shop.token(['client']) }), { ok: true, expiresAt: Number })
    t.match(await left.closed, { code: 4402, reason: 'CREDENTIAL_EXPIRED' }, name)
    await shop.publish(topic, 1)
    await refreshed.received(1)
    refreshed.close()
  }))
})

await t.test('a broken /ws frame gets an error frame, and the connection stays open', async t => {
  const shop = await tenant(app)
  const client = await connectWs(url, { token: shop.token() })
  const cases: [string | Buffer, string][] = [
    ['', 'INVALID_JSON'],
    ['{', 'INVALID_JSON'],
    ['[]', 'FRAME_INVALID'],
    ['null', 'FRAME_INVALID'],
    ['"x"', 'FRAME_INVALID'],
    ['{}', 'FRAME_INVALID'],
    ['{"type":1}', 'FRAME_INVALID'],
    ['{"type":"__proto__"}', 'FRAME_INVALID'],
    [Buffer.from([1, 2, 3]), 'FRAME_INVALID'],
    [`{"type":"subscribe","topic":"a","filter":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 'VALIDATION_FAILED']
  ]
  for (const [frame, code] of cases) {
    client.messages.length = 0
    client.socket.send(frame)
    t.match(await client.message('error'), { code }, String(frame).slice(0, 40))
  }
  client.messages.length = 0
  client.socket.send(Buffer.from([0x7b, 0x22, 0xff, 0xfe]), { binary: false })
  t.match(await client.message('error'), { code: 'INVALID_UTF8' })
  client.socket.send('{"type":"ping","id":"p1"}')
  t.same(await client.message('pong'), { id: 'p1' })
  client.close()
})

await t.test('/ws accepts the token in the first frame or the query as well', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('greeted.events')
  const byFrame = await connectWs(url)
  t.match(await byFrame.request('subscribe', { topic }), { ok: false, code: 'CREDENTIAL_MISSING' })
  t.match(await byFrame.request('auth', { token: shop.token() }), {
    ok: true, applicationId: shop.applicationId, environment: 'development'
  })
  t.match(await byFrame.request('subscribe', { topic }), { ok: true })
  byFrame.close()
})
