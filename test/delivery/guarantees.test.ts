import t from 'tap'
import { build, listen, unpinged } from '../support/build.ts'
import { connectSocketIo, transports, type Received } from '../support/clients.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

t.setTimeout(600_000)

/* The promises of contract §10 and the invariants 1–4 of the design, over both transports. */

const { app } = await build(t)
const url = await listen(app)
const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

await t.test('64 clients merge one document 20 times each: no merge is lost, offsets have no gap', async t => {
  const shop = await tenant(app)
  await shop.request('POST', '/api/sync/board/documents', { id: 'one', data: {} })
  await Promise.all(
    upTo(64).map(async client => {
      for (const round of upTo(20)) {
        const { status } = await shop.request('PATCH', '/api/sync/board/documents/one/merge', {
          data: { [`c${client}`]: round, [`r${round}_${client}`]: 1 }
        })
        if (status !== 200) throw new Error(`status ${status}`)
      }
    })
  )
  const { body } = await shop.request('GET', '/api/sync/board/documents/one')
  t.equal(body.revision, 1 + 1280)
  t.equal(Object.keys(body.data).length, 64 + 1280)
  t.ok(upTo(64).every(client => body.data[`c${client}`] === 20))
  const events: Received[] = []
  for (let after: unknown = 0; after !== undefined;) {
    const page = await shop.request('GET', `/api/topics/sync.board.updated/events?limit=1000&after=${String(after)}`)
    events.push(...page.body as Received[])
    after = page.headers['x-next-cursor']
  }
  t.same(events.map(event => event.offset), upTo(1280))
  t.same(
    events.map(event => (event.payload as { revision: number }).revision), upTo(1281, 2),
    'the log has the revisions in order'
  )
})

await t.test('with expectedRevision exactly one of many concurrent writers wins', async t => {
  const shop = await tenant(app)
  await shop.request('POST', '/api/sync/board/documents', { id: 'one', data: { n: 0 } })
  for (const revision of upTo(10)) {
    const answers = await Promise.all(
      upTo(16).map(n =>
        shop.request('PUT', '/api/sync/board/documents/one', { data: { n }, expectedRevision: revision })
      )
    )
    t.equal(answers.filter(({ status }) => status === 200).length, 1)
    const losers = answers.filter(({ status }) => status !== 200)
    t.ok(
      losers.every(({ status, body }) =>
        status === 409 && body.code === 'REVISION_MISMATCH' && body.message.includes(String(revision + 1))
      )
    )
  }
})

for (const { name, connect } of transports) {
  await t.test(`an event written in the callback of the acknowledgement arrives, 1,000 times (${name})`, async t => {
    const shop = await tenant(app)
    const topic = await shop.topic('ack.events')
    const client = await connect(url, { token: shop.token() })
    let missed = 0
    for (let i = 1; i <= 1000; i++) {
      let published: Promise<unknown> | undefined
      const { subscriptionId } = await client.request('subscribe', { topic }, () => {
        published = shop.publish(topic, i)
      })
      await published
      await client.received(i).catch(() => missed++)
      if (i % 2 === 0) await client.request('unsubscribe', { subscriptionId })
      else client.request('unsubscribe', { subscriptionId }).catch(() => {})
      if (missed > 0) break
    }
    t.equal(missed, 0)
    t.same(client.events.map(event => event.payload), upTo(client.events.length))
    client.close()
  })

  await t.test(`a client cut 50 times during 10,000 events receives every offset once, in order (${name})`, async t => {
    const shop = await tenant(app)
    const topic = await shop.topic('cut.events')
    const total = 10_000
    const seen: number[] = []
    let isDone = false
    const publishing = (async () => {
      for (let n = 0; n < total;) {
        const size = Math.min(1 + (n * 7) % 40, total - n)
        await shop.publish(topic, ...Array.from({ length: size }, (_, i) => n + i))
        n += size
      }
    })()
    let cuts = 0
    let position = 0
    let seed = 1
    const random = () => { seed = (seed * 48271) % 2147483647; return seed / 2147483647 }
    while (!isDone) {
      const client = await connect(url, { token: shop.token() })
      const ack = await client.request('subscribe', { topic, after: position })
      t.equal(ack.recovered, true)
      // Cut at random: after so many more events, whether they come from the log or live.
      const more = cuts < 50 ? Math.floor(random() * 250) : total
      await client.received(Math.min(more, total - position))
      client.cut()
      cuts++
      await client.closed
      seen.push(...client.events.map(event => event.offset))
      position = seen.at(-1) ?? 0
      isDone = position >= total
    }
    await publishing
    t.ok(cuts >= 50, `cut ${cuts} times`)
    t.same(seen, upTo(total))
  })
}

await t.test('events that reach a node out of order, twice or never are delivered once, in order', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('shuffled.events')
  const client = await connectSocketIo(url, { token: shop.token() })
  await client.request('subscribe', { topic })
  const publish = app.hub.publish.bind(app.hub)
  const heard: Parameters<typeof publish>[0][number][] = []
  app.hub.publish = events => { heard.push(...events) }
  await shop.publish(topic, ...upTo(100))
  await until(() => heard.length === 100)
  app.hub.publish = publish
  const [a, b, c, d] = [heard.slice(0, 30), heard.slice(30, 60), heard.slice(60, 90), heard.slice(90)]
  publish([...c.slice(0, 10)].reverse())
  publish([...b, ...b])
  publish(a)
  publish(c)
  t.same((await client.received(90)).slice(0, 90).map(event => event.offset), upTo(90))
  t.equal(d.length, 10)
  t.same((await client.received(100)).map(event => event.offset), upTo(100), 'the poll finds events without a hint')
  client.close()
})

await t.test('a stopped reader gets resync within its limit and does not delay the others', async t => {
  const shared = await build(t, {
    adapt: config => {
      config.delivery.socketBufferBytesMax = 256 * 1024
      Object.assign(config.delivery, unpinged, { drainTimeoutMs: 2000, closeTimeoutMs: 60_000 })
    }
  })
  const own = await listen(shared.app)
  const closed = async () =>
    Number(/realtime_sockets_closed_total\{code="SLOW_CONSUMER"\} (\d+)/.exec(
      await shared.app.instruments.registry.metrics()
    )?.[1] ?? 0)
  for (const { name, connect } of transports) {
    const shop = await tenant(shared.app)
    const topic = await shop.topic('slow.events')
    const [slow, fast] = [await connect(own, { token: shop.token() }), await connect(own, { token: shop.token() })]
    await slow.request('subscribe', { topic })
    await fast.request('subscribe', { topic })
    slow.pause()
    const before = await closed()
    const payload = 'x'.repeat(20_000)
    for (let i = 0; i < 20; i++) await shop.publish(topic, ...Array(25).fill(payload))
    t.same((await fast.received(500)).map(event => event.offset), upTo(500), `${name}: the fast client has them all`)
    await until(async () => await closed() > before, 'the slow client to be given up')
    slow.resume()
    t.match(await slow.closed, name === 'Socket.IO' ? {} : { code: 4408 }, `${name}: the slow client is closed`)
    const got = slow.events.map(event => event.offset)
    t.same(got, upTo(got.length), `${name}: its events have no gap`)
    t.ok(got.length < 500)
    t.match(await shared.app.instruments.registry.metrics(), /realtime_resyncs_total\{code="SLOW_CONSUMER"\} [1-9]/)
    fast.close()
  }
})
