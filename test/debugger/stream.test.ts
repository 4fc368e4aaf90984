import t from 'tap'
import { build, listen } from '../support/build.ts'
import { connectWs } from '../support/clients.ts'
import { person } from '../support/people.ts'
import { tenant, type Tenant } from '../support/tenant.ts'
import { follow, type Message } from '../support/trace-stream.ts'
import { until } from '../support/waiting.ts'

/* Live traces over server-sent events. */

const { app, databaseUrl } = await build(t)
const url = await listen(app)
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)

await t.test('the stream sends live traces that match its filter, of its own scope only', async t => {
  const [shop, other] = [await tenant(app), await tenant(app)]
  const [topic, unheard] = [await shop.topic('heard.events'), await shop.topic('unheard.events')]
  const theirs = await other.topic('heard.events')
  await shop.publish(topic, 'before')
  await app.tracing.recorder.flush()
  const all = await follow(url, shop)
  t.equal(all.status, 200)
  t.match(all.headers, { 'content-type': /^text\/event-stream/, 'cache-control': /no-cache/ })
  const some = await follow(url, shop, `?topic=${topic}&status=delivered`)
  const rejected = await follow(url, shop, '?status=rejected')
  const later = await follow(url, shop, `?from=${Date.now() + 3_600_000}`)
  const client = await connectWs(url, { token: shop.token() })
  await client.request('subscribe', { topic })
  await other.publish(theirs, 1)
  await shop.publish(topic, 1, 2, 3)
  await shop.publish(unheard, 1)
  await shop.request('POST', '/api/topics/no.such/events', { payload: 1 })
  await shop.publish(topic, 4)
  t.same((await all.received(6)).map(({ event, data }) => [event, data.topic, data.status].join(' ')).sort(), [
    ...Array<string>(4).fill(`trace ${topic} delivered`), `trace ${unheard} no_subscribers`, 'trace no.such rejected'
  ].sort())
  t.same((await some.received(4)).map(({ data }) => data.offset), [2, 3, 4, 5])
  t.same((await rejected.received(1)).map(({ data }) => data.topic), ['no.such'])
  t.equal(all.messages.length, 6)
  t.same(later.messages, [])
  t.equal((await follow(url, shop, '?status=nonsense')).status, 400)
  t.equal((await follow(url, shop, '', { 'last-event-id': 'bm9uc2Vuc2U' })).status, 400)
  t.equal((await follow(url, shop, '', {}, shop.token(['subscribe']))).status, 403)
  for (const stream of [all, some, rejected, later]) stream.close()
  await Promise.all([all, some, rejected, later].map(({ closed }) => closed))
  client.close()
})

await t.test('a reconnecting client receives every trace once, even in the middle of a batch', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('cut.events')
  let stream = await follow(url, shop)
  const seen: number[] = []
  const total = 3000
  let cuts = 0
  // At most 500 events ahead of the cuts, so that there are several.
  const publishing = (async () => {
    for (let n = 0; n < total; n += 100) {
      await until(() => n < 500 * (cuts + 1), 'the next cut')
      await shop.publish(topic, ...upTo(100))
    }
  })()
  while (seen.length < total) {
    await stream.received(Math.min(1 + (cuts * 157) % 400, total - seen.length))
    stream.close()
    await stream.closed
    seen.push(...stream.messages.map(({ data }) => data.offset))
    cuts++
    if (seen.length < total) stream = await follow(url, shop, '', { 'last-event-id': stream.lastId() })
  }
  await publishing
  t.ok(cuts > 5, `${cuts} cuts`)
  t.same([...seen].sort((a, b) => a - b), upTo(total))
})

await t.test('the stream includes what other nodes store and deliver', async t => {
  const node = await build(t, { databaseUrl })
  const nodeUrl = await listen(node.app)
  const shop = await tenant(app)
  const there: Tenant = await tenantOn(node.app, shop)
  const topic = await shop.topic('far.events')
  const client = await connectWs(nodeUrl, { token: shop.token() })
  await client.request('subscribe', { topic })
  const stream = await follow(url, shop)
  await there.publish(topic, 1)
  await stream.until(
    () => stream.messages.some(({ data }) => data.offset === 1 && data.status === 'delivered'),
    'an event of the other node'
  )
  await shop.publish(topic, 2)
  await client.received(2)
  await stream.until(
    () => stream.messages.some(({ data }) => data.offset === 2 && data.status === 'delivered' && data.matched === 1),
    'a delivery of the other node'
  )
  const { body } = await shop.request('GET', `/api/debugger/traces?topic=${topic}`)
  t.same(body.map(({ offset, matched, status }: Message['data']) => [offset, matched, status]), [[2, 1, 'delivered'], [
    1, 1, 'delivered'
  ]])
  const trace = (await shop.request('GET', `/api/debugger/traces/${body[0].eventId}`)).body
  t.equal(trace.stored.node, app.node.id)
  t.same(
    trace.routed.filter(({ matched }: { matched: number }) => matched > 0).map((step: { node: string }) => step.node),
    [node.app.node.id]
  )
  stream.close()
  await stream.closed
  client.close()
})

await t.test('events continue while the trace store is blocked; excess traces are dropped and announced', async t => {
  const own = await build(t, { adapt: config => { config.traces.pendingMax = 10 } })
  const ownUrl = await listen(own.app)
  const shop = await tenant(own.app)
  const topic = await shop.topic('flood.events')
  const client = await connectWs(ownUrl, { token: shop.token() })
  await client.request('subscribe', { topic })
  const stream = await follow(ownUrl, shop)
  const store = await own.app.pool.connect()
  // Reads work, writes block.
  await store.query('begin; lock table event_traces in exclusive mode')
  await shop.publish(topic, ...upTo(30))
  t.same((await client.received(30)).map(({ offset }) => offset), upTo(30), 'acknowledged and delivered')
  await shop.request('POST', '/api/topics/no.such/events', { payload: 1 })
  t.equal(
    (await shop.request('GET', '/api/debugger/traces')).status, 200, 'readers see only the stored traces'
  )
  await store.query('commit')
  store.release()
  await stream.until(() => stream.messages.some(({ event }) => event === 'dropped'), 'an announcement')
  await stream.until(() => stream.messages.some(({ data }) => data.status === 'rejected'), 'the rejection')
  t.match(stream.messages.find(({ event }) => event === 'dropped')?.data, { events: 20, reason: /keep up/ })
  t.same(stream.messages.filter(({ event }) => event === 'trace').map(({ data }) => [data.offset, data.status]), [
    ...upTo(10).map(offset => [offset, 'delivered']),
    [null, 'rejected']
  ], 'earlier traces are complete, and rejections are kept')
  t.match(await own.app.instruments.registry.metrics(), /realtime_traces_dropped_total\{kind="event"\} 20/)
  t.same(
    (await shop.request('GET', '/api/debugger/traces?status=delivered')).body.map(({ offset }: { offset: number }) =>
      offset
    ),
    upTo(10).reverse()
  )
  await shop.publish(topic, 'after')
  await stream.until(() => stream.messages.at(-1)?.data.offset === 31, 'the stream continues')
  stream.close()
  await stream.closed
  client.close()
})

await t.test('the stream ends with its credential or the server, and sends the reason', async t => {
  const own = await build(t)
  const ownUrl = await listen(own.app)
  const shop = await tenant(own.app)
  const expiring = await follow(ownUrl, shop, '', {}, shop.token(['admin'], { expiresInS: 10 }))
  // Revoked on another node, which has not notified this one.
  const viewers = await Promise.all([0, 1].map(() => person(own.app, ['viewer', shop.applicationId])))
  const watched = await Promise.all(
    viewers.map(({ token }) =>
      follow(ownUrl, shop, '', { authorization: token, 'x-application-id': shop.applicationId })
    )
  )
  t.same(watched.map(({ status }) => status), [200, 200])
  await own.app.db.deleteFrom('role_assignments').where('user_id', '=', viewers[0]?.id ?? '').execute()
  await own.app.db.deleteFrom('sessions').where('user_id', '=', viewers[1]?.id ?? '').execute()
  await Promise.all(watched.map(({ closed }) => closed))
  for (const { messages } of watched) {
    t.match(messages.at(-1), { event: 'closing', data: { reason: 'CREDENTIAL_REVOKED' } })
  }
  const gone = await tenant(own.app)
  const deleted = await follow(ownUrl, gone)
  await own.app.inject({
    method: 'DELETE',
    url: `/api/applications/${gone.applicationId}?force=true`,
    headers: { authorization: `Bearer ${gone.token()}` }
  })
  await deleted.closed
  t.match(deleted.messages.at(-1), { event: 'closing', data: { reason: 'APPLICATION_DELETED' } })
  await expiring.closed
  t.match(expiring.messages.at(-1), { event: 'closing', data: { code: 4402, reason: 'CREDENTIAL_EXPIRED' } })
  const streams = await Promise.all(upTo(20).map(() => follow(ownUrl, shop)))
  t.ok(streams.every(({ status }) => status === 200))
  t.equal((await follow(ownUrl, shop)).status, 429, 'a scope has at most twenty streams')
  await own.app.close()
  await Promise.all(streams.map(({ closed }) => closed))
  t.match(streams[0]?.messages.at(-1), { event: 'closing', data: { code: 1012, reason: 'SHUTTING_DOWN' } })
})

await t.test('the message id does not grow with the number of past nodes', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('old.nodes')
  const first = await follow(url, shop)
  await shop.publish(topic, 1)
  await first.received(1)
  first.close()
  await first.closed
  const [since, at, read] = JSON.parse(Buffer.from(first.lastId(), 'base64url').toString()) as [
    number, number, [string, number][]
  ]
  const old = upTo(60).map((n): [string, number] => [`node_${String(n).padStart(16, '0')}`, n])
  const back = await follow(url, shop, '', {
    'last-event-id': Buffer.from(JSON.stringify([since, at, [...old, ...read]])).toString('base64url')
  })
  await shop.publish(topic, 2)
  await back.received(1)
  await shop.publish(topic, 3)
  t.same((await back.received(2)).map(({ data }) => data.offset), [2, 3])
  const named = (id = '') =>
    (JSON.parse(Buffer.from(id, 'base64url').toString()) as [number, number, [string, number][]])[2].map(([node]) =>
      node
    )
  t.ok(named(back.lastId()).length < 30 && named(back.lastId()).includes(app.node.id))
  back.close()
  await back.closed
})

await t.test('heartbeats carry an id from which a client can continue', async t => {
  const own = await build(t, { adapt: config => { config.traces.heartbeatMs = 50 } })
  const ownUrl = await listen(own.app)
  const shop = await tenant(own.app)
  const topic = await shop.topic('quiet.events')
  const stream = await follow(ownUrl, shop, '?status=rejected')
  await stream.until(() => stream.lastId() !== '', 'the first id')
  const before = stream.lastId()
  await shop.publish(topic, 1)
  await own.app.tracing.recorder.flush()
  await stream.until(
    () => stream.comments.includes('alive') && stream.lastId() !== before,
    'a heartbeat after the excluded trace'
  )
  stream.close()
  await stream.closed
  const back = await follow(ownUrl, shop, '', { 'last-event-id': stream.lastId() })
  await shop.publish(topic, 2)
  t.same((await back.received(1)).map(({ data }) => data.offset), [2], 'excluded events are not read again')
  back.close()
  await back.closed
})

/** Returns the same application, accessed through another node. */
async function tenantOn (node: typeof app, shop: Tenant): Promise<Tenant> {
  const there = await tenant(node)
  return {
    ...there, publish: async (topic, ...payloads) => {
      const response = await node.inject({
        method: 'POST',
        url: `/api/topics/${topic}/events`,
        headers: { authorization: `Bearer ${shop.token()}`, 'content-type': 'application/json' },
        payload: JSON.stringify({ events: payloads.map(payload => ({ payload })) })
      })
      if (response.statusCode !== 201) throw new Error(response.body)
      return response.json()
    }
  }
}
