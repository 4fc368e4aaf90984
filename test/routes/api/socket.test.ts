import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { transports, type Client } from '../../support/clients.ts'
import { ask, idOf, join, messagesOf } from '../../support/room.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

const { app } = await build(t, {
  adapt: config => {
    config.delivery.requestsPerSecond = config.delivery.bytesPerSecond = 0
  }
})
const url = await listen(app)
const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

async function room (clients: Client[], channel = 'chat:room 1/ü', count = 2) {
  const shop = await tenant(app)
  for (const n of upTo(count)) {
    const { connect } = transports[n % 2] as typeof transports[number]
    const client = await connect(url, { token: shop.token(['admin'], { subject: `u${n}` }) })
    await join(client, channel, { state: { n } })
    clients.push(client)
  }
  return shop
}

t.test('lists return the channels, members and connections of the scope', async t => {
  const clients: Client[] = []
  t.teardown(() => { for (const client of clients) client.close() })
  const shop = await room(clients)
  t.match(await shop.request('GET', '/api/socket/channels'), {
    status: 200, body: [{ name: 'chat:room 1/ü', memberCount: 2 }]
  })
  const members = await shop.request('GET', `/api/socket/channels/${encodeURIComponent('chat:room 1/ü')}/members`)
  t.match(members, {
    status: 200,
    body: upTo(2).map(n => ({
      socketId: idOf(clients[n - 1] as Client),
      userId: `u${n}`,
      joinedAt: Number,
      state: { n }
    }))
  })
  t.same(Object.keys(members.body[0]).sort(), ['joinedAt', 'socketId', 'state', 'userId'])
  t.same((await shop.request('GET', '/api/socket/connections')).body, { count: 2 })
  t.same((await shop.request('GET', '/api/socket/channels/nobody/members')).body, [])
  const other = await tenant(app)
  for (const [who, headers] of [[other, {}], [shop, { 'x-environment': 'production' }]] as const) {
    t.same((await who.request('GET', '/api/socket/channels', undefined, headers)).body, [])
    t.same(
      (await who.request(
        'GET',
        `/api/socket/channels/${encodeURIComponent('chat:room 1/ü')}/members`,
        undefined,
        headers
      )).body,
      []
    )
    t.same((await who.request('GET', '/api/socket/connections', undefined, headers)).body, { count: 0 })
    t.same(
      (await who.request('POST', '/api/socket/broadcast', { channel: 'chat:room 1/ü', event: 'e', data: 1 }, headers))
        .body,
      { delivered: 0 }
    )
  }
  t.ok(clients.every(client => messagesOf(client).length === 0), 'no message came from another scope')
})

t.test('pages list every item once', async t => {
  const clients: Client[] = []
  t.teardown(() => { for (const client of clients) client.close() })
  const shop = await room(clients, 'all', 7)
  for (const n of upTo(9)) await ask(clients[0] as Client, 'join', { channel: `c${n}` })
  for (const [path, wanted] of [['channels', 10], ['channels/all/members', 7]] as const) {
    const seen: unknown[] = []
    let cursor: string | undefined
    let pages = 0
    do {
      const page = await shop.request(
        'GET',
        `/api/socket/${path}?limit=3${cursor === undefined ? '' : `&cursor=${cursor}`}`
      )
      seen.push(...page.body as unknown[])
      cursor = page.headers['x-next-cursor'] as string | undefined
      pages++
    } while (cursor !== undefined)
    t.equal(new Set(seen.map(one => JSON.stringify(one))).size, wanted)
    t.equal(seen.length, wanted)
    t.equal(pages, Math.ceil(wanted / 3))
  }
})

t.test('a broadcast reaches every connected member', async t => {
  const clients: Client[] = []
  t.teardown(() => { for (const client of clients) client.close() })
  const shop = await room(clients, 'all', 5)
  t.match(await shop.request('POST', '/api/socket/broadcast', { channel: 'all', event: 'news', data: { a: [1] } }), {
    status: 200, body: { delivered: 5 }
  })
  for (const client of clients) await until(() => messagesOf(client).length === 1, 'the message')
  for (const client of clients) {
    t.match(messagesOf(client)[0], {
      channel: 'all', event: 'news', data: { a: [1] }, from: { socketId: null, userId: 'tester' }, timestamp: Number
    })
  }
  clients[0]?.cut()
  await until(() => app.channels.directory.connectionCount(shop.scope) === 4, 'one connection to end')
  t.match((await shop.request('POST', '/api/socket/broadcast', { channel: 'all', event: 'news', data: null })).body, {
    delivered: 4
  }, 'an away member gets nothing')
  t.match((await shop.request('GET', '/api/socket/channels')).body, [{ memberCount: 5 }], 'but is still a member')
})

/** The answers follow every message that the connections got before. */
const inOrder = (clients: Client[]) =>
  Promise.all(clients.map(client => ask(client, 'leave', { channel: 'no member of it' })))

t.test('a retry with the same key has no second effect', async t => {
  const clients: Client[] = []
  t.teardown(() => { for (const client of clients) client.close() })
  const shop = await room(clients, 'all', 3)
  const send = (data: unknown, key = 'k1') =>
    shop.request('POST', '/api/socket/broadcast', { channel: 'all', event: 'once', data }, { 'idempotency-key': key })
  const answers = await Promise.all(upTo(10).map(() => send(1)))
  t.ok(answers.every(({ status, body }) => status === 200 && body.delivered === 3), 'every retry gets the first answer')
  t.same(Object.keys(answers[0]?.body), ['delivered'])
  await ask(clients[0] as Client, 'leave', { channel: 'all' })
  t.match((await send(1)).body, { delivered: 3 })
  t.match(await send(2), { status: 409, body: { code: 'IDEMPOTENCY_KEY_REUSED' } })
  t.match(await send(2, 'k2'), { status: 200, body: { delivered: 2 } })
  await until(() => messagesOf(clients[1] as Client).length === 2, 'the messages')
  await inOrder(clients)
  t.same(clients.map(client => messagesOf(client).map(({ data }) => data)), [[1], [1, 2], [1, 2]])
  t.same(
    await app.db.selectFrom('events').select('id').where('application_id', '=', shop.applicationId).execute(), [],
    'the key is stored, but not the message'
  )
})

t.test('a retry with the same key has no second effect in the log either', async t => {
  const clients: Client[] = []
  t.teardown(() => { for (const client of clients) client.close() })
  const shop = await room(clients, 'all', 2)
  await clients[0]?.request('subscribe', { topic: 'socket.message' })
  const send = () =>
    shop.request('POST', '/api/socket/broadcast', { channel: 'all', event: 'once', data: 1 }, {
      'idempotency-key': 'k'
    })
  t.same((await Promise.all(upTo(5).map(send))).map(({ body }) => body), Array(5).fill({ delivered: 2 }))
  await clients[0]?.received(1)
  await inOrder(clients)
  t.equal(clients[0]?.events.length, 1)
  t.same(clients.map(client => messagesOf(client).length), [1, 1])
})

t.test('malformed requests get 400, forbidden ones 403, those without a credential 401', async t => {
  const shop = await tenant(app)
  const good = { channel: 'c', event: 'e', data: 1 }
  for (
    const body of [
      {}, { ...good, channel: '' }, { ...good, channel: 'a\n' }, { ...good, channel: 'x'.repeat(201) },
      { ...good, event: '' }, { ...good, event: 'x'.repeat(101) }, { channel: 'c', event: 'e' }, { ...good, extra: 1 },
      { ...good, data: 'x\0' }, '{"channel":"c","event":"e","data":{"__proto__":1}}', '{', [], null
    ]
  ) {
    t.match(
      await shop.request('POST', '/api/socket/broadcast', body), { status: 400 }, JSON.stringify(body)?.slice(0, 60)
    )
  }
  t.match(await shop.request('POST', '/api/socket/broadcast', good, { 'idempotency-key': 'a b' }), { status: 400 })
  for (const query of ['limit=0', 'limit=1001', 'limit=x', 'cursor=x', 'cursor=WzFd', 'page=2']) {
    t.match(await shop.request('GET', `/api/socket/channels?${query}`), { status: 400 }, query)
  }
  for (
    const path of [
      'channels/a%00b/members',
      `channels/${'x'.repeat(201)}/members`,
      'channels/a/members?limit=0',
      'channels/a/members?cursor=WyJhIl0'
    ]
  ) t.match(await shop.request('GET', `/api/socket/${path}`), { status: 400 }, path)
  for (
    const [method, path, needed] of [['GET', 'channels', 'socket:read'], ['GET', 'channels/c/members', 'socket:read'], [
      'GET', 'connections', 'socket:read'
    ], ['POST', 'broadcast', 'socket:create']] as const
  ) {
    const body = method === 'POST' ? good : undefined
    t.match(
      await shop.request(method, `/api/socket/${path}`, body, {
        authorization: `Bearer ${shop.token(['client', 'publish'])}`
      }),
      { status: 403, body: { message: `Permission required: ${needed}` } },
      path
    )
    t.match(
      await shop.request(method, `/api/socket/${path}`, body, { authorization: `Bearer ${shop.token([needed])}` }),
      { status: 200 },
      path
    )
    t.match(await shop.request(method, `/api/socket/${path}`, body, { authorization: '' }), { status: 401 }, path)
  }
})
