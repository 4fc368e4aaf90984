import t from 'tap'
import { build, listen, testKey, unpinged } from '../support/build.ts'
import { connectSocketIo, connectWs, transports, type Client } from '../support/clients.ts'
import { createDatabase } from '../support/database.ts'
import { startRedis } from '../support/redis.ts'
import { dataFolder, start } from '../support/server-process.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

/* Compares explanations with the events that arrived. */

t.setTimeout(600_000)

type Built = Awaited<ReturnType<typeof build>>
// Two nodes, connected by Redis if it is installed; otherwise they see each other's events within about a second.
const redis = await startRedis(t)
const databaseUrl = await createDatabase(t)
const [{ app }, { app: other }] = await Promise.all(
  [1, 2].map(() => build(t, { databaseUrl, ...(redis !== undefined && { variables: { REDIS_URL: redis.url } }) }))
) as [Built, Built]
const url = await listen(app)
const otherUrl = await listen(other)

let seed = 20_261_124
const random = () => { seed = (seed * 48_271) % 2_147_483_647; return seed / 2_147_483_647 }
const oneOf = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T

interface Answer {
  outcome: string
  cause: string | null
  message: string
  conditions: {
    condition: string
    holds: boolean
    path?: string
    found?: unknown
    wanted?: unknown
    operator?: string
  }[]
}
type Shop = Awaited<ReturnType<typeof tenant>>
const explain = async (
  shop: Shop, eventId: string, target: object, headers: Record<string, string> = {}
): Promise<Answer> => {
  const { status, body, text } = await shop.request('POST', '/api/debugger/explain', { eventId, ...target }, headers)
  if (status !== 200) throw new Error(text)
  return body
}

/** Maps the items in order, a few at a time. */
async function inParallel<T, R> (items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let i = 0; i < items.length; i += 25) results.push(...await Promise.all(items.slice(i, i + 25).map(work)))
  return results
}

await t.test('a thousand explanations of events and subscriptions on two nodes agree with what happened', async t => {
  const shop = await tenant(app)
  const topics = [await shop.topic('order.placed'), await shop.topic('order.paid'), await shop.topic('user.seen')]
  const statuses = ['new', 'open', 'shut']
  const filters: (Record<string, unknown> | undefined)[] = [
    undefined,
    undefined,
    undefined,
    { status: 'new' },
    { status: 'open', total: { gte: 50 } },
    { total: { lt: 30 } },
    { status: { in: ['open', 'shut'] } },
    { 'user.id': 'u1' },
    { gone: { exists: true } }
  ]
  interface Member {
    id: string
    subscribedTo: string
    filter: Record<string, unknown> | undefined
    isNarrow: boolean
    client: Client
    home: typeof homes[number]
    began: number
    ended: number
    how: string
  }
  interface Published {
    id: string
    topic: string
    payload: { status: string, total: number, user: { id: string } }
    step: number
  }
  const members: Member[] = []
  const events: Published[] = []
  let step = 0
  const permitted = {
    narrow: shop.token(['subscribe:order.placed', 'subscribe:user.*'], { subject: 'narrow' }),
    wide: shop.token(['subscribe'], { subject: 'wide' })
  }
  // A client on each node that receives everything shows how far the node is.
  const homes = await Promise.all([{ node: app, url }, { node: other, url: otherUrl }].map(async home => {
    const probe = await connectWs(home.url, { token: permitted.wide })
    await probe.request('subscribe', { topic: '**' })
    return { ...home, probe }
  }))

  // The expected outcomes, computed independently.
  const takesIn = (subscribedTo: string, topic: string) =>
    subscribedTo === '**' || subscribedTo === topic || (subscribedTo === 'order.*' && topic.startsWith('order.'))
  const matches = (filter: Record<string, unknown> | undefined, payload: Published['payload']) => {
    switch (JSON.stringify(filter)) {
      case undefined: return true
      case '{"status":"new"}': return payload.status === 'new'
      case '{"status":"open","total":{"gte":50}}': return payload.status === 'open' && payload.total >= 50
      case '{"total":{"lt":30}}': return payload.total < 30
      case '{"status":{"in":["open","shut"]}}': return payload.status !== 'new'
      case '{"user.id":"u1"}': return payload.user.id === 'u1'
      default: return false
    }
  }
  const causeOf = (member: Member, event: Published): string | null => {
    if (!takesIn(member.subscribedTo, event.topic)) return 'TOPIC_NOT_MATCHED'
    if (member.isNarrow && event.topic === 'order.paid') return 'PERMISSION_DENIED'
    if (event.step < member.began) return 'NOT_SUBSCRIBED_YET'
    if (event.step > member.ended) return member.how
    return matches(member.filter, event.payload) ? null : 'FILTER_NOT_MATCHED'
  }
  const hasAll = async (member: Member) => {
    await member.home.probe.received(events.length)
    await member.client.received(events.filter(event => causeOf(member, event) === null).length)
  }

  async function join (): Promise<void> {
    const isNarrow = random() < 0.3
    const home = oneOf(homes)
    const client = await oneOf([connectWs, connectSocketIo])(home.url, {
      token: isNarrow ? permitted.narrow : permitted.wide
    })
    const subscribedTo = isNarrow ? oneOf(['order.*', 'user.seen', '**']) : oneOf([...topics, 'order.*', '**', '**'])
    const filter = oneOf(filters)
    const { subscriptionId, ok } = await client.request('subscribe', {
      topic: subscribedTo,
      ...(filter !== undefined && { filter })
    })
    if (!ok) throw new Error('refused')
    members.push({
      id: subscriptionId, subscribedTo, filter, isNarrow, client, home, began: step, ended: Infinity, how: ''
    })
  }
  async function leave (member: Member): Promise<void> {
    await hasAll(member)
    member.how = oneOf(['UNSUBSCRIBED', 'NOT_CONNECTED'])
    if (member.how === 'UNSUBSCRIBED') await member.client.request('unsubscribe', { subscriptionId: member.id })
    else {
      member.client.cut()
      await member.client.closed
      await until(() => member.home.node.tracing.subscriptions.find(member.id) === undefined, 'its end')
    }
    member.ended = step
  }
  async function publish (): Promise<void> {
    const topic = oneOf(topics)
    const payload = { status: oneOf(statuses), total: Math.floor(random() * 100), user: { id: oneOf(['u1', 'u2']) } }
    const [event] = await shop.publish(topic, payload)
    events.push({ id: event?.id as string, topic, payload, step })
  }

  for (let i = 0; i < 24; i++) await join()
  for (; step < 130; step++) {
    const what = random()
    const live = members.filter(({ ended }) => ended === Infinity)
    if (what < 0.25 && members.length < 40) await join()
    else if (what < 0.35 && live.length > 12) await leave(oneOf(live))
    else await publish()
  }
  for (const member of members.filter(({ ended }) => ended === Infinity)) await hasAll(member)
  for (const { node } of homes) await Promise.all([node.tracing.recorder.flush(), node.tracing.subscriptions.flush()])

  const pairs = members.flatMap(member => events.map(event => ({ member, event })))
  const arrived = new Set(
    members.flatMap(({ client }) =>
      client.events.flatMap(event => event.subscriptionIds.map(id => `${id} ${event.id}`))
    )
  )
  const isDelivered = ({ member, event }: typeof pairs[number]) => arrived.has(`${member.id} ${event.id}`)
  const delivered = pairs.filter(isDelivered)
  const missed = pairs.filter(pair => !isDelivered(pair))
  const some = (of: typeof pairs) =>
    of.map(pair => [random(), pair] as const).sort(([a], [b]) => a - b).slice(0, 500).map(([, pair]) => pair)
  const picked = [...some(delivered), ...some(missed)]
  t.equal(picked.length, 1000, `of ${delivered.length} that were delivered and ${missed.length} that were not`)

  const found = new Map<string, number>()
  const wrong: string[] = []
  const answers = await inParallel(
    picked, ({ member, event }) => explain(shop, event.id, { subscriptionId: member.id })
  )
  for (const [i, pair] of picked.entries()) {
    const { member, event } = pair
    const answer = answers[i] as Answer
    const truth = isDelivered(pair) ? null : causeOf(member, event) ?? 'nothing: it was to arrive'
    found.set(String(answer.cause), (found.get(String(answer.cause)) ?? 0) + 1)
    if (answer.cause !== truth || (answer.outcome === 'delivered') !== (truth === null)) {
      wrong.push(`${truth}: ${JSON.stringify(answer)}`)
    }
    const failing = answer.conditions.filter(({ condition, holds }) => condition === 'filter' && !holds)
    if ((failing.length === 0) !== matches(member.filter, event.payload)) {
      wrong.push(`the filter: ${JSON.stringify(answer)}`)
    }
  }
  t.same(wrong.slice(0, 5), [])
  t.same([...found.keys()].sort(), [
    'FILTER_NOT_MATCHED', 'NOT_CONNECTED', 'NOT_SUBSCRIBED_YET', 'PERMISSION_DENIED', 'TOPIC_NOT_MATCHED',
    'UNSUBSCRIBED', 'null'
  ], 'every cause occurred')
  for (const { client } of members) client.close()
  for (const { probe } of homes) probe.close()
})

for (const { name, connect } of transports) {
  await t.test(`a reader who may see the payload is shown the filter's key and the value (${name})`, async t => {
    const shop = await tenant(app)
    const topic = await shop.topic('some.events')
    const client = await connect(url, { token: shop.token() })
    const { subscriptionId } = await client.request('subscribe', {
      topic, filter: { 'customer.id': 'c1', total: { gte: 10 } }
    })
    const [event] = await shop.publish(topic, { customer: { id: 's3cret' }, total: 20 })
    const answer = await explain(shop, event?.id as string, { subscriptionId })
    t.match(answer, { outcome: 'not_delivered', cause: 'FILTER_NOT_MATCHED' })
    t.same(
      answer.conditions.filter(({ condition }) => condition === 'filter').map((
        { path, operator, wanted, found, holds }
      ) => ({ path, operator, wanted, found, holds })),
      [
        { path: 'customer.id', operator: 'eq', wanted: 'c1', found: 's3cret', holds: false },
        { path: 'total', operator: 'gte', wanted: 10, found: 20, holds: true }
      ]
    )
    const blind = await explain(shop, event?.id as string, { subscriptionId }, {
      authorization: `Bearer ${shop.token(['debugger:read'])}`
    })
    t.match(blind, { outcome: 'unknown', cause: 'PAYLOAD_HIDDEN' })
    t.same(blind.conditions.filter(({ condition }) => condition === 'filter').map(one => Object.keys(one).sort()), [[
      'condition', 'holds', 'message'
    ]])
    t.notMatch(JSON.stringify(blind), /s3cret|customer|c1/)
    client.close()
  })
}

await t.test('rejected events, other environments and unknown ids are explained', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('strict.events')
  await shop.request('POST', '/api/topics', { name: topic, description: 'd', owner: 'o' }, {
    'x-environment': 'staging'
  })
  const client = await connectWs(url, { token: shop.token() })
  const { subscriptionId } = await client.request('subscribe', { topic })
  await shop.request('POST', `/api/schemas/${topic}`, {
    schema: { type: 'object', properties: { n: { type: 'number' }, m: { type: 'string' } } }
  })
  await shop.request('POST', `/api/topics/${topic}/events`, { payload: { n: 'x', m: 1 } })
  await shop.request('POST', '/api/topics/no.such/events', { payload: 1 })
  await shop.request('POST', '/api/topics/sync.cart.created/events', { payload: 1 })
  const refused = async (topic: string) =>
    (await shop.request('GET', `/api/debugger/traces?status=rejected&topic=${topic}`)).body[0].eventId as string
  const violation = await explain(shop, await refused(topic), { subscriptionId })
  t.match(violation, {
    outcome: 'not_delivered', cause: 'SCHEMA_VIOLATED', conditions: [{ condition: 'schema', holds: false, found: 1 }]
  })
  t.same(
    violation.conditions.flatMap(({ path }) => path ?? []).sort(), ['/payload/m', '/payload/n'],
    'every violation'
  )
  t.match(await explain(shop, await refused('no.such'), { token: shop.token() }), {
    outcome: 'not_delivered', cause: 'TOPIC_NOT_FOUND',
    conditions: [{ condition: 'topic', holds: false, found: 'no.such' }]
  })
  t.match(await explain(shop, await refused('sync.cart.created'), { subscriptionId }), {
    outcome: 'not_delivered', cause: 'EVENT_REFUSED', message: /TOPIC_RESERVED/
  })
  const { body: staged } = await shop.request('POST', `/api/topics/${topic}/events`, { payload: {} }, {
    'x-environment': 'staging'
  })
  t.match(await explain(shop, staged.id, { subscriptionId }, { 'x-environment': 'staging' }), {
    outcome: 'not_delivered', cause: 'ENVIRONMENT_DIFFERS'
  })
  const [event] = await shop.publish(topic, {})
  t.match(await explain(shop, event?.id as string, { subscriptionId }), {
    outcome: 'delivered', cause: null,
    conditions: [{ condition: 'schema', holds: true, found: 1 }, { condition: 'stored', holds: true, found: 1 }]
  })
  t.match((await shop.request('POST', '/api/debugger/explain', { topic, offset: 1, subscriptionId })).body, {
    eventId: event?.id, outcome: 'delivered'
  })
  const other = await tenant(app)
  const asked = (target: object, by = shop) => by.request('POST', '/api/debugger/explain', target)
  t.match(await asked({ eventId: event?.id, subscriptionId: 'sub_nobody' }), {
    status: 404, body: { code: 'SUBSCRIPTION_NOT_FOUND' }
  })
  t.match(await asked({ eventId: 'evt_AAAAAAAAAAAAAAAA', subscriptionId }), {
    status: 404, body: { code: 'EVENT_NOT_FOUND' }
  })
  t.match(await asked({ eventId: event?.id, subscriptionId }, other), {
    status: 404, body: { code: 'EVENT_NOT_FOUND' }
  })
  const theirs = await other.topic('their.events')
  const [foreign] = await other.publish(theirs, 1)
  t.match(await asked({ eventId: foreign?.id, subscriptionId }, other), {
    status: 404, body: { code: 'SUBSCRIPTION_NOT_FOUND' }
  }, 'subscriptions of another tenant are not found')
  t.match(await asked({ eventId: event?.id, subscriptionId, token: 'x' }), { status: 400 })
  t.match(await asked({ eventId: event?.id }), { status: 400 })
  t.match(await asked({ topic, subscriptionId }), { status: 400 })
  client.close()
})

await t.test('events on a node that died can still be explained', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('dead.events')
  const doomed = await start(t, {
    dataDir: await dataFolder(t),
    variables: {
      DATABASE_URL: databaseUrl,
      ENCRYPTION_KEY: testKey,
      ...(redis !== undefined && { REDIS_URL: redis.url })
    }
  })
  const client = await connectWs(doomed.address, { token: shop.token() })
  const { subscriptionId } = await client.request('subscribe', { topic })
  const [before] = await shop.publish(topic, 1)
  await client.received(1)
  const explained = async (event?: { id: string }) => await explain(shop, event?.id as string, { subscriptionId })
  await until(
    async () =>
      (await shop.request('POST', '/api/debugger/explain', { eventId: before?.id, subscriptionId })).status === 200,
    'the record of the other node'
  )
  await until(async () => (await explained(before)).outcome === 'delivered', 'the steps of the other node')
  doomed.kill('SIGKILL')
  await client.closed
  const [after] = await shop.publish(topic, 2)
  t.match(await explained(after), { outcome: 'pending', cause: 'NOT_ROUTED_YET' }, 'its death is not known yet')
  // Moves the time of death a minute back instead of waiting until it counts as dead.
  await app.db.updateTable('trace_nodes').set(({ eb }) => ({ seen_at: eb('seen_at', '-', 60_000) })).where(
    'id', '=', ({ selectFrom }) => selectFrom('trace_subscriptions').select('node').where('id', '=', subscriptionId)
  ).execute()
  t.match(await explained(before), { outcome: 'delivered', cause: null })
  t.match(await explained(after), { outcome: 'not_delivered', cause: 'NODE_GONE' })
})

await t.test('a token is explained by its permissions and its subscriptions', async t => {
  const shop = await tenant(app)
  const other = await tenant(app)
  const topic = await shop.topic('token.events')
  const token = shop.token(['subscribe'], { subject: 'somebody' })
  const [before] = await shop.publish(topic, { n: 1 })
  t.match(await explain(shop, before?.id as string, { token }), { outcome: 'not_delivered', cause: 'NOT_SUBSCRIBED' })
  const client = await connectWs(url, { token })
  await client.request('subscribe', { topic, filter: { n: 7 } })
  await client.request('subscribe', { topic, filter: { n: 2 } })
  const [event] = await shop.publish(topic, { n: 2 })
  t.match(await explain(shop, before?.id as string, { token }), {
    outcome: 'not_delivered', cause: 'NOT_SUBSCRIBED_YET'
  })
  const answer = await explain(shop, event?.id as string, { token }) as Answer & { subscriptions: Answer[] }
  t.match(answer, { outcome: 'delivered', cause: null })
  t.same(answer.subscriptions.map(({ cause }) => String(cause)).sort(), ['FILTER_NOT_MATCHED', 'null'])
  t.match(await explain(shop, event?.id as string, { token: shop.token(['subscribe:other.*']) }), {
    outcome: 'not_delivered', cause: 'PERMISSION_DENIED'
  })
  t.match(await explain(shop, event?.id as string, { token: other.token() }), {
    outcome: 'not_delivered', cause: 'APPLICATION_DIFFERS'
  })
  t.notMatch(JSON.stringify(await explain(shop, event?.id as string, { token: other.token() })), other.applicationId)
  t.match(await explain(shop, event?.id as string, { token: 'nonsense' }), {
    outcome: 'not_delivered', cause: 'CREDENTIAL_INVALID'
  })
  t.match(await explain(shop, event?.id as string, { token: shop.token(['subscribe'], { expiresInS: -10 }) }), {
    cause: 'CREDENTIAL_INVALID', message: /expired/
  })
  const pinned =
    app.tokens.mint({
      subject: 'pinned', applicationId: shop.applicationId, permissions: ['subscribe'], environment: 'staging',
      expiresInS: undefined
    }).token
  t.match(await explain(shop, event?.id as string, { token: pinned }), {
    outcome: 'not_delivered', cause: 'ENVIRONMENT_DIFFERS'
  })
  client.close()
})

await t.test('subscriptions that were given up, resumed, or lost their permission are explained', async t => {
  const tight = await build(t, {
    adapt: ({ delivery }) => { Object.assign(delivery, unpinged, { socketBufferBytesMax: 128 * 1024 }) }
  })
  const own = await listen(tight.app)
  const shop = await tenant(tight.app)
  const topic = await shop.topic('slow.events')
  const slow = await connectWs(own, { token: shop.token() })
  const { subscriptionId } = await slow.request('subscribe', { topic })
  slow.pause()
  const ids: string[] = []
  for (let i = 0; i < 40 && tight.app.tracing.subscriptions.find(subscriptionId) !== undefined; i++) {
    for (const { id } of await shop.publish(topic, ...Array.from({ length: 20 }, () => 'x'.repeat(20_000)))) {
      ids.push(id)
    }
  }
  await until(() => tight.app.tracing.subscriptions.find(subscriptionId) === undefined, 'the reader to be given up')
  const [missed] = await shop.publish(topic, 'missed')
  slow.resume()
  await slow.message('resync')
  t.match(await explain(shop, missed?.id as string, { subscriptionId }), {
    outcome: 'not_delivered', cause: 'RESYNCED', message: /SLOW_CONSUMER/
  })
  const got = new Set(slow.events.map(({ id }) => id))
  const wrong = []
  const answers = await inParallel(ids, id => explain(shop, id, { subscriptionId }))
  for (const [i, id] of ids.entries()) {
    const { outcome, cause } = answers[i] as Answer
    if ((outcome === 'delivered') !== got.has(id) || (cause ?? 'RESYNCED') !== 'RESYNCED') {
      wrong.push([outcome, cause, got.has(id)])
    }
  }
  t.same(wrong, [], `${got.size} of ${ids.length} arrived, and exactly those are said to have`)
  const back = await slow.request('subscribe', { topic, after: slow.events.length })
  await slow.received(ids.length + 1)
  t.match(
    await explain(shop, missed?.id as string, { subscriptionId: back.subscriptionId }), { outcome: 'delivered' },
    'delivered past events count as well'
  )
  slow.close()

  const narrow = await connectWs(own, { token: shop.token(['subscribe'], { subject: 'x' }) })
  const pattern = await narrow.request('subscribe', { topic: 'slow.*' })
  const [seen] = await shop.publish(topic, 'seen')
  await narrow.received(1)
  await narrow.request('auth', { token: shop.token(['subscribe:slow.other'], { subject: 'x' }) })
  const [unseen] = await shop.publish(topic, 'unseen')
  t.match(await explain(shop, seen?.id as string, { subscriptionId: pattern.subscriptionId }), { outcome: 'delivered' })
  t.match(await explain(shop, unseen?.id as string, { subscriptionId: pattern.subscriptionId }), {
    outcome: 'not_delivered', cause: 'PERMISSION_DENIED'
  })
  narrow.close()

  // Both at once, because each takes seconds.
  await Promise.all(transports.map(async ({ name, connect }) => {
    const passing = await connect(own, { token: shop.token(['subscribe'], { subject: 'passing', expiresInS: 10 }) })
    const expiring = await passing.request('subscribe', { topic })
    t.match(await passing.closed, { code: 4402, reason: 'CREDENTIAL_EXPIRED' }, name)
    const [late] = await shop.publish(topic, 'late')
    t.match(await explain(shop, late?.id as string, { subscriptionId: expiring.subscriptionId }), {
      outcome: 'not_delivered', cause: 'CREDENTIAL_ENDED', message: /CREDENTIAL_EXPIRED/
    }, name)
  }))
})
