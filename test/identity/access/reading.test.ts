import t from 'tap'
import { permissionNames } from '../../../src/identity/access/permission-set.ts'
import { topicsListenedTo } from '../../../src/identity/access/reading.ts'
import { build, listen } from '../../support/build.ts'
import { createApiKey } from '../../support/api-keys.ts'
import { connectWs } from '../../support/clients.ts'
import { person, requests } from '../../support/people.ts'
import { tenant } from '../../support/tenant.ts'
import { eventually, until } from '../../support/waiting.ts'
import { receiver } from '../../support/webhook-receiver.ts'
import { variables } from '../../support/webhooks.ts'

/*
 * Plants a value in payloads, in names of documents that are being viewed, and in filters. Tries every output with each
 * single permission: only principals that may read the value receive it.
 */

t.setTimeout(600_000)

const { app } = await build(t, { variables })
const url = await listen(app)
const shop = await tenant(app)
const root = await person(app, 'super_admin')
const secret = 'pl4nted'
const topic = await shop.topic('order.placed')
const outcome = ({ status, body }: { status: number, body?: { code?: string } }) =>
  body?.code === undefined ? String(status) : `${status} ${body.code}`
const asking = (...permissions: string[]) =>
  requests(app, `Bearer ${shop.token(permissions, { subject: permissions.join() })}`)
const hookOf = (fields: object) => ({ url: 'https://nobody.example.test/', events: ['topic.event'], ...fields })

// A principal with all permissions subscribes with a filter that contains the value, and views a document whose name
// contains it.
const owner = await connectWs(url, { token: shop.token(['admin'], { subject: 'owner' }) })
t.teardown(() => { owner.close() })
const subscribed = await owner.request('subscribe', { topic, filter: { value: { eq: secret } } })
for (const of of ['presence.updated', 'socket.message']) await owner.request('subscribe', { topic: of })
const channel = `doc:parcel:${secret}`
await owner.request('join', { channel, state: { value: secret } })
await owner.request('publish', { channel, event: 'said', data: secret })
const { body: event } = await shop.request('POST', `/api/topics/${topic}/events`, { payload: { value: secret } })
await app.tracing.recorder.flush()

/** Outputs, each with lists of permissions that are needed to see the value there. */
const ways: { name: string, needs: string[], ask (by: ReturnType<typeof asking>): Promise<{ text: string }> }[] = [
  { name: 'the log', needs: ['events:read'], ask: by => by.get(`/api/topics/${topic}/events`) },
  {
    name: 'the log of presence', needs: ['events:read', 'documents:read'],
    ask: by => by.get('/api/topics/presence.updated/events')
  },
  {
    name: 'the log of presence by key', needs: ['events:read', 'documents:read'],
    ask: by => by.get(`/api/topics/presence.updated/events?order=desc&key=${encodeURIComponent(channel)}`)
  },
  {
    name: 'the log of presence by filter', needs: ['events:read', 'documents:read'],
    ask: by =>
      by.get(
        `/api/topics/presence.updated/events?from=0&filter=${encodeURIComponent(JSON.stringify({ channel }))}`
      )
  },
  {
    name: 'the log of messages', needs: ['events:read', 'documents:read'],
    ask: by => by.get('/api/topics/socket.message/events')
  },
  { name: 'the channels', needs: ['socket:read', 'documents:read'], ask: by => by.get('/api/socket/channels') },
  {
    name: 'the members of a channel',
    needs: ['socket:read', 'documents:read'],
    ask: async by => withoutQuestion(await by.get(`/api/socket/channels/${encodeURIComponent(channel)}/members`))
  },
  {
    name: 'a trace',
    needs: ['debugger:read', 'events:read', 'documents:read'],
    ask: by => by.get(`/api/debugger/traces/${event.id}`)
  },
  {
    name: 'explain', needs: ['debugger:read', 'events:read', 'documents:read'],
    ask: by => by.post('/api/debugger/explain', { eventId: event.id, subscriptionId: subscribed.subscriptionId })
  },
  {
    name: 'route', needs: ['debugger:read', 'events:read', 'documents:read'],
    ask: by => by.post('/api/debugger/route', { topic, payload: { value: 'x' } })
  }
]
/** The request names the channel. */
const withoutQuestion = ({ status, text }: { status: number, text: string }) => ({ text: status === 200 ? text : '' })

await t.test('no single permission reveals data that requires another', async t => {
  for (const { name, needs, ask } of ways) {
    t.match((await ask(asking(...needs))).text, secret, `${name}: ${needs.join()}`)
    for (
      const permission of [
        ...permissionNames,
        'subscribe:other.*',
        'subscribe:socket.*',
        'subscribe:presence.*',
        'publish',
        'service',
        'client'
      ]
    ) {
      const may = permission === needs.join() || (name === 'the log' && ['service', 'client'].includes(permission)) ||
        (['service', 'client'].includes(permission) && name.startsWith('the log of')) ||
        (permission === 'service' && name.includes('channel'))
      if (!may) t.notMatch((await ask(asking(permission))).text, secret, `${name}: ${permission}`)
    }
    for (const missing of needs.length > 1 ? needs : []) {
      if (name === 'a trace' || name === 'explain' || name === 'route' ? missing === 'documents:read' : false) continue
      t.notMatch(
        (await ask(asking(...permissionNames.filter(one => one !== missing)))).text,
        secret,
        `${name}: all but ${missing}`
      )
    }
  }
})

await t.test('filters of other principals reveal nothing about an unreadable payload', async t => {
  const spy = asking('debugger:read')
  await shop.request('POST', `/api/topics/${topic}/events`, { payload: { value: 'another' } })
  const { body: other } = await shop.request('POST', `/api/topics/${topic}/events`, { payload: { value: 'another' } })
  await app.tracing.recorder.flush()
  const explained = async (eventId: string) => {
    const { body } = await spy.post('/api/debugger/explain', { eventId, subscriptionId: subscribed.subscriptionId })
    return {
      outcome: body.outcome, cause: body.cause,
      filter: body.conditions.filter(({ condition }: { condition: string }) => condition === 'filter')
    }
  }
  t.match(await explained(event.id), { outcome: 'unknown', cause: 'PAYLOAD_HIDDEN', filter: [{ holds: false }] })
  t.strictSame(
    await explained(event.id), await explained(other.id),
    'a matching and a non-matching event have the same explanation'
  )
  const { body: hook } = await shop.request('POST', '/api/webhooks', hookOf({ filter: { value: 'matched' } }))
  const [{ body: hit }, { body: miss }] = [
    await shop.request('POST', `/api/topics/${topic}/events`, { payload: { value: 'matched' } }),
    await shop.request('POST', `/api/topics/${topic}/events`, { payload: { value: 'not' } })
  ]
  await app.tracing.recorder.flush()
  const ofWebhook = async (eventId: string) =>
    (await spy.post('/api/debugger/explain', { eventId, webhookId: hook.id })).body
  t.match(await ofWebhook(hit.id), { outcome: 'unknown', cause: 'PAYLOAD_HIDDEN' })
  t.strictSame((await ofWebhook(hit.id)).outcome, (await ofWebhook(miss.id)).outcome)
  for (const value of [secret, 'other']) {
    t.equal(outcome(await spy.post('/api/debugger/route', { topic, payload: { value } })), '403 PERMISSION_DENIED')
  }
  const { body: trace } = await spy.get(`/api/debugger/traces/${event.id}`)
  t.ok(
    trace.routed.every(({ subscriptions }: { subscriptions: unknown[] }) => subscriptions.length === 0),
    'a trace does not list the matching subscriptions'
  )
  await shop.request('DELETE', `/api/webhooks/${hook.id}`)
})

await t.test("without documents:read, a socket receives nothing about a document's channel, live or past", async t => {
  const [reader, stranger] = [
    await connectWs(url, { token: shop.token(['subscribe', 'documents:read']) }),
    await connectWs(url, { token: shop.token(['subscribe']) })
  ]
  for (const socket of [reader, stranger]) {
    for (const of of ['presence.updated', 'socket.message']) {
      t.ok((await socket.request('subscribe', { topic: of, rewind: 100 })).ok)
    }
    t.ok((await socket.request('subscribe', { topic: 'socket.*', after: { 'socket.message': 0 } })).ok)
  }
  await owner.request('presence', { channel, state: { value: `${secret}-2` } })
  await owner.request('publish', { channel, event: 'said', data: secret })
  await owner.request('publish', { channel: 'room', event: 'said', data: 'the end' })
  for (const socket of [reader, stranger]) {
    await until(() => JSON.stringify(socket.events).includes('the end'), 'the end')
    socket.close()
  }
  t.match(JSON.stringify(reader.events), secret)
  t.notMatch(JSON.stringify(stranger.events), secret)
})

await t.test('creating a webhook requires the right to read all of its events', async t => {
  const may = async (permissions: string[], fields: object) =>
    outcome(await asking('webhooks:create', 'webhooks:update', ...permissions).post('/api/webhooks', hookOf(fields)))
  for (
    const events of [['*'], ['topic.event'], ['database.event'], ['document.updated'], ['presence.updated'], [
      'socket.message'
    ], ['socket.connect']]
  ) {
    t.equal(await may([], { events }), '403 PERMISSION_DENIED', events.join())
    t.equal(await may(['subscribe:other.*'], { events }), '403 PERMISSION_DENIED', events.join())
    t.equal(await may(['events:read', 'documents:read'], { events }), '201', events.join())
  }
  t.equal(await may(['subscribe:order.*'], { topics: ['order.placed'] }), '201')
  t.equal(await may(['subscribe:order.*'], { topics: ['order.*', 'bill.*'] }), '403 PERMISSION_DENIED')
  t.equal(await may(['subscribe:order.*'], { topics: ['order.**'] }), '403 PERMISSION_DENIED')
  t.equal(await may(['subscribe:sync.**'], { events: ['document.created', 'document.deleted'] }), '201')
  t.equal(await may(['subscribe:sync.parcel.*'], { events: ['document.created'], topics: ['sync.parcel.*'] }), '201')
  t.equal(
    await may(['events:read'], { events: ['presence.updated'] }), '403 PERMISSION_DENIED', 'may contain document names'
  )
  const { body: { id } } = await shop.request('POST', '/api/webhooks', hookOf({}))
  for (
    const change of [
      { url: 'https://mine.example.test/' },
      { events: ['*'] },
      { filter: null },
      { environments: null },
      { active: false, topics: null }
    ]
  ) {
    t.equal(
      outcome(await asking('webhooks:update').patch(`/api/webhooks/${id}`, change)),
      '403 PERMISSION_DENIED',
      JSON.stringify(change)
    )
  }
  const readerOf = async () =>
    (await app.db.selectFrom('webhooks').select('reader').where('id', '=', id).executeTakeFirstOrThrow()).reader
  const reader = await readerOf()
  const entitled = asking('webhooks:update', 'events:read', 'documents:read')
  for (const caller of [asking('webhooks:update'), entitled]) {
    for (
      const change of [{ active: false }, { active: true }, { description: 'x' }, { rateLimit: 5, ordering: 'key' }, {
        active: false
      }]
    ) {
      const changed = await caller.patch(`/api/webhooks/${id}`, change)
      t.match([changed.status, changed.body], [200, change], JSON.stringify(change))
      t.same(await readerOf(), reader, 'the change does not decide what goes where')
    }
  }
  const { body: { url } } = await asking('webhooks:read').get(`/api/webhooks/${id}`)
  t.equal(outcome(await entitled.patch(`/api/webhooks/${id}`, { url })), '200')
  t.notSame(await readerOf(), reader, 'a principal that decides what goes where becomes the reader')
  t.same(topicsListenedTo({ events: ['document.updated'], topics: null }), ['sync.*.updated'])
  t.same(topicsListenedTo({ events: ['document.updated', 'topic.event'], topics: ['order.*', 'sync.parcel.*'] }), [
    'sync.parcel.*', 'order.*'
  ])
  await app.db.deleteFrom('webhooks').execute()
})

await t.test("a webhook's right to read is checked again before each delivery", async t => {
  const pair = (name: string) => ({ resource: name.split(':')[0], action: name.split(':')[1] })
  const { body: role } = await root.post('/api/roles', {
    name: 'hooks', permissions: ['webhooks:create', 'webhooks:read', 'events:read'].map(pair)
  })
  const ada = await person(app, [role.id, shop.applicationId])
  const sink = await receiver(t)
  const { body: hook } = await ada.post('/api/webhooks', hookOf({ url: sink.url, topics: [topic] }), {
    headers: { 'x-application-id': shop.applicationId }
  })
  const publish = () => shop.request('POST', `/api/topics/${topic}/events`, { payload: {} })
  const deliveries = async (state: string) =>
    (await shop.request('GET', `/api/webhooks/deliveries?state=${state}&webhookId=${hook.id}`)).body as {
      error: string
    }[]
  await publish()
  await sink.came(1)
  await root.patch(`/api/roles/${role.id}`, { permissions: ['webhooks:create'].map(pair) })
  const dead = await eventually(async () => {
    await publish()
    const found = await deliveries('dead')
    return found.length > 0 && found
  })
  t.match(dead, [{ error: /may no longer read the event/ }])
  await app.db.deleteFrom('webhook_deliveries').execute()
  const before = sink.received.length

  const { body: key } = await root.post('/api/admin/keys')
  const token = requests(app, `Bearer ${shop.token(['admin'])}`)
  const { body: other } = await token.post('/api/webhooks', hookOf({ url: sink.url, topics: [topic] }))
  await shop.request('DELETE', `/api/webhooks/${hook.id}`)
  await publish()
  await sink.came(before + 1)
  await root.post(`/api/admin/keys/${key.keyId}/revoke`)
  const fresh = requests(app, `Bearer ${shop.token(['admin'])}`)
  const deadOf = async () =>
    (await fresh.get(`/api/webhooks/deliveries?state=dead&webhookId=${other.id}`)).body as unknown[]
  await eventually(async () => {
    await fresh.post(`/api/topics/${topic}/events`, { payload: {} })
    return (await deadOf()).length > 0
  })
  const sent = sink.received.length
  const owed = (await deadOf()).length
  t.equal((await fresh.patch(`/api/webhooks/${other.id}`, { url: sink.url })).status, 200)
  // Another delivery may have died since the query.
  const { redriven } = (await fresh.post('/api/webhooks/redrive', {})).body
  t.ok(redriven >= owed)
  await sink.came(sent + redriven)
})

await t.test('a webhook that was saved with an API key has the rights that the key has at delivery', async t => {
  const pair = (name: string) => ({ resource: name.split(':')[0], action: name.split(':')[1] })
  const { body: role } = await root.post('/api/roles', {
    name: 'key-hooks', permissions: ['api-keys:create', 'webhooks:create', 'events:read'].map(pair)
  })
  const ada = await person(app, [role.id, shop.applicationId])
  const sink = await receiver(t)
  const permissions = ['webhooks:create', `subscribe:${topic}`]
  const keys = [
    await createApiKey(ada, shop.applicationId, { permissions }),
    await createApiKey(ada, shop.applicationId, { permissions, environment: 'development' })
  ]
  const hooks = await Promise.all(keys.map(async ({ key }) =>
    (await requests(app, `Bearer ${key}`).post('/api/webhooks', hookOf({ url: sink.url, topics: [topic] }))).body
  ))
  const stored = await app.db.selectFrom('webhooks').select('reader')
    .where('id', 'in', hooks.map(({ id }) => String(id))).execute()
  t.same(
    stored.map(({ reader }) => JSON.stringify(reader)).sort(),
    keys.map(({ id }) => JSON.stringify({ apiKeyId: id })).sort()
  )
  const publish = () => shop.request('POST', `/api/topics/${topic}/events`, { payload: {} })
  const hasDied = (id: string) => eventually(async () => {
    await publish()
    const { body } = await shop.request('GET', `/api/webhooks/deliveries?state=dead&webhookId=${id}`)
    return (body as unknown[]).length > 0 && body as { error: string }[]
  })
  await publish()
  await sink.came(2)
  t.equal(
    (await root.request('DELETE', `/api/api-keys/${keys[0]?.id ?? ''}`, undefined, {
      headers: { 'x-application-id': shop.applicationId }
    })).status,
    204
  )
  t.match(await hasDied(hooks[0].id), [{ error: /may no longer read the event/ }], 'its key is revoked')
  const { body: dead } = await shop.request('GET', `/api/webhooks/deliveries?state=dead&webhookId=${hooks[1].id}`)
  t.same(dead, [], 'the other key has not ended')
  await root.patch(`/api/roles/${role.id}`, { permissions: ['webhooks:create'].map(pair) })
  t.match(await hasDied(hooks[1].id), [{ error: /may no longer read the event/ }], 'its creator has lost a right')
  await app.db.deleteFrom('webhooks').execute()
})

await t.test('an idempotency key applies to one principal and one operation', async t => {
  const key = { headers: { 'idempotency-key': 'k1' } }
  const token = (subject: string) => requests(app, `Bearer ${shop.token(['admin'], { subject })}`)
  const publish = (by: ReturnType<typeof requests>, payload: unknown) =>
    by.post(`/api/topics/${topic}/events`, { payload }, key)
  const [ada, bob] = [token('ada'), token('bob')]
  const first = await publish(ada, 1)
  t.equal(first.status, 201)
  t.equal((await publish(token('ada'), 1)).text, first.text, 'a new token of the same subject shares its keys')
  t.equal(outcome(await publish(ada, 2)), '409 IDEMPOTENCY_KEY_REUSED')
  const second = await publish(bob, 2)
  t.equal(second.status, 201, 'another\'s key blocks nothing')
  t.equal((await publish(bob, 1)).status, 409)
  t.equal(
    (await ada.post('/api/sync/parcel/documents', { data: {} }, key)).status, 201,
    'the same key of another operation is separate'
  )
  t.equal((await ada.post('/api/socket/broadcast', { channel: 'room', event: 'e', data: 1 }, key)).status, 200)
})
