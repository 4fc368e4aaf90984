import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import t from 'tap'
import type { WebSocket } from 'ws'
import type { Connection } from '../../src/delivery/sockets/connection.ts'
import { build, listen, unpinged } from '../support/build.ts'
import { connectSocketIo, connectWs, transports, type Client } from '../support/clients.ts'
import { tenant } from '../support/tenant.ts'
import { elapse, pace, until } from '../support/waiting.ts'

/* Limits of one connection: its requests, its memory, its subscriptions. */

const { app } = await build(t, { adapt: ({ delivery }) => { Object.assign(delivery, unpinged) } })
const url = await listen(app)
const defaults = { ...app.config.delivery }
/** Sets limits for the connections of a test. Open connections read the changed limits as well. */
const limitTo = (limits: Partial<typeof defaults>) => { Object.assign(app.config.delivery, defaults, limits) }

const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

t.afterEach(async () => { await until(() => app.connections.size === 0) })

await t.test('a client above its pace gets the time to wait, then a close code that lets it reconnect', async t => {
  limitTo({ requestsPerSecond: 20, requestsBurst: 10, overLimitMs: 500 })
  const shop = await tenant(app)
  const topic = await shop.topic('paced.events')
  for (const { name, connect } of transports) {
    const client = await connect(url, { token: shop.token() })
    // Over Socket.IO, connecting counted as a packet. One more is admitted 50 ms later.
    await elapse(60)
    const begin = Date.now()
    const answers: Awaited<ReturnType<typeof client.request>>[] = []
    while (answers.every(({ ok }) => ok)) {
      answers.push(...await Promise.all(upTo(15).map(() => client.request('subscribe', { topic }))))
    }
    const passed = answers.filter(({ ok }) => ok).length
    // Each 50 ms of the loop leaves room for one more request.
    const most = 10 + Math.ceil((Date.now() - begin) / 50)
    t.ok(passed >= 10 && passed <= most, `${name}: ${passed}, the burst and at most ${most}`)
    const refusal = answers.find(({ ok }) => !ok) as typeof answers[number] & { retryAfterMs: number }
    t.match(refusal, { error: 'RateLimitError', code: 'RATE_LIMITED', retryAfterMs: Number, message: /20 requests/ })
    t.ok(refusal.retryAfterMs > 0 && refusal.retryAfterMs <= 60, `${refusal.retryAfterMs} ms`)
    await elapse(refusal.retryAfterMs + 50)
    t.match(await client.request('subscribe', { topic }), { ok: true }, `${name}: after the wait`)
    const { closed } = client
    const state = { isOpen: true }
    void closed.then(() => { state.isOpen = false })
    // Five times the pace, however slowly this loop runs.
    for (let sentAt = Date.now(); state.isOpen; sentAt = Date.now()) {
      await pace(50)
      for (let n = 0; n < (Date.now() - sentAt) / 10; n++) {
        client.request('unsubscribe', { subscriptionId: 'sub_none' }).catch(() => {})
      }
    }
    t.match(
      await closed, { code: 4429, reason: 'RATE_LIMITED', ...(name === 'Socket.IO' && { reconnect: true }) }, name
    )
    t.ok(Date.now() - begin >= 500, 'not at once')
  }
  t.match(await app.instruments.registry.metrics(), /realtime_socket_limited_total\{limit="requests"\} [1-9]/)
  await until(() => app.connections.size === 0)
})

await t.test('too many bytes are refused, and a flooding client is closed at once', async t => {
  limitTo({ requestsPerSecond: 100, requestsBurst: 20, bytesPerSecond: 10_000, bytesBurst: 50_000 })
  const shop = await tenant(app)
  for (const { name, connect } of transports) {
    const client = await connect(url, { token: shop.token() })
    t.match(await client.request('unsubscribe', { subscriptionId: 'x'.repeat(70_000) }), {
      ok: false, code: 'RATE_LIMITED', retryAfterMs: Number, message: /10000 bytes/
    }, name)
    const flood = await connect(url, { token: shop.token() })
    for (let n = 0; n < 1000; n++) flood.request('unsubscribe', { subscriptionId: 'sub_none' }).catch(() => {})
    t.match(await flood.closed, { code: 4429 }, name)
    client.close()
  }
  const pinger = await connectWs(url, { token: shop.token() })
  // `ws` itself cuts off a client that sends more pings than it has answered.
  for (let i = 0; i < 100 && pinger.socket.readyState === pinger.socket.OPEN; i++) {
    for (let n = 0; n < 10; n++) pinger.socket.ping()
    await pace(2)
  }
  t.match(await pinger.closed, { code: 4429 }, 'control frames count')
  const ponging = async (link: WebSocket) => {
    for (let n = 0; n < 1000; n++) link.pong()
    await once(link, 'close')
  }
  const [ponger, below] = [
    await connectWs(url, { token: shop.token() }), await connectSocketIo(url, { token: shop.token() })
  ]
  await ponging(ponger.socket)
  t.match(await ponger.closed, { code: 4429 }, 'unsolicited pongs count, too')
  await ponging(below.webSocket())
  t.match(await below.closed, { code: 4429 }, 'control frames below Socket.IO count, too')
  // Acknowledgements of nothing, and connections to an unknown namespace.
  for (const packet of ['3999[]', '0/nowhere,']) {
    const client = await connectSocketIo(url, { token: shop.token() })
    for (let n = 0; n < 1000; n++) client.socket.io.engine.write(packet)
    t.match(await client.closed, { code: 4429 }, packet)
  }
})

await t.test('concurrent requests do not exceed the limit of subscriptions', async t => {
  limitTo({ subscriptionsPerConnectionMax: 5 })
  const shop = await tenant(app)
  const topic = await shop.topic('bounded.events')
  for (const { name, connect } of transports) {
    const client = await connect(url, { token: shop.token() })
    const answers = await Promise.all(
      upTo(20).map(n => client.request('subscribe', { topic: n % 2 === 0 ? topic : 'bounded.*' }))
    )
    t.equal(answers.filter(({ ok }) => ok).length, 5, name)
    t.match(answers.find(({ ok }) => !ok), { error: 'RateLimitError', code: 'SUBSCRIPTION_LIMIT' })
    client.close()
  }
})

await t.test('the sockets of an application together do not exceed its limit of subscriptions', async t => {
  limitTo({ subscriptionsPerApplicationMax: 5 })
  const [shop, other] = [await tenant(app), await tenant(app)]
  const topic = await shop.topic('bounded.events')
  const clients = await Promise.all(transports.map(({ connect }) => connect(url, { token: shop.token() })))
  const answers = await Promise.all(
    upTo(20).map(n => (clients[n % 2] as Client).request('subscribe', { topic: n % 3 === 0 ? topic : 'bounded.*' }))
  )
  t.equal(answers.filter(({ ok }) => ok).length, 5)
  t.match(answers.find(({ ok }) => !ok), {
    error: 'RateLimitError', code: 'SUBSCRIPTION_LIMIT', message: /application/
  })
  const stranger = await connectWs(url, { token: other.token() })
  t.ok(
    (await stranger.request('subscribe', { topic: await other.topic('bounded.events') })).ok,
    'another application has its own limit'
  )
  for (const client of clients) client.close()
  await until(() => app.connections.size === 1)
  const next = await connectWs(url, { token: shop.token() })
  t.ok((await next.request('subscribe', { topic })).ok, 'ended subscriptions do not count')
  for (const client of [next, stranger]) client.close()
})

await t.test('one message names all subscriptions of a socket, and its text is built once', async t => {
  limitTo({ requestsPerSecond: 0 })
  const shop = await tenant(app)
  const topic = await shop.topic('many.events')
  for (const { name, connect } of transports) {
    const client = await connect(url, { token: shop.token() })
    const answers = await Promise.all(upTo(1000).map(() => client.request('subscribe', { topic })))
    const [connection] = app.connections.all()
    const { transport } = connection as Connection
    const ending = transport.ending.bind(transport)
    let named = 0
    transport.ending = ids => {
      named += ids.length
      return ending(ids)
    }
    await shop.publish(topic, 'one')
    await client.received(1)
    t.same(
      new Set(client.events[0]?.subscriptionIds), new Set(answers.map(({ subscriptionId }) => subscriptionId)), name
    )
    t.ok(named <= 2 * 1000, `${named} ids were joined for an event`)
    client.close()
    await until(() => app.connections.size === 0)
  }
})

await t.test('a socket that never reads stays within its memory limit, whatever it requests', async t => {
  const bound = 256 * 1024
  limitTo({ socketBufferBytesMax: bound, drainTimeoutMs: 60_000, closeTimeoutMs: 500 })
  const shop = await tenant(app)
  const topic = await shop.topic('unread.events')
  const total = 600
  for (let n = 0; n < total; n += 200) await shop.publish(topic, ...upTo(200).map(() => 'x'.repeat(20_000)))
  const most = () => Math.max(0, ...[...app.connections.all()].map(({ transport }) => transport.bufferedBytes))

  for (const { name, connect } of transports) {
    const client = await connect(url, { token: shop.token() })
    client.pause()
    // The past of one topic, ten times at once.
    for (let n = 0; n < 10; n++) client.request('subscribe', { topic, after: 0 }).catch(() => {})
    let peak = 0
    const isFull = () => {
      peak = Math.max(peak, most())
      // The next page waits from here on.
      return peak > bound / 4
    }
    await until(isFull, 'the buffer to fill')
    // A reading client gets the whole past meanwhile, so a server without the limit would have filled the buffer.
    const reader = await connect(url, { token: shop.token() })
    await reader.request('subscribe', { topic, after: 0 })
    await until(() => isFull() && reader.events.length >= total, 'the past of the other client')
    reader.close()
    await until(() => app.connections.size === 1)
    t.equal(app.connections.size, 1, 'a client that catches up slowly is not closed')
    client.resume()
    await until(() => isFull() && client.events.length >= 700, '700 events')
    t.ok(peak < bound * 4.5, `${name}: ${peak} bytes of past events at most, one page above the limit`)
    client.close()
    await until(() => app.connections.size === 0)

    const asker = await connect(url, { token: shop.token() })
    await asker.request('subscribe', { topic })
    asker.pause()
    for (let n = 0; n < 600; n += 200) await shop.publish(topic, ...upTo(200).map(() => 'x'.repeat(20_000)))
    const before = most()
    const refused: unknown[] = []
    for (let i = 0; i < 20; i++) {
      for (let n = 0; n < 100; n++) {
        asker.request('unsubscribe', { subscriptionId: `sub_${'x'.repeat(60)}` }).then(
          ({ code }) => refused.push(code),
          () => {}
        )
      }
      await pace(5)
    }
    await until(() => most() > before)
    t.ok(before > bound && most() < before + 600_000, `${name}: ${most() - before} bytes of 2,000 answers`)
    asker.resume()
    await until(() => refused.length > 1000)
    t.equal(refused.at(-1), 'SLOW_CONSUMER', `${name}: requests are refused meanwhile`)
    asker.cut()
    await until(() => app.connections.size === 0)
  }
})

await t.test('a long-polling client that stops polling is given up', async t => {
  const bound = 256 * 1024
  limitTo({ socketBufferBytesMax: bound, drainTimeoutMs: 2000, closeTimeoutMs: 300 })
  const shop = await tenant(app)
  const topic = await shop.topic('polled.events')
  const post = (sid: string, body: string) =>
    fetch(`${url}/socket.io/?EIO=4&transport=polling&sid=${sid}`, { method: 'POST', body }).then(response =>
      response.text()
    )
  const poll = (sid?: string) =>
    fetch(`${url}/socket.io/?EIO=4&transport=polling${sid === undefined ? '' : `&sid=${sid}`}`).then(response =>
      response.text()
    )
  const openPolling = async () => {
    const { sid } = JSON.parse((await poll()).slice(1)) as { sid: string }
    await post(sid, `40${JSON.stringify({ token: shop.token() })}`)
    await poll(sid)
    await post(sid, `420["subscribe",{"topic":"${topic}"}]`)
    await poll(sid)
    return sid
  }
  const [good, sid] = [
    await connectSocketIo(url, { token: shop.token(), transports: ['polling'] }), await openPolling()
  ]
  await good.request('subscribe', { topic })
  let peak = 0
  for (let n = 0; n < 40; n++) {
    await shop.publish(topic, ...Array(10).fill('x'.repeat(5000)))
    peak = Math.max(peak, ...[...app.connections.all()].map(({ transport }) => transport.bufferedBytes))
  }
  t.same((await good.received(400)).map(event => event.offset), upTo(400), 'the other client has them all')
  t.ok(peak > bound / 2 && peak < bound * 2, `${peak} bytes`)
  await until(() => app.connections.size === 1)
  t.match(await app.instruments.registry.metrics(), /realtime_sockets_closed_total\{code="SLOW_CONSUMER"\} [1-9]/)
  t.match(await poll(sid), /unknown|closing|^1|^6|^4/i)
  good.close()
})

await t.test('all sockets together have a memory limit', async t => {
  // A shared message that waits for several sockets counts once.
  const bound = 256 * 1024
  limitTo({ bufferedBytesMax: bound })
  const shop = await tenant(app)
  const topic = await shop.topic('together.events')
  const vanished = async () => /code="PEER_VANISHED"\} (\d+)/.exec(await app.instruments.registry.metrics())?.[1]
  const before = await vanished()
  const stopped = await Promise.all(
    upTo(6).map(n => (n % 2 === 0 ? connectWs : connectSocketIo)(url, { token: shop.token() }))
  )
  const good = await connectWs(url, { token: shop.token() })
  for (const client of [...stopped, good]) await client.request('subscribe', { topic })
  for (const client of stopped) client.pause()
  // More than the kernel takes, less than each socket's own limit.
  for (let n = 0; n < 30; n++) await shop.publish(topic, ...Array(10).fill('x'.repeat(20_000)))
  await until(() => app.connections.size < 7)
  t.equal(await vanished(), before, 'not because of missed pings')
  t.same((await good.received(300)).map(event => event.offset), upTo(300))
  await until(() =>
    [...app.connections.all()].reduce((sum, { transport }) => sum + transport.bufferedBytes, 0) <= bound
  )
  for (const client of stopped) client.cut()
  good.close()
})

await t.test('a frame that is too large closes the connection with 1009', async t => {
  limitTo({ closeTimeoutMs: 300 })
  const shop = await tenant(app)
  const client = await connectWs(url, { token: shop.token() })
  await client.request('subscribe', { topic: 'any.*' })
  client.socket.send('x'.repeat(2 * 1024 * 1024))
  t.match(await client.closed, { code: 1009 })
  const socketIo = await connectSocketIo(url, { token: shop.token() })
  socketIo.socket.emit('subscribe', { topic: 'x'.repeat(2 * 1024 * 1024) })
  await socketIo.closed
  const posted = httpRequest(`${url}/socket.io/?EIO=4&transport=polling`)
  posted.end()
  const [response] = await once(posted, 'response') as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const { sid } = JSON.parse(Buffer.concat(chunks).toString().slice(1)) as { sid: string }
  const tooLarge = await fetch(`${url}/socket.io/?EIO=4&transport=polling&sid=${sid}`, {
    method: 'POST',
    body: 'x'.repeat(2 * 1024 * 1024)
  }).then(({ status }) => status, () => 413)
  t.equal(tooLarge, 413)
  await until(() => app.connections.size === 0)
  t.match(await app.instruments.registry.metrics(), /^realtime_subscriptions 0$/m)
})
