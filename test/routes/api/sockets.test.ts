import t from 'tap'
import type { SocketDetail, SocketSummary } from '../../../schemas/sockets.ts'
import { createApiKey } from '../../support/api-keys.ts'
import { build, listen } from '../../support/build.ts'
import { transports, type Client } from '../../support/clients.ts'
import { person } from '../../support/people.ts'
import { ask, idOf } from '../../support/room.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

const { app } = await build(t)
const url = await listen(app)
const clients: Client[] = []
t.afterEach(() => { for (const client of clients.splice(0)) client.close() })

type Tenant = Awaited<ReturnType<typeof tenant>>

async function open (token: string, kind: 0 | 1 = 1, options: object = {}) {
  const { connect } = transports[kind] as typeof transports[number]
  const client = await connect(url, { token, ...options })
  clients.push(client)
  return client
}
const list = async (by: Tenant, query = '', headers = {}) =>
  (await by.request('GET', `/api/socket/sockets${query}`, undefined, headers)).body as SocketSummary[]
const detail = async (by: Tenant, id: string, headers = {}) =>
  (await by.request('GET', `/api/socket/sockets/${id}`, undefined, headers)).body as SocketDetail

t.test('the list shows each connection with its principal, over both transports', async t => {
  const shop = await tenant(app)
  const before = Date.now()
  const [a, b] = [await open(shop.token(['admin'], { subject: 'u1' }), 0), await open(shop.token(), 1)]
  const ada = await person(app, 'super_admin')
  const { key, name } = await createApiKey(ada, shop.applicationId, { permissions: ['events:read'] })
  const byKey = await open(key)
  const bySession = await open(ada.token, 0, { applicationId: shop.applicationId })
  t.match(await ask(a, 'join', { channel: 'chat' }), { ok: true })
  await shop.request('POST', '/api/topics', { name: 'order.placed', description: 'Orders', owner: 'tests' })
  t.match(await a.request('subscribe', { topic: 'order.placed' }), { ok: true })
  const found = await list(shop)
  t.equal(found.length, 4)
  t.ok(found.every((one, i) => i === 0 || one.connectedAt <= (found[i - 1]?.connectedAt ?? 0)), 'the latest first')
  const of = (client: Client) => found.find(({ id }) => id === idOf(client))
  t.match(of(a), {
    transport: a.kind,
    principal: { kind: 'token', id: `${shop.applicationId}/u1`, name: null },
    userId: 'u1',
    address: '127.0.0.1',
    nodeId: app.node.id,
    subscriptionCount: 1,
    channelCount: 1,
    bufferedBytes: 0,
    expiresAt: Number
  })
  t.ok((of(a)?.connectedAt ?? 0) >= before)
  t.match(of(byKey), { principal: { kind: 'api-key', name }, expiresAt: null })
  t.match(of(bySession), { principal: { kind: 'session', id: ada.id, name: ada.id }, userId: ada.id })
  t.ok(found.every(one => !/sess_|rtk_|eyJ/.test(JSON.stringify(one))), 'no credential')
  t.same((await list(shop, '?userId=u1')).map(({ id }) => id), [idOf(a)])
  t.same(new Set((await list(shop, `?transport=${b.kind}`)).map(({ transport }) => transport)), new Set([b.kind]))
  t.same((await list(shop, '?q=U1')).map(({ id }) => id), [idOf(a)])
  t.same((await list(shop, '?sort=subscriptionCount&order=desc&limit=1')).map(({ id }) => id), [idOf(a)])
})

t.test('the name of the program is listed in one line of limited length', async t => {
  const shop = await tenant(app)
  for (const kind of [0, 1] as const) {
    const headers = { 'user-agent': `shop/1.0 ${'x'.repeat(500)}` }
    await open(shop.token(), kind, { transports: ['websocket'], headers })
  }
  for (const { userAgent } of await list(shop)) {
    t.match(userAgent, /^shop\/1\.0 x+$/)
    t.equal(userAgent?.length, 200)
  }
})

t.test('pages list every connection once', async t => {
  const shop = await tenant(app)
  for (let n = 0; n < 7; n++) await open(shop.token(['admin'], { subject: `u${n % 2}` }), n % 2 as 0 | 1)
  for (const sort of ['connectedAt', 'userId', 'subscriptionCount']) {
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page = await shop.request(
        'GET', `/api/socket/sockets?limit=3&sort=${sort}${cursor === undefined ? '' : `&cursor=${cursor}`}`
      )
      seen.push(...(page.body as SocketSummary[]).map(({ id }) => id))
      cursor = page.headers['x-next-cursor'] as string | undefined
    } while (cursor !== undefined)
    t.same(seen.toSorted(), clients.map(idOf).sort(), sort)
  }
})

t.test('one connection is shown with its subscriptions, their positions, and its channels', async t => {
  const shop = await tenant(app)
  for (const name of ['order.placed', 'order.paid']) {
    await shop.request('POST', '/api/topics', { name, description: 'Orders', owner: 'tests' })
  }
  await shop.publish('order.placed', { total: 1 })
  await shop.publish('order.paid', { total: 1 })
  const client = await open(shop.token())
  const filter = { total: { gte: 100 } }
  const one = await client.request('subscribe', { topic: 'order.placed', filter })
  const many = await client.request('subscribe', { topic: 'order.*', returnMode: 'diff' })
  for (const channel of ['chat', 'doc:cart:c1']) await ask(client, 'join', { channel })
  await shop.publish('order.placed', { total: 100 }, { total: 5 })
  await client.received(2)
  const found = await detail(shop, idOf(client))
  t.match(found, { id: idOf(client), subscriptionCount: 2, channelCount: 2 })
  t.same(found.subscriptions.map(({ positions, startedAt: _, ...rest }) => [
    rest, positions.map(({ topic, after, position, lag }) => [topic, after, position, lag])
  ]), [
    [
      {
        id: one.subscriptionId, topic: 'order.placed', returnMode: 'full', hasFilter: true, filter, topicCount: 1
      },
      [['order.placed', 1, 3, 0]]
    ],
    [
      { id: many.subscriptionId, topic: 'order.*', returnMode: 'diff', hasFilter: false, filter: null, topicCount: 2 },
      [['order.paid', 1, 1, 0], ['order.placed', 1, 3, 0]]
    ]
  ])
  t.match(found.channels, [{ name: 'chat', joinedAt: Number }, { name: 'doc:cart:c1', joinedAt: Number }])

  const reading = (...permissions: string[]) => ({ authorization: `Bearer ${shop.token(permissions)}` })
  const hidden = await detail(shop, idOf(client), reading('socket:read', 'subscribe:order.paid'))
  t.same(hidden.subscriptions.map(({ hasFilter, filter, positions }) => [
    hasFilter, filter, positions.map(({ topic }) => topic)
  ]), [[true, null, []], [false, null, ['order.paid']]], 'filters and positions require the right to read the topic')
  t.same(hidden.channels.map(({ name }) => name), ['chat'], 'channels of documents require documents:read')
  t.equal(hidden.channelCount, 1)
  t.equal((await list(shop, '', reading('socket:read')))[0]?.channelCount, 1)
})

t.test('closing a connection disconnects its client for good, and is audited', async t => {
  for (const kind of [0, 1] as const) {
    const shop = await tenant(app)
    const [client, other] = [await open(shop.token(), kind), await open(shop.token(), kind)]
    const id = idOf(client)
    t.equal((await shop.request('DELETE', `/api/socket/sockets/${id}`)).status, 204)
    t.match(await client.closed, client.kind === 'ws' ? { code: 4411, reason: 'CLOSED_BY_OPERATOR' } : {})
    if (client.kind === 'socket.io') {
      t.match(client.messages.at(-1), {
        name: 'closing', body: { code: 4411, reason: 'CLOSED_BY_OPERATOR', reconnect: false }
      })
    }
    await until(async () => (await list(shop)).length === 1, 'the connection to be gone')
    t.same((await list(shop)).map(({ id }) => id), [idOf(other)])
    for (const method of ['GET', 'DELETE'] as const) {
      t.match(await shop.request(method, `/api/socket/sockets/${id}`), {
        status: 404, body: { code: 'SOCKET_NOT_FOUND' }
      })
    }
    const entries = await app.db.selectFrom('audit_log').selectAll()
      .where('application_id', '=', shop.applicationId).where('action', '=', 'socket.closed').execute()
    t.equal(entries.length, 1)
    t.match(entries[0], {
      resource_id: id, environment: 'development', actor_kind: 'token', before: { transport: client.kind }
    })
  }
})

t.test('other scopes and callers without the permission see and close nothing', async t => {
  const [shop, other] = [await tenant(app), await tenant(app)]
  const client = await open(shop.token())
  const path = `/api/socket/sockets/${idOf(client)}`
  for (const [who, headers] of [[other, {}], [shop, { 'x-environment': 'production' }]] as const) {
    t.same(await list(who, '', headers), [])
    for (const method of ['GET', 'DELETE'] as const) {
      t.match(await who.request(method, path, undefined, headers), { status: 404, body: { code: 'SOCKET_NOT_FOUND' } })
    }
  }
  const as = (...permissions: string[]) => ({ authorization: `Bearer ${shop.token(permissions)}` })
  t.match(await shop.request('DELETE', path, undefined, as('service')), {
    status: 403, body: { message: 'Permission required: socket:delete' }
  })
  for (const url of ['/api/socket/sockets', path]) {
    t.match(await shop.request('GET', url, undefined, as('client', 'socket:delete')), {
      status: 403, body: { message: 'Permission required: socket:read' }
    })
    t.match(await shop.request('GET', url, undefined, { authorization: '' }), { status: 401 })
  }
  t.match(await shop.request('GET', '/api/socket/sockets?sort=name'), { status: 400 })
  t.match(await shop.request('GET', '/api/socket/sockets/a%0ab'), { status: 400 })
  t.equal((await shop.request('DELETE', path, undefined, as('socket:delete'))).status, 204)
  await client.closed
})
