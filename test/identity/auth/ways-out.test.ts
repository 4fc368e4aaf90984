import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { sql } from 'kysely'
import { parsePermissions, permissionNames } from '../../../src/identity/access/permission-set.ts'
import { coversEventSql } from '../../../src/identity/access/reading-sql.ts'
import { coversEvent } from '../../../src/identity/access/reading.ts'
import { build, listen } from '../../support/build.ts'
import { connectWs } from '../../support/clients.ts'
import { requests } from '../../support/people.ts'
import { root } from '../../support/repository.ts'
import { tenant } from '../../support/tenant.ts'
import { follow } from '../../support/trace-stream.ts'
import { eventually } from '../../support/waiting.ts'
import { answer, receiver } from '../../support/webhook-receiver.ts'
import { variables } from '../../support/webhooks.ts'

/*
 * Plants a value in payloads, keys, documents, states of members and responses of endpoints. Calls every route of the
 * OpenAPI document with each single permission: only permissions for reading the value reveal it. Responses about a
 * matching and a non-matching event must be equal for callers who may not read them.
 */

t.setTimeout(600_000)

const { app } = await build(t, { variables })
const url = await listen(app)
const shop = await tenant(app)
const secret = 'pl4nted'
const topic = await shop.topic('order.placed')
const asking = (...permissions: string[]) =>
  requests(app, `Bearer ${shop.token(permissions, { subject: permissions.join().slice(0, 50) })}`)
const allBut = (...missing: string[]) => asking(...permissionNames.filter(name => !missing.includes(name)))

const echo = await receiver(t, ({ text }, response) => {
  response.writeHead(200).end(text.slice(-900))
})
const { body: hook } = await shop.request('POST', '/api/webhooks', {
  url: echo.url, events: ['*'], topics: [topic, 'presence.updated', 'sync.**']
})
const owner = await connectWs(url, { token: shop.token(['admin'], { subject: 'owner' }) })
t.teardown(() => { owner.close() })
for (const of of ['presence.updated', 'socket.message', topic]) await owner.request('subscribe', { topic: of })
const channel = 'doc:parcel:plain'
await shop.request('POST', '/api/sync/parcel/documents', { id: 'plain', data: { value: secret } })
await owner.request('join', { channel, state: { value: secret } })
await owner.request('join', { channel: `doc:parcel:${secret}` })
const { body: event } = await shop.request('POST', `/api/topics/${topic}/events`, {
  key: secret,
  payload: { value: secret }
})
const { body: { id: mappingId } } = await shop.request('POST', '/api/database/mappings', {
  table: 'public.t', events: ['insert'], topic, template: { a: '{{row.a}}' }
})
await app.db.insertInto('database_logs').values({
  id: 'log_1',
  application_id: shop.applicationId,
  environment: 'development',
  mapping_id: String(mappingId),
  subscription_id: 'sub_1',
  status: 'failed',
  topic,
  table_name: 'public.t',
  events: 1,
  code: 'MAPPING_FAILED',
  message: `not a number: ${secret}`,
  lsn: '0/1',
  xid: 1,
  committed_at: 1,
  created_at: 1
}).execute()
await shop.request('POST', '/api/schemas/order.strict', {})
const { body: replay } = await shop.request('POST', '/api/debugger/replay', { topic, fromOffset: 1, target: 'all' })
await eventually(async () => (await shop.request('GET', `/api/debugger/replays/${replay.id}`)).body.state === 'done')
await eventually(async () => {
  const { text } = await shop.request('GET', '/api/webhooks/logs?limit=1000')
  return text.includes(secret) &&
    (await shop.request('GET', '/api/webhooks/deliveries?state=pending')).body.length === 0
})
await app.tracing.recorder.flush()

/** Values for path parameters. */
const parameters: Record<string, string> = {
  name: topic, topic, service: 'parcel', channel: encodeURIComponent(channel), eventId: event.id, version: '1'
}
const ids: Record<string, string> = {
  '/api/sync/': 'plain', '/api/webhooks/': hook.id, '/api/debugger/replays/': replay.id,
  '/api/database/mappings/': String(mappingId)
}
const document = JSON.parse(readFileSync(join(root, 'openapi.json'), 'utf8')) as {
  paths: Record<string, Record<string, unknown>>
}
const fill = (path: string) =>
  path.replace('{id}', Object.entries(ids).find(([prefix]) => path.startsWith(prefix))?.[1] ?? 'none')
    .replaceAll(/\{(\w+)\}/g, (_, name: string) => parameters[name] ?? 'none')

/** By permission, the routes where it alone may reveal the value. */
const reading: Record<string, RegExp> = {
  'documents:read': /^\/api\/sync\//,
  'events:read': /^\/api\/topics\/.*\/events$/,
  subscribe: /^\/api\/topics\/.*\/events$/,
  client: /^\/api\/(sync\/|topics\/.*\/events$)/,
  service: /^\/api\/(sync\/|topics\/.*\/events$|socket\/)/
}

await t.test('no route reveals the value to a single permission that is not for reading it', async t => {
  const gets = Object.entries(document.paths).filter(([path, of]) =>
    of['get'] !== undefined && path !== '/api/debugger/stream'
  )
  t.ok(gets.length > 40)
  const shown = new Set<string>()
  for (const [path] of gets) {
    const all = await app.inject({ url: fill(path), headers: { authorization: `Bearer ${shop.token(['admin'])}` } })
    if (all.body.includes(secret)) shown.add(path)
    for (const permission of [...permissionNames, 'subscribe', 'subscribe:other.*', 'publish', 'service', 'client']) {
      if (reading[permission]?.test(path) === true) continue
      const { body } = await app.inject({
        url: fill(path),
        headers: { authorization: `Bearer ${shop.token([permission])}` }
      })
      t.notMatch(body, secret, `${path}: ${permission}`)
    }
  }
  for (
    const path of [
      '/api/topics/{name}/events', '/api/sync/{service}/documents', '/api/sync/{service}/documents/{id}',
      '/api/socket/channels', '/api/socket/channels/{channel}/members', '/api/webhooks/deliveries',
      '/api/webhooks/logs', '/api/debugger/traces/{eventId}', '/api/database/logs',
      '/api/sync/{service}/documents/{id}/presence'
    ]
  ) t.ok(shown.has(path), `${path} shows it to a caller with all permissions`)
})

await t.test('deliveries and attempts require the right to read their events', async t => {
  for (const path of ['deliveries', 'logs']) {
    t.same((await asking('webhooks:read').get(`/api/webhooks/${path}`)).body, [], path)
    t.same((await asking('webhooks:read', 'subscribe:other.**').get(`/api/webhooks/${path}`)).body, [], path)
    t.match((await asking('webhooks:read', 'subscribe:order.*').get(`/api/webhooks/${path}`)).text, secret, path)
    const { text } = await allBut('documents:read').get(`/api/webhooks/${path}?limit=1000&event=presence.updated`)
    t.notMatch(text, secret, `${path} without documents:read`)
    t.match(
      (await allBut().get(`/api/webhooks/${path}?limit=1000&event=presence.updated`)).text,
      path === 'logs' ? secret : 'doc:parcel:'
    )
  }
  const [delivery] = (await shop.request('GET', `/api/webhooks/deliveries?eventId=${event.id}`)).body
  const retry = (by: ReturnType<typeof asking>) => by.post(`/api/webhooks/deliveries/${delivery.id}/retry`)
  t.match(await retry(asking('webhooks:update')), { status: 404, body: { code: 'WEBHOOK_DELIVERY_NOT_FOUND' } })
  t.equal((await retry(asking('webhooks:update', 'subscribe:order.*'))).status, 200)
  await app.db.updateTable('webhook_deliveries').set({ state: 'dead', settled_at: 1 }).where(
    'application_id', '=', shop.applicationId
  ).execute()
  const owed = async (by: ReturnType<typeof asking>) =>
    (await by.post('/api/webhooks/redrive', { dryRun: true })).body.matched as number
  t.equal(await owed(asking('webhooks:update')), 0)
  t.equal(await owed(asking('webhooks:update', 'subscribe:order.*')), 2, 'for the event and its replay')
  t.ok(await owed(allBut('documents:read')) < await owed(allBut()), 'not those of documents\' channels')
})

await t.test('no response about an event reveals whether a filter matched it', async t => {
  const bank = await tenant(app)
  await bank.topic('pay.made')
  const sink = await receiver(t, answer(204))
  await bank.request('POST', '/api/webhooks', { url: sink.url, events: ['topic.event'], filter: { value: 'hit' } })
  const listener = await connectWs(url, { token: bank.token(['admin']) })
  t.teardown(() => { listener.close() })
  await listener.request('subscribe', { topic: 'pay.made', filter: { value: 'hit' } })
  const spy = requests(
    app,
    `Bearer ${bank.token(permissionNames.filter(name => name !== 'events:read'), { subject: 'spy' })}`
  )
  const stream = await follow(url, bank, '', {}, bank.token(['debugger:read']))
  const [hit = { id: '' }, miss = { id: '' }] = await bank.publish('pay.made', { value: 'hit' }, { value: 'miss' })
  await sink.came(1)
  await app.tracing.recorder.flush()
  const full = (await bank.request('GET', `/api/debugger/traces/${hit.id}`)).body
  t.match(full, { matched: 1, status: 'delivered', webhookDeliveries: [{}] }, 'a caller who may read it sees more')

  /** Removes the fields that differ between any two events. */
  const told = ({ eventId, offset, timestamp, received, stored, schema, ...rest }: Record<string, unknown>) => rest
  const [ofHit, ofMiss] = [
    (await spy.get(`/api/debugger/traces/${hit.id}`)).body,
    (await spy.get(`/api/debugger/traces/${miss.id}`)).body
  ]
  t.strictSame(told(ofHit), told(ofMiss), 'their traces')
  t.match(ofHit, {
    status: 'stored', matched: null, filtered: null, delivered: null, webhooks: null, lastLatencyMs: null, routed: [],
    deliveries: [], webhookDeliveries: []
  })
  const list = (await spy.get('/api/debugger/traces?topic=pay.made')).body as Record<string, unknown>[]
  t.equal(list.length, 2)
  t.strictSame(told(list[0] ?? {}), told(list[1] ?? {}), 'the list')
  for (const status of ['delivered', 'pending', 'no_subscribers', 'failed']) {
    t.same((await spy.get(`/api/debugger/traces?topic=pay.made&status=${status}`)).body, [], status)
  }
  t.equal((await spy.get('/api/debugger/traces?topic=pay.made&status=stored')).body.length, 2)
  await stream.received(2)
  for (const { data } of stream.messages) t.match(data, { status: 'stored', matched: null, webhooks: null })
  stream.close()

  const replayed = async (by: typeof spy, eventId: string) => {
    const { body: { id } } = await by.post('/api/debugger/replay', { eventIds: [eventId], target: 'all' })
    const done = await eventually(async () => {
      const { body } = await by.get(`/api/debugger/replays/${id}`)
      return body.state === 'done' && body
    })
    return { sent: done.sent, passedOver: done.passedOver, webhookDeliveries: done.webhookDeliveries }
  }
  t.strictSame(await replayed(spy, hit.id), { sent: null, passedOver: null, webhookDeliveries: null })
  t.strictSame(await replayed(spy, miss.id), { sent: null, passedOver: null, webhookDeliveries: null })
  t.match((await spy.get('/api/debugger/replays')).body, [{ sent: null }, { sent: null }])
  t.match(await replayed(requests(app, `Bearer ${bank.token()}`), hit.id), { sent: 1, webhookDeliveries: 1 })
  for (const { id } of [hit, miss]) t.same((await spy.get(`/api/webhooks/deliveries?eventId=${id}`)).body, [])
  const hot = (await spy.get('/api/metrics/hot-topics')).body as { topic: string }[]
  t.match(hot.find(({ topic }) => topic === 'pay.made'), { fanoutLatencyP95: null })

  const pinned =
    app.tokens.mint({
      subject: 'pinned', applicationId: bank.applicationId, permissions: ['admin'], environment: 'development',
      expiresInS: undefined
    }).token
  const { body: ofPinned } = await requests(app, `Bearer ${pinned}`).get(`/api/debugger/traces/${hit.id}`)
  t.match(
    ofPinned, { matched: 1, webhookDeliveries: [], webhooks: { delivered: 0, pending: 0 } },
    'a pinned token does not see webhooks that span environments'
  )
})

await t.test('the number of recipients does not reveal who views a document', async t => {
  const broadcast = async (...permissions: string[]) =>
    (await asking('socket:create', ...permissions).post('/api/socket/broadcast', { channel, event: 'e', data: 1 })).body
  t.same(await broadcast(), { delivered: null })
  t.same(await broadcast('documents:read'), { delivered: 1 })
  for (const [permissions, delivered] of [[['publish'], null], [['publish', 'documents:read'], 1]] as const) {
    const socket = await connectWs(url, { token: shop.token([...permissions]) })
    t.match(await socket.request('publish', { channel, event: 'e', data: 1 }), { delivered })
    t.match(await socket.request('publish', { channel: 'room', event: 'e', data: 1 }), { delivered: 0 })
    socket.close()
  }
})

await t.test('a caller who may write documents, but not read them, does not see former contents', async t => {
  const documents = '/api/sync/parcel/documents'
  const writer = asking('documents:create', 'documents:update', 'documents:delete')
  const key = { headers: { 'idempotency-key': 'm1' } }
  const mutate = (by: ReturnType<typeof asking>, op: object) =>
    by.post(`${documents}/plain/mutate`, { mutations: [op] }, key)
  for (
    const { status, text, headers } of [
      await writer.request('PATCH', `${documents}/plain/merge`, { data: {} }),
      await mutate(writer, { op: 'set', path: '/n', value: 1 }),
      await mutate(writer, { op: 'set', path: '/n', value: 1 })
    ]
  ) {
    t.equal(status, 200)
    t.ok(headers['etag'])
    t.match(JSON.parse(text), { service: 'parcel', id: 'plain' })
    t.notMatch(text, secret)
  }
  for (const value of [secret, 'other']) {
    t.match(await writer.post(`${documents}/plain/mutate`, { mutations: [{ op: 'test', path: '/value', value }] }), {
      status: 403,
      body: { code: 'PERMISSION_DENIED' }
    })
  }
  const reader = asking('documents:update', 'documents:read')
  t.match((await reader.request('PATCH', `${documents}/plain/merge`, { data: {} })).text, secret)
  t.equal(
    (await reader.post(`${documents}/plain/mutate`, { mutations: [{ op: 'test', path: '/value', value: secret }] }))
      .status,
    200
  )
  t.notMatch((await writer.remove(`${documents}/plain`)).text, secret)
})

await t.test('the SQL condition agrees with the check', async t => {
  const events = [
    'order.placed', 'order.placed.late', 'order', 'orders.placed', 'presence.updated', 'socket.message',
    'sync.parcel.created', 'a-b.c_d'
  ]
    .flatMap(topic => [null, 'k', 'doc:parcel:1', 'Doc:x'].map(key => ({ topic, key })))
  const sets = [
    [],
    ['subscribe'],
    ['subscribe', 'documents:read'],
    ['events:read'],
    ['subscribe:order.*'],
    ['subscribe:order.**'],
    ['subscribe:*'],
    ['subscribe:*.*', 'documents:read'],
    ['subscribe:presence.*', 'subscribe:a-b.c_d'],
    ['subscribe:sync.*.created'],
    ['client'],
    ['documents:read']
  ]
  for (const permissions of sets) {
    const held = parsePermissions(permissions)
    const condition = coversEventSql(held, 'e') ?? sql<boolean>`true`
    const { rows } = await sql<{ topic: string, key: string | null, covered: boolean }>`
      select topic, key, ${condition} as covered from unnest(${events.map(({ topic }) => topic)}::text[], ${
      events.map(({ key }) => key)
    }::text[]) as e(topic, key)`.execute(app.db)
    t.equal(rows.length, events.length)
    t.same(
      rows.filter(({ covered }) => covered).map(({ topic, key }) => ({ topic, key })),
      events.filter(one => coversEvent(held, one)), permissions.join()
    )
  }
})
