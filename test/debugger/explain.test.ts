import t from 'tap'
import { build, listen } from '../build.ts'
import { connectSocketIo, connectWs, transports, type Client } from '../clients.ts'
import { tenant } from '../tenant.ts'

/* Why did it not arrive? The answer is compared with what arrived. */

t.setTimeout(120_000)

const { app } = await build(t)
const url = await listen(app)

let seed = 20_261_124
const random = () => { seed = (seed * 48_271) % 2_147_483_647; return seed / 2_147_483_647 }
const oneOf = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T

interface Answer { outcome: string, cause: string | null, message: string, conditions: { condition: string, holds: boolean, path?: string, found?: unknown, wanted?: unknown, operator?: string }[] }
type Shop = Awaited<ReturnType<typeof tenant>>
const explain = async (shop: Shop, eventId: string, target: object, headers: Record<string, string> = {}): Promise<Answer> => {
  const { status, body, text } = await shop.request('POST', '/api/debugger/explain', { eventId, ...target }, headers)
  if (status !== 200) throw new Error(text)
  return body
}

/** In the order of the items, a few at a time. */
async function inParallel<T, R> (items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let i = 0; i < items.length; i += 25) results.push(...await Promise.all(items.slice(i, i + 25).map(work)))
  return results
}

await t.test('a thousand pairs of events and subscriptions: each is explained with what happened, and why', async t => {
  const shop = await tenant(app)
  const topics = [await shop.topic('order.placed'), await shop.topic('order.paid'), await shop.topic('user.seen')]
  const statuses = ['new', 'open', 'shut']
  const filters: (Record<string, unknown> | undefined)[] = [
    undefined, undefined, undefined, { status: 'new' }, { status: 'open', total: { gte: 50 } }, { total: { lt: 30 } }, { status: { in: ['open', 'shut'] } }, { 'user.id': 'u1' }, { gone: { exists: true } }
  ]
  interface Member { id: string, subscribedTo: string, filter: Record<string, unknown> | undefined, client: Client, began: number, ended: number, how: string }
  const members: Member[] = []
  const events: { id: string, topic: string, step: number }[] = []
  let step = 0
  const permitted = { narrow: shop.token(['subscribe:order.placed', 'subscribe:user.*'], { subject: 'narrow' }), wide: shop.token(['subscribe'], { subject: 'wide' }) }
  const narrowOnes = new Set<string>()

  async function join (): Promise<void> {
    const isNarrow = random() < 0.3
    const client = await oneOf([connectWs, connectSocketIo])(url, { token: isNarrow ? permitted.narrow : permitted.wide })
    const subscribedTo = isNarrow ? oneOf(['order.*', 'user.seen', '**']) : oneOf([...topics, 'order.*', '**', '**'])
    const filter = oneOf(filters)
    const { subscriptionId, ok } = await client.request('subscribe', { topic: subscribedTo, ...(filter !== undefined && { filter }) })
    if (!ok) throw new Error('refused')
    if (isNarrow) narrowOnes.add(subscriptionId)
    members.push({ id: subscriptionId, subscribedTo, filter, client, began: step, ended: Infinity, how: '' })
  }
  async function leave (member: Member): Promise<void> {
    member.how = oneOf(['UNSUBSCRIBED', 'NOT_CONNECTED'])
    if (member.how === 'UNSUBSCRIBED') await member.client.request('unsubscribe', { subscriptionId: member.id })
    else {
      // What was handed to the socket by now is read: it is in front of the answer.
      await member.client.request('unsubscribe', { subscriptionId: 'none' })
      member.client.cut()
      await member.client.closed
      while (app.tracing.subscriptions.find(member.id) !== undefined) await new Promise(resolve => setImmediate(resolve))
    }
    member.ended = step
  }
  async function publish (): Promise<void> {
    const topic = oneOf(topics)
    const [event] = await shop.publish(topic, { status: oneOf(statuses), total: Math.floor(random() * 100), user: { id: oneOf(['u1', 'u2']) } })
    events.push({ id: event?.id as string, topic, step })
  }

  for (let i = 0; i < 24; i++) await join()
  for (; step < 100; step++) {
    const what = random()
    const live = members.filter(({ ended }) => ended === Infinity)
    if (what < 0.25 && members.length < 40) await join()
    else if (what < 0.35 && live.length > 12) await leave(oneOf(live))
    else await publish()
  }
  // Whatever is to arrive has arrived when a last event on each topic has.
  const last = new Map<string, string>()
  for (const topic of topics) last.set(topic, (await shop.publish(topic, { status: 'new', total: 60, user: { id: 'u1' } }))[0]?.id as string)
  const probe = await connectWs(url, { token: permitted.wide })
  await probe.request('subscribe', { topic: '**', rewind: 1 })
  await probe.received(3)

  const pairs = members.flatMap(member => events.map(event => ({ member, event })))
  const arrived = new Set(members.flatMap(({ client }) => client.events.flatMap(event => event.subscriptionIds.map(id => `${id} ${event.id}`))))
  const isDelivered = ({ member, event }: typeof pairs[number]) => arrived.has(`${member.id} ${event.id}`)
  const delivered = pairs.filter(isDelivered)
  const missed = pairs.filter(pair => !isDelivered(pair))
  const some = (of: typeof pairs) => of.map(pair => [random(), pair] as const).sort(([a], [b]) => a - b).slice(0, 500).map(([, pair]) => pair)
  const picked = [...some(delivered), ...some(missed)]
  t.equal(picked.length, 1000, `of ${delivered.length} that were delivered and ${missed.length} that were not`)

  const matches = (filter: Record<string, unknown> | undefined, payload: { status: string, total: number, user: { id: string } }) => {
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
  const takesIn = (subscribedTo: string, topic: string) => subscribedTo === '**' || subscribedTo === topic || (subscribedTo === 'order.*' && topic.startsWith('order.'))
  const payloads = new Map<string, never>()
  for (const topic of topics) for (const event of (await shop.request('GET', `/api/topics/${topic}/events?limit=1000`)).body) payloads.set(event.id, event.payload as never)

  const found = new Map<string, number>()
  const wrong: string[] = []
  const answers = await inParallel(picked, ({ member, event }) => explain(shop, event.id, { subscriptionId: member.id }))
  for (const [i, pair] of picked.entries()) {
    const { member, event } = pair
    const answer = answers[i] as Answer
    const payload = payloads.get(event.id) as never
    const truth = isDelivered(pair)
      ? null
      : !takesIn(member.subscribedTo, event.topic)
          ? 'TOPIC_NOT_MATCHED'
          : narrowOnes.has(member.id) && event.topic === 'order.paid'
            ? 'PERMISSION_DENIED'
            : event.step < member.began
              ? 'NOT_SUBSCRIBED_YET'
              : event.step > member.ended
                ? member.how
                : matches(member.filter, payload) ? 'nothing: it was to arrive' : 'FILTER_NOT_MATCHED'
    found.set(String(answer.cause), (found.get(String(answer.cause)) ?? 0) + 1)
    if (answer.cause !== truth || (answer.outcome === 'delivered') !== (truth === null)) wrong.push(`${truth}: ${JSON.stringify(answer)}`)
    const failing = answer.conditions.filter(({ condition, holds }) => condition === 'filter' && !holds)
    if ((failing.length === 0) !== matches(member.filter, payload)) wrong.push(`the filter: ${JSON.stringify(answer)}`)
  }
  t.same(wrong.slice(0, 5), [])
  t.same([...found.keys()].sort(), ['FILTER_NOT_MATCHED', 'NOT_CONNECTED', 'NOT_SUBSCRIBED_YET', 'PERMISSION_DENIED', 'TOPIC_NOT_MATCHED', 'UNSUBSCRIBED', 'null'], 'every cause was among them')
  for (const { client } of members) client.close()
  probe.close()
})

for (const { name, connect } of transports) {
  await t.test(`the filter's key, and the value that was found, unless the reader may not see it (${name})`, async t => {
    const shop = await tenant(app)
    const topic = await shop.topic('some.events')
    const client = await connect(url, { token: shop.token() })
    const { subscriptionId } = await client.request('subscribe', { topic, filter: { 'customer.id': 'c1', total: { gte: 10 } } })
    const [event] = await shop.publish(topic, { customer: { id: 's3cret' }, total: 20 })
    const answer = await explain(shop, event?.id as string, { subscriptionId })
    t.match(answer, { outcome: 'not_delivered', cause: 'FILTER_NOT_MATCHED' })
    t.same(answer.conditions.filter(({ condition }) => condition === 'filter').map(({ path, operator, wanted, found, holds }) => ({ path, operator, wanted, found, holds })), [
      { path: 'customer.id', operator: 'eq', wanted: 'c1', found: 's3cret', holds: false }, { path: 'total', operator: 'gte', wanted: 10, found: 20, holds: true }
    ])
    const blind = await explain(shop, event?.id as string, { subscriptionId }, { authorization: `Bearer ${shop.token(['debugger:read'])}` })
    t.match(blind, { outcome: 'not_delivered', cause: 'FILTER_NOT_MATCHED' })
    t.notMatch(JSON.stringify(blind), 's3cret')
    client.close()
  })
}

await t.test('a refused event, another environment, and what is not there', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('strict.events')
  await shop.request('POST', '/api/topics', { name: topic, description: 'd', owner: 'o' }, { 'x-environment': 'staging' })
  const client = await connectWs(url, { token: shop.token() })
  const { subscriptionId } = await client.request('subscribe', { topic })
  await shop.request('POST', `/api/schemas/${topic}`, { schema: { type: 'object' } })
  await shop.request('POST', `/api/topics/${topic}/events`, { payload: 1 })
  const [refused] = (await shop.request('GET', '/api/debugger/traces?status=rejected')).body
  t.match(await explain(shop, refused.eventId, { subscriptionId }), { outcome: 'not_delivered', cause: 'EVENT_REFUSED', message: /SCHEMA_VIOLATED/ })
  const { body: staged } = await shop.request('POST', `/api/topics/${topic}/events`, { payload: {} }, { 'x-environment': 'staging' })
  t.match(await explain(shop, staged.id, { subscriptionId }, { 'x-environment': 'staging' }), { outcome: 'not_delivered', cause: 'ENVIRONMENT_DIFFERS' })
  const [event] = await shop.publish(topic, {})
  t.match(await explain(shop, event?.id as string, { subscriptionId }), { outcome: 'delivered', cause: null })
  t.match((await shop.request('POST', '/api/debugger/explain', { topic, offset: 1, subscriptionId })).body, { eventId: event?.id, outcome: 'delivered' })
  const other = await tenant(app)
  const asked = (target: object, by = shop) => by.request('POST', '/api/debugger/explain', target)
  t.match(await asked({ eventId: event?.id, subscriptionId: 'sub_nobody' }), { status: 404, body: { code: 'SUBSCRIPTION_NOT_FOUND' } })
  t.match(await asked({ eventId: 'evt_AAAAAAAAAAAAAAAA', subscriptionId }), { status: 404, body: { code: 'EVENT_NOT_FOUND' } })
  t.match(await asked({ eventId: event?.id, subscriptionId }, other), { status: 404, body: { code: 'EVENT_NOT_FOUND' } })
  const theirs = await other.topic('their.events')
  const [foreign] = await other.publish(theirs, 1)
  t.match(await asked({ eventId: foreign?.id, subscriptionId }, other), { status: 404, body: { code: 'SUBSCRIPTION_NOT_FOUND' } }, 'a subscription of another tenant is not there')
  t.match(await asked({ eventId: event?.id, subscriptionId, token: 'x' }), { status: 400 })
  t.match(await asked({ eventId: event?.id }), { status: 400 })
  t.match(await asked({ topic, subscriptionId }), { status: 400 })
  client.close()
})

await t.test('by token: what it may, and what became of its subscriptions', async t => {
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
  t.match(await explain(shop, before?.id as string, { token }), { outcome: 'not_delivered', cause: 'NOT_SUBSCRIBED_YET' })
  const answer = await explain(shop, event?.id as string, { token }) as Answer & { subscriptions: Answer[] }
  t.match(answer, { outcome: 'delivered', cause: null })
  t.same(answer.subscriptions.map(({ cause }) => cause), [null, 'FILTER_NOT_MATCHED'])
  t.match(await explain(shop, event?.id as string, { token: shop.token(['subscribe:other.*']) }), { outcome: 'not_delivered', cause: 'PERMISSION_DENIED' })
  t.match(await explain(shop, event?.id as string, { token: other.token() }), { outcome: 'not_delivered', cause: 'APPLICATION_DIFFERS' })
  t.notMatch(JSON.stringify(await explain(shop, event?.id as string, { token: other.token() })), other.applicationId)
  t.match(await explain(shop, event?.id as string, { token: 'nonsense' }), { outcome: 'not_delivered', cause: 'CREDENTIAL_INVALID' })
  t.match(await explain(shop, event?.id as string, { token: shop.token(['subscribe'], { expiresInS: -10 }) }), { cause: 'CREDENTIAL_INVALID', message: /expired/ })
  const pinned = app.auth.tokens.mint({ subject: 'pinned', applicationId: shop.applicationId, permissions: ['subscribe'], environment: 'staging', expiresInS: undefined }).token
  t.match(await explain(shop, event?.id as string, { token: pinned }), { outcome: 'not_delivered', cause: 'ENVIRONMENT_DIFFERS' })
  client.close()
})

await t.test('one that was given up, one that comes back, and one whose permission went', async t => {
  const tight = await build(t, { adapt: config => { config.delivery.socketBufferBytesMax = 128 * 1024 } })
  const own = await listen(tight.app)
  const shop = await tenant(tight.app)
  const topic = await shop.topic('slow.events')
  const slow = await connectWs(own, { token: shop.token() })
  const { subscriptionId } = await slow.request('subscribe', { topic })
  slow.pause()
  const ids: string[] = []
  for (let i = 0; i < 40 && tight.app.tracing.subscriptions.find(subscriptionId) !== undefined; i++) {
    for (const { id } of await shop.publish(topic, ...Array.from({ length: 20 }, () => 'x'.repeat(20_000)))) ids.push(id)
  }
  while (tight.app.tracing.subscriptions.find(subscriptionId) !== undefined) await new Promise(resolve => setTimeout(resolve, 20))
  const [missed] = await shop.publish(topic, 'missed')
  slow.resume()
  await slow.message('resync')
  t.match(await explain(shop, missed?.id as string, { subscriptionId }), { outcome: 'not_delivered', cause: 'RESYNCED', message: /SLOW_CONSUMER/ })
  const got = new Set(slow.events.map(({ id }) => id))
  const wrong = []
  const answers = await inParallel(ids, id => explain(shop, id, { subscriptionId }))
  for (const [i, id] of ids.entries()) {
    const { outcome, cause } = answers[i] as Answer
    if ((outcome === 'delivered') !== got.has(id) || (cause ?? 'RESYNCED') !== 'RESYNCED') wrong.push([outcome, cause, got.has(id)])
  }
  t.same(wrong, [], `${got.size} of ${ids.length} arrived, and exactly those are said to have`)
  const back = await slow.request('subscribe', { topic, after: slow.events.length })
  await slow.received(ids.length + 1)
  t.match(await explain(shop, missed?.id as string, { subscriptionId: back.subscriptionId }), { outcome: 'delivered' }, 'the past counts as well')
  slow.close()

  const narrow = await connectWs(own, { token: shop.token(['subscribe'], { subject: 'x' }) })
  const pattern = await narrow.request('subscribe', { topic: 'slow.*' })
  const [seen] = await shop.publish(topic, 'seen')
  await narrow.received(1)
  await narrow.request('auth', { token: shop.token(['subscribe:slow.other'], { subject: 'x' }) })
  const [unseen] = await shop.publish(topic, 'unseen')
  t.match(await explain(shop, seen?.id as string, { subscriptionId: pattern.subscriptionId }), { outcome: 'delivered' })
  t.match(await explain(shop, unseen?.id as string, { subscriptionId: pattern.subscriptionId }), { outcome: 'not_delivered', cause: 'PERMISSION_DENIED' })
  narrow.close()
})
