import type { Socket } from 'node:net'
import t from 'tap'
import { build, listen } from '../support/build.ts'
import { connectSocketIo, connectWs, transports, type Client, type ConnectOptions } from '../support/clients.ts'
import { ask, idOf, join, messagesOf, presenceOf } from '../support/room.ts'
import { tenant, type Tenant } from '../support/tenant.ts'
import { pace, until } from '../support/waiting.ts'

const { app } = await build(t, {
  adapt: config => {
    config.delivery.requestsPerSecond = config.delivery.bytesPerSecond = 0
  }
})
const url = await listen(app)
const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

for (const { name, connect } of transports) {
  await t.test(`over ${name}`, async t => {
    const shop = await tenant(app)
    const clients: Client[] = []
    t.teardown(() => {
      for (const client of clients) client.close()
    })
    const open = async (
      subject: string,
      { of = shop, permissions = ['admin'], ...options }: ConnectOptions & { of?: Tenant, permissions?: string[] } = {}
    ) => {
      const client = await connect(url, { token: of.token(permissions, { subject }), ...options })
      clients.push(client)
      return client
    }

    await t.test('members see each other join, update and leave', async t => {
      const [ann, bob] = [await open('ann'), await open('bob')]
      const anns = await join(ann, 'chat:one', { state: { mood: 'fine' } })
      const own = { socketId: idOf(ann), userId: 'ann', joinedAt: Number, state: { mood: 'fine' } }
      t.match(anns.answer, { ok: true, channel: 'chat:one', members: [own] })
      t.equal(anns.answer.members.length, 1)
      const bobs = await join(bob, 'chat:one')
      t.match(bobs.answer.members, [own, { socketId: idOf(bob), userId: 'bob', state: null }])
      await until(() => presenceOf(ann).length === 1, 'the join')
      t.match(presenceOf(ann), [{
        channel: 'chat:one', action: 'join', member: { socketId: idOf(bob), userId: 'bob', state: null }
      }])

      t.match(await ask(bob, 'presence', { channel: 'chat:one', state: { typing: true } }), {
        ok: true, channel: 'chat:one'
      })
      await until(() => presenceOf(ann).length === 2, 'the update')
      t.match(presenceOf(ann)[1], { action: 'update', member: { socketId: idOf(bob), state: { typing: true } } })
      t.notOk('previousSocketId' in (presenceOf(ann)[1]?.member ?? {}))

      t.match(await ask(bob, 'leave', { channel: 'chat:one' }), { ok: true, channel: 'chat:one' })
      await until(() => presenceOf(ann).length === 3, 'the leave')
      t.match(presenceOf(ann)[2], { action: 'leave', member: { socketId: idOf(bob), userId: 'bob' } })
      t.same(presenceOf(bob), [], 'members get no presence messages about themselves')
      t.same((await join(ann, 'chat:one')).answer.members, anns.view(), 'joining again returns the members again')
    })

    await t.test('a message reaches every member but its sender, who need not be one', async t => {
      const [ann, bob, eve] = [await open('ann'), await open('bob'), await open('eve')]
      for (const client of [ann, bob]) await join(client, 'chat:two')
      const data = { text: 'hé\u2028"\\', list: [1, null, { a: true }] }
      t.match(await ask(ann, 'publish', { channel: 'chat:two', event: 'said', data }), { ok: true, delivered: 1 })
      t.match(await ask(eve, 'publish', { channel: 'chat:two', event: 'shouted', data: 7 }), { ok: true, delivered: 2 })
      t.match(await ask(eve, 'publish', { channel: 'chat:nobody', event: 'shouted', data: 7 }), {
        ok: true, delivered: 0
      })
      await until(() => messagesOf(bob).length === 2 && messagesOf(ann).length === 1, 'the messages')
      t.match(messagesOf(bob), [
        { channel: 'chat:two', event: 'said', data, from: { socketId: idOf(ann), userId: 'ann' }, timestamp: Number },
        { channel: 'chat:two', event: 'shouted', data: 7, from: { socketId: idOf(eve), userId: 'eve' } }
      ])
      t.same(messagesOf(bob)[0]?.data, data)
      t.same(messagesOf(ann).map(({ event }) => event), ['shouted'])
      t.same(messagesOf(eve), [])
    })

    await t.test('a direct message reaches one socket', async t => {
      const [ann, bob, eve] = [await open('ann'), await open('bob'), await open('eve')]
      t.match(await ask(ann, 'direct', { socketId: idOf(bob), event: 'psst', data: null }), { ok: true, delivered: 1 })
      await until(() => messagesOf(bob).length === 1, 'the message')
      t.match(messagesOf(bob)[0], { event: 'psst', data: null, from: { socketId: idOf(ann) } })
      t.notOk('channel' in (messagesOf(bob)[0] ?? {}))
      t.same(messagesOf(eve), [])
      t.match(await ask(ann, 'direct', { socketId: 'conn_none', event: 'psst', data: null }), {
        ok: false, error: 'NotFoundError', code: 'SOCKET_NOT_FOUND'
      })
    })

    await t.test('the same name in another application or environment is another channel', async t => {
      const other = await tenant(app)
      const here = await open('ann')
      const places = [await open('ann', { of: other }), await open('ann', { environment: 'staging' })]
      const hers = await join(here, 'chat:apart', { state: 'here' })
      for (const stranger of places) {
        const { answer } = await join(stranger, 'chat:apart')
        t.same(answer.members.map(({ socketId }) => socketId), [idOf(stranger)])
        t.match(await ask(stranger, 'publish', { channel: 'chat:apart', event: 'e', data: 1 }), { delivered: 0 })
        t.match(await ask(stranger, 'direct', { socketId: idOf(here), event: 'e', data: 1 }), {
          code: 'SOCKET_NOT_FOUND'
        })
        t.match(await ask(stranger, 'presence', { channel: 'chat:apart', state: 'there' }), { ok: true })
        t.match(await ask(stranger, 'leave', { channel: 'chat:apart' }), { ok: true })
      }
      await ask(here, 'presence', { channel: 'chat:apart', state: 'still' })
      t.same(presenceOf(here), [])
      t.same(messagesOf(here), [])
      t.equal(hers.view().length, 1)
    })

    await t.test('each request requires its permission', async t => {
      const denied = { ok: false, error: 'ForbiddenError', code: 'PERMISSION_DENIED' }
      const requests: [string, object, string][] = [
        ['join', { channel: 'c' }, 'subscribe'],
        ['leave', { channel: 'c' }, 'subscribe'],
        ['presence', { channel: 'c', state: 1 }, 'subscribe'],
        ['publish', { channel: 'c', event: 'e', data: 1 }, 'publish'],
        ['direct', { socketId: 'conn_x', event: 'e', data: 1 }, 'publish']
      ]
      const reader = await open('r', { permissions: ['subscribe:socket.*'] })
      const writer = await open('w', { permissions: ['publish:socket.message'] })
      const neither = await open('n', {
        permissions: ['subscribe:order.*', 'publish:order.*', 'documents:read', 'socket:read']
      })
      for (const [request, fields, verb] of requests) {
        t.match(await ask(neither, request, fields), denied, request)
        t.match(await ask(verb === 'subscribe' ? writer : reader, request, fields), denied, request)
        const allowed = await ask(verb === 'subscribe' ? reader : writer, request, fields)
        t.not(allowed.code, 'PERMISSION_DENIED', request)
      }
      t.match(await ask(reader, 'join', { channel: 'doc:board:one' }), { ...denied, message: /documents:read/ })
      t.match(await ask(await open('c', { permissions: ['client'] }), 'join', { channel: 'doc:board:one' }), {
        ok: true
      })
    })

    await t.test('malformed requests are refused, and the connection stays open', async t => {
      const client = await open('ann')
      const deep = (levels: number): unknown => levels === 0 ? 1 : [deep(levels - 1)]
      const bad: [string, object][] = [
        ...['join', 'leave', 'presence', 'publish'].flatMap(request => ([
          {},
          { channel: '' },
          { channel: 7 },
          { channel: 'a\nb' },
          { channel: 'a\0' },
          { channel: 'a\u0085b' },
          { channel: 'x'.repeat(201) },
          { channel: 'c', extra: 1 }
        ].map(fields =>
          [request, {
            ...(request === 'publish' && { event: 'e', data: 1 }),
            ...(request === 'presence' && { state: 1 }),
            ...fields
          }] as [string, object]
        ))),
        ['presence', { channel: 'c' }],
        ['publish', { channel: 'c', event: 'e' }],
        ['publish', { channel: 'c', event: '', data: 1 }],
        ['publish', { channel: 'c', event: 'x'.repeat(101), data: 1 }],
        ['publish', { channel: 'c', event: 7, data: 1 }],
        ['direct', { socketId: '', event: 'e', data: 1 }],
        ['direct', { socketId: 7, event: 'e', data: 1 }],
        ['direct', { event: 'e', data: 1 }],
        ['direct', { socketId: 'x', event: 'e' }],
        ...['publish', 'direct'].flatMap(request =>
          [deep(65), 'x\0', { 'a\0': 1 }, JSON.parse('{"__proto__":1}') as unknown, 'x'.repeat(256 * 1024)]
            .map(data =>
              [request, {
                ...(request === 'publish' ? { channel: 'c' } : { socketId: idOf(client) }),
                event: 'e',
                data
              }] as [string, object]
            )
        ),
        ...['join', 'presence'].flatMap(request =>
          ['x'.repeat(4095), 'é'.repeat(2048), 'x\0', deep(65)].map(state =>
            [request, { channel: 'c', state }] as [string, object]
          )
        )
      ]
      for (const [request, fields] of bad) {
        t.match(await ask(client, request, fields), {
          ok: false, error: 'ValidationError', details: [{ path: String }]
        }, `${request} ${JSON.stringify(fields).slice(0, 80)}`)
      }
      t.match(
        await ask(client, 'join', { channel: 'c', state: 'x'.repeat(4094) }), { ok: true }, '4 KiB of state'
      )
      for (const request of ['leave', 'presence']) {
        t.match(
          await ask(client, request, { channel: 'other', state: 1, ...(request === 'leave' && { state: undefined }) }),
          { ok: false, error: 'ConflictError', code: 'NOT_A_MEMBER' }
        )
      }
    })

    await t.test('a connection is in 100 channels at most', async t => {
      const client = await open('ann')
      for (const n of upTo(100)) await ask(client, 'join', { channel: `many:${n}` })
      t.match(await ask(client, 'join', { channel: 'many:101' }), {
        ok: false, error: 'RateLimitError', code: 'CHANNEL_LIMIT'
      })
      t.match(await ask(client, 'join', { channel: 'many:7' }), { ok: true }, 'joining again does not count')
      await ask(client, 'leave', { channel: 'many:1' })
      t.match(await ask(client, 'join', { channel: 'many:101' }), { ok: true })
    })

    await t.test('the messages of each sender to a channel arrive in order', async t => {
      const senders = await Promise.all(upTo(8).map(n => open(`s${n}`)))
      const readers = await Promise.all(upTo(4).map(n => open(`r${n}`)))
      for (const client of [...readers, ...senders]) await join(client, 'chat:order')
      await Promise.all(senders.map(async sender => {
        const answers = upTo(200).map(n => ask(sender, 'publish', { channel: 'chat:order', event: 'n', data: n }))
        for (const answer of await Promise.all(answers)) {
          if (answer.delivered !== 11) throw new Error(JSON.stringify(answer))
        }
      }))
      for (const reader of readers) {
        await until(() => messagesOf(reader).length === 1600, '1600 messages')
        for (const sender of senders) {
          t.same(
            messagesOf(reader).filter(({ from }) => from.socketId === idOf(sender)).map(({ data }) => data), upTo(200)
          )
        }
      }
    })
  })
}

await t.test('a member gets no message from before the answer to join or after the answer to leave', async t => {
  const shop = await tenant(app)
  const open = (n: number) =>
    n % 2 === 0
      ? connectSocketIo(url, { token: shop.token(['admin'], { subject: `u${n}` }) })
      : connectWs(url, { token: shop.token(['admin'], { subject: `u${n}` }) })
  const publishers = await Promise.all(upTo(3).map(open))
  const members = await Promise.all(upTo(20).map(open))
  /** Numbers assigned, and those whose publish is answered, by publisher. */
  const sent = publishers.map(() => 0)
  const acked = publishers.map(() => 0)
  const over = new AbortController()
  const publishing = publishers.map(async (publisher, p) => {
    while (!over.signal.aborted) {
      const burst = upTo(5).map(async () => {
        const n = (sent[p] ?? 0) + 1
        sent[p] = n
        await ask(publisher, 'publish', { channel: 'chat:storm', event: 'n', data: { p, n } })
        acked[p] = Math.max(acked[p] ?? 0, n)
      })
      await Promise.all(burst)
    }
  })
  let [rounds, wrong, got] = [0, 0, 0]
  await Promise.all(members.map(async member => {
    for (let round = 0; round < 25; round++) {
      const from = messagesOf(member).length
      const before = [...acked]
      const bounds = { joined: -1, left: -1 }
      let sentAtJoin: number[] = []
      await member.request('join', { channel: 'chat:storm' }, () => {
        bounds.joined = messagesOf(member).length
        sentAtJoin = [...sent]
      })
      await pace(Math.random() * 20)
      const ackedBeforeLeave = [...acked]
      await member.request('leave', { channel: 'chat:storm' }, () => { bounds.left = messagesOf(member).length })
      const sentAtLeave = [...sent]
      const seen = messagesOf(member).slice(from).map(({ data }) => data as { p: number, n: number })
      if (bounds.joined !== from) wrong++
      // Its answer follows every message that the connection got before it.
      await ask(member, 'leave', { channel: 'chat:storm' })
      if (messagesOf(member).length !== bounds.left) wrong++
      for (const p of publishers.keys()) {
        const own = seen.filter(one => one.p === p).map(({ n }) => n)
        const [first = Infinity, last = 0] = [own[0], own.at(-1)]
        if (own.some((n, i) => i > 0 && n !== (own[i - 1] ?? 0) + 1)) wrong++
        if (first <= (before[p] ?? 0) || last > (sentAtLeave[p] ?? 0)) wrong++
        // Every message sent after the join's answer and answered before the leave has arrived.
        if (
          (ackedBeforeLeave[p] ?? 0) > (sentAtJoin[p] ?? 0) &&
          !(first <= (sentAtJoin[p] ?? 0) + 1 && last >= (ackedBeforeLeave[p] ?? 0))
        ) wrong++
        got += own.length
      }
      rounds++
    }
  }))
  over.abort()
  await Promise.all(publishing)
  t.equal(wrong, 0)
  t.equal(rounds, 500)
  t.ok(got > 1000, `${got} messages`)
  for (const client of [...publishers, ...members]) client.close()
})

await t.test('messages that are ready together are sent with one write', async t => {
  for (const { name, connect } of transports) {
    const shop = await tenant(app)
    const sender = await connectWs(url, { token: shop.token() })
    let writes = 0
    app.server.once('connection', (socket: Socket) => {
      const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
      socket.write = (...args: unknown[]) => { writes++; return write(...args) }
    })
    const member = await connect(url, { token: shop.token() })
    await join(member, 'chat:burst')
    await ask(sender, 'publish', { channel: 'chat:burst', event: 'n', data: 0 })
    await until(() => messagesOf(member).length === 1, 'the first')
    writes = 0
    await Promise.all(upTo(50).map(n => ask(sender, 'publish', { channel: 'chat:burst', event: 'n', data: n })))
    await until(() => messagesOf(member).length === 51, 'the burst')
    t.ok(writes <= 5, `${name}: 50 messages, ${writes} writes`)
    for (const client of [sender, member]) client.close()
  }
})

await t.test('a client on long polling gets messages and presence in order', async t => {
  const shop = await tenant(app)
  const polling = await connectSocketIo(url, { token: shop.token(), transports: ['polling'] })
  const ann = await connectWs(url, { token: shop.token() })
  await join(polling, 'chat:poll')
  await join(ann, 'chat:poll', { state: 'é' })
  await Promise.all(upTo(100).map(n => ask(ann, 'publish', { channel: 'chat:poll', event: 'n', data: `${n} é` })))
  await ask(ann, 'leave', { channel: 'chat:poll' })
  await until(() => presenceOf(polling).length === 2, 'the leave')
  t.same(polling.messages.map(({ name, body }) => name === 'message' ? body['data'] : body['action']), [
    'join',
    ...upTo(100).map(n => `${n} é`),
    'leave'
  ])
  for (const client of [polling, ann]) client.close()
})

await t.test('an empty channel leaves nothing behind', async t => {
  const shop = await tenant(app)
  const [ann, bob] = [
    await connectWs(url, { token: shop.token() }), await connectSocketIo(url, { token: shop.token() })
  ]
  for (const client of [ann, bob]) await join(client, 'chat:gone')
  t.equal(app.channels.directory.channels(shop.scope, {}).items.length, 1)
  for (const client of [ann, bob]) await ask(client, 'leave', { channel: 'chat:gone' })
  t.same(app.channels.directory.channels(shop.scope, {}).items, [])
  for (const client of [ann, bob]) { client.close(); await client.closed }
  await until(() => app.channels.directory.connectionCount(shop.scope) === 0, 'the end of the connections')
  t.match(await app.instruments.registry.metrics(), /realtime_channel_messages_total\{kind="presence"\} [1-9]/)
})
