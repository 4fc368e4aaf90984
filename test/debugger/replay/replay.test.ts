import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { connectSocketIo, connectWs, transports, type Received } from '../../support/clients.ts'
import { createDatabase } from '../../support/database.ts'
import { tenant, type Tenant } from '../../support/tenant.ts'
import { eventually, until } from '../../support/waiting.ts'

/* Replays reach the subscriptions that match now, and move no position. */

const { app, databaseUrl } = await build(t)
const url = await listen(app)
const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

interface Replay {
  id: string
  state: string
  total: number
  done: number
  sent: number
  passedOver: number
  missing: number
}
const replay = async (shop: Tenant, body: object) => await shop.request('POST', '/api/debugger/replay', body)

async function finished (shop: Tenant, id: string, state = 'done'): Promise<Replay> {
  return await eventually(async () => {
    const { body } = await shop.request('GET', `/api/debugger/replays/${id}`)
    if (body.state !== state && ['done', 'cancelled', 'failed'].includes(body.state)) {
      throw new Error(JSON.stringify(body))
    }
    return body.state === state && body as Replay
  })
}
const isReplayed = (event: Received) => (event.meta as { replayOf?: string } | undefined)?.replayOf !== undefined

for (const { name, connect } of transports) {
  await t.test(`a replayed event keeps id, topic and offset, is marked, and is not stored again (${name})`, async t => {
    const shop = await tenant(app)
    const topic = await shop.topic('past.events')
    const events = await shop.publish(topic, ...upTo(10).map(n => ({ n })))
    const client = await connect(url, { token: shop.token() })
    const { subscriptionId } = await client.request('subscribe', { topic, filter: { n: { gt: 5 } } })
    const pattern = await client.request('subscribe', { topic: 'past.*' })
    const { status, body } = await replay(shop, {
      topic, fromOffset: 3, toOffset: 8, target: 'subscribers', ratePerSecond: 1000
    })
    t.match([status, body], [202, { id: /^rpl_/, total: 6, target: 'subscribers' }])
    const done = await finished(shop, body.id)
    t.match(done, { done: 6, missing: 0, passedOver: 0, sent: 9 })
    await client.received(6)
    t.same(
      client.events.map(({ id, topic, offset, payload, meta }) => ({ id, topic, offset, payload, meta })),
      upTo(8, 3).map(n => (
        { id: events[n - 1]?.id, topic, offset: n, payload: { n }, meta: { replayOf: body.id } }
      ))
    )
    t.same(client.events.at(-1)?.subscriptionIds.sort(), [subscriptionId, pattern.subscriptionId].sort())
    t.same(client.events[0]?.subscriptionIds, [pattern.subscriptionId], 'filters apply')
    await shop.publish(topic, { n: 11 })
    await client.received(7)
    t.match(client.events.at(-1), { offset: 11, meta: undefined })
    t.equal((await shop.request('GET', `/api/topics/${topic}/events`)).body.length, 11, 'nothing was stored')
    client.close()
  })
}

await t.test('single events of several topics are replayed in order, and a dry run only counts', async t => {
  const shop = await tenant(app)
  const [a, b] = [await shop.topic('a.events'), await shop.topic('b.events')]
  const [first] = await shop.publish(a, 1)
  const [second, third] = await shop.publish(b, 2, 3)
  const client = await connectWs(url, { token: shop.token() })
  await client.request('subscribe', { topic: '**' })
  const eventIds = [third?.id, first?.id, second?.id]
  const dry = await replay(shop, { eventIds, target: 'all', dryRun: true })
  t.match([dry.status, dry.body], [200, { state: 'dry_run', total: 3, id: '' }])
  const { body } = await replay(shop, { eventIds, target: 'subscribers', ratePerSecond: 1000 })
  await finished(shop, body.id)
  t.same((await client.received(3)).map(({ id }) => id), eventIds)
  t.same(
    (await shop.request('GET', '/api/debugger/replays')).body.map(({ id }: Replay) => id), [body.id],
    'the dry run stored nothing'
  )
  client.close()
})

await t.test('a time span is replayed, also if retention has dropped part or all of it', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('timed.events')
  await shop.publish(topic, 1, 2)
  const published = Date.now()
  await until(() => Date.now() > published, 'the next millisecond')
  const from = Date.now()
  await shop.publish(topic, 3, 4)
  const client = await connectWs(url, { token: shop.token() })
  await client.request('subscribe', { topic })
  const { body } = await replay(shop, { topic, from, target: 'subscribers' })
  t.equal(body.total, 2)
  await finished(shop, body.id)
  t.same((await client.received(2)).map(({ offset }) => offset), [3, 4])
  const empty = await replay(shop, { topic, to: from - 60_000, target: 'subscribers' })
  t.match(await finished(shop, empty.body.id), { total: 0, done: 0, missing: 0 })
  // Slow enough that its last event is deleted before its turn.
  await shop.publish(topic, 5, 6, 7, 8)
  const slow = await replay(shop, { topic, fromOffset: 1, target: 'subscribers', ratePerSecond: 1 })
  await app.pool.query('delete from events where application_id = $1 and "offset" > 7', [shop.applicationId])
  t.match(await finished(shop, slow.body.id), { total: 8, done: 7, missing: 1 })
  client.close()
})

await t.test('clients that resume by offset miss nothing when replays come in between', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('followed.events')
  await shop.publish(topic, ...upTo(200))
  const seen: number[] = []
  let position = 0
  const publishing = (async () => { for (let n = 0; n < 40; n++) await shop.publish(topic, ...upTo(20)) })()
  for (let round = 0; position < 1000; round++) {
    const client = await connectSocketIo(url, { token: shop.token() })
    const ack = await client.request('subscribe', { topic, after: position })
    t.equal(ack.recovered, true)
    await replay(shop, { topic, fromOffset: 1, toOffset: 50, target: 'subscribers', ratePerSecond: 10_000 }).then(
      async ({ body }) => {
        await finished(shop, body.id)
      }
    )
    const live = () => client.events.filter(event => !isReplayed(event))
    while (live().length < Math.min(150, 1000 - position)) await client.received(client.events.length + 1)
    client.cut()
    await client.closed
    seen.push(...live().map(({ offset }) => offset))
    position = seen.at(-1) ?? 0
    if (round > 30) break
  }
  await publishing
  t.same(seen, upTo(1000))
})

await t.test('a replay keeps its rate, can be cancelled, and requires permission to publish', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('slow.events')
  await shop.publish(topic, ...upTo(500))
  const client = await connectWs(url, { token: shop.token() })
  await client.request('subscribe', { topic })
  const { body } = await replay(shop, { topic, fromOffset: 1, target: 'subscribers', ratePerSecond: 20 })
  await client.received(3)
  const cancelled = await shop.request('POST', `/api/debugger/replays/${body.id}/cancel`)
  t.match([cancelled.status, cancelled.body], [200, { state: 'cancelled' }])
  t.ok(
    cancelled.body.finishedAt - cancelled.body.startedAt >= (cancelled.body.done - 4) / 20 * 1000 - 200,
    'no faster than its rate'
  )
  const { done } = (await shop.request('GET', `/api/debugger/replays/${body.id}`)).body
  await shop.publish(topic, 'last')
  while (client.events.at(-1)?.payload !== 'last') await client.received(client.events.length + 1)
  t.ok(done < 500 && client.events.length <= done + 1)
  t.match(
    (await shop.request('POST', `/api/debugger/replays/${body.id}/cancel`)).body,
    { state: 'cancelled' },
    'a second cancel changes nothing'
  )
  const other = await tenant(app)
  t.match(await other.request('GET', `/api/debugger/replays/${body.id}`), {
    status: 404,
    body: { code: 'REPLAY_NOT_FOUND' }
  })
  t.match(await other.request('POST', `/api/debugger/replays/${body.id}/cancel`), { status: 404 })
  t.same((await other.request('GET', '/api/debugger/replays')).body, [])
  const asked = (body: object, permissions = ['admin']) =>
    shop.request('POST', '/api/debugger/replay', body, { authorization: `Bearer ${shop.token(permissions)}` })
  t.match(await asked({ topic, fromOffset: 1, target: 'subscribers' }, ['debugger:create', 'publish:other.*']), {
    status: 403, body: { code: 'PERMISSION_DENIED' }
  })
  t.match(await asked({ topic, fromOffset: 1, target: 'subscribers' }, ['debugger:read', 'publish']), { status: 403 })
  t.match(await asked({ topic: 'no.such', fromOffset: 1, target: 'subscribers' }), {
    status: 404, body: { code: 'TOPIC_NOT_FOUND' }
  })
  t.match(await asked({ eventIds: ['evt_AAAAAAAAAAAAAAAA'], target: 'subscribers' }), {
    status: 404, body: { code: 'EVENT_NOT_FOUND' }
  })
  for (
    const bad of [{ target: 'subscribers' }, { topic, target: 'subscribers' }, {
      topic, fromOffset: 1, eventIds: ['evt_AAAAAAAAAAAAAAAA'], target: 'all'
    }, { topic, fromOffset: 1, target: 'subscribers', webhookId: 'wh_x' }]
  ) {
    t.match(await asked(bad), { status: 400 }, JSON.stringify(bad))
  }
  client.close()
})

await t.test('after a restart a replay continues without duplicates or gaps', async t => {
  const own = await createDatabase(t)
  const first = await build(t, { databaseUrl: own })
  const shop = await tenant(first.app)
  const topic = await shop.topic('long.events')
  await shop.publish(topic, ...upTo(200))
  const before = await connectWs(await listen(first.app), { token: shop.token() })
  await before.request('subscribe', { topic })
  const { body } = await replay(shop, { topic, fromOffset: 1, target: 'subscribers', ratePerSecond: 20 })
  await before.received(10)
  await first.app.close()
  const sent = before.events.map(({ offset }) => offset)
  t.same(sent, upTo(sent.length))
  const second = await build(t, { databaseUrl: own })
  const after = await connectWs(await listen(second.app), { token: shop.token() })
  await after.request('subscribe', { topic })
  const there = (path: string) =>
    second.app.inject({ method: 'GET', url: path, headers: { authorization: `Bearer ${shop.token()}` } })
  await until(async () => (await there(`/api/debugger/replays/${body.id}`)).json().state === 'done', 'the replay')
  await until(() => after.events.at(-1)?.offset === 200, 'the last event')
  t.match((await there(`/api/debugger/replays/${body.id}`)).json(), { total: 200, done: 200, missing: 0 })
  const rest = after.events.map(({ offset }) => offset)
  t.same(rest, upTo(200, rest[0]), 'in order, up to the end')
  t.ok((rest[0] ?? 0) > sent.length, 'no duplicates')
  after.close()
})

await t.test('each node replays to its own sockets', async t => {
  const node = await build(t, { databaseUrl })
  const shop = await tenant(app)
  const topic = await shop.topic('two.nodes')
  await shop.publish(topic, ...upTo(30))
  const [here, there] = [
    await connectWs(url, { token: shop.token() }), await connectWs(await listen(node.app), { token: shop.token() })
  ]
  await here.request('subscribe', { topic })
  await there.request('subscribe', { topic })
  const { body } = await replay(shop, { topic, fromOffset: 1, target: 'subscribers', ratePerSecond: 100 })
  for (const client of [here, there]) t.same((await client.received(30)).map(({ offset }) => offset), upTo(30))
  await finished(shop, body.id)
  here.close()
  there.close()
})

/** Waits until the runner has passed over all replays: it carries out a later one in the same steps. */
async function twoSteps (shop: Tenant, topic: string): Promise<void> {
  for (let step = 0; step < 2; step++) {
    const { body } = await replay(shop, { topic, fromOffset: 1, toOffset: 1, target: 'subscribers' })
    await finished(shop, body.id)
  }
}

const leaseRow = async (id: string) => {
  const { rows: [row] } = await app.pool.query<{ state: string, position: number, done: number, fence: number }>(
    'select state, position, done, fence from replays where id = $1', [id]
  )
  return row
}
const expireLease = (id: string) =>
  app.pool.query("update replays set lease_expires_at = clock_timestamp() - interval '1 ms' where id = $1", [id])

await t.test('a node that lost its lease records no progress', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('taken.over')
  await shop.publish(topic, ...upTo(300))
  const { body: { id } } = await replay(shop, { topic, fromOffset: 1, target: 'subscribers', ratePerSecond: 100 })
  await until(async () => ((await leaseRow(id))?.position ?? 0) >= 10, 'some progress')
  // Another node takes the lease, as if it had expired, just when this one is about to advance the replay.
  const other = await app.pool.connect()
  await other.query('begin')
  await other.query('select from replays where id = $1 for update', [id])
  await until(async () => {
    const { rowCount } = await app.pool.query(
      "select from pg_stat_activity where wait_event_type = 'Lock' and query like '%update replays set position%'"
    )
    return rowCount === 1
  }, 'the leader to advance')
  await other.query(
    "update replays set lease_owner = 'node_other', fence = fence + 1, " +
      "lease_expires_at = clock_timestamp() + interval '1 h' where id = $1",
    [id]
  )
  await other.query('commit')
  other.release()
  const lost = await leaseRow(id)
  await twoSteps(shop, topic)
  t.same(await leaseRow(id), lost)
  t.equal(lost?.state, 'running')

  await expireLease(id)
  t.match(await finished(shop, id), { total: 300, done: 300, missing: 0 })
  t.equal((await leaseRow(id))?.fence, (lost?.fence ?? 0) + 1, 'it has taken the lease again')
})

await t.test('a node whose part of a replay fails ends the replay only if it leads it', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('broken.replay')
  await shop.publish(topic, 1)
  const id = `rpl_${topic}`
  await app.pool.query(
    `insert into replays (id, application_id, environment, target, events, rate_per_second, total, position, state,
      requested_by, created_at, lease_owner, fence, lease_expires_at)
    values ($1, $2, 'development', 'subscribers', $3, 1, 2, 1, 'running', 'app_1/tests', $4, 'node_other', 1,
      clock_timestamp() + interval '1 h')`,
    [id, shop.applicationId, JSON.stringify([[topic, 'no offset', 'evt_1']]), Date.now()]
  )
  await twoSteps(shop, topic)
  t.match(await leaseRow(id), { state: 'running', fence: 1 })
  await expireLease(id)
  t.match(await finished(shop, id, 'failed'), { message: /the log of the server/ })
})
