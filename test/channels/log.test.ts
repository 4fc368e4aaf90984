import t from 'tap'
import { build, listen } from '../support/build.ts'
import { transports } from '../support/clients.ts'
import { ask, idOf, join, messagesOf, presenceOf } from '../support/room.ts'
import { tenant, type Tenant } from '../support/tenant.ts'
import { pace, until } from '../support/waiting.ts'

/* Which socket events reach the log. */

const { app } = await build(t, {
  adapt: config => {
    config.delivery.requestsPerSecond = config.delivery.bytesPerSecond = 0
  }
})
const url = await listen(app)
const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

/** Counts events, because a subscription creates the row of an empty log. */
const rows = async (shop: Tenant) => ({
  events:
    (await app.db.selectFrom('events').select('id').where('application_id', '=', shop.applicationId).execute()).length,
  logs:
    (await app.db.selectFrom('topic_logs').select('id').where('application_id', '=', shop.applicationId).where(
      'head_offset', '>', 0
    ).execute()).length
})
const payloadsOf = async (shop: Tenant, topic: string) =>
  ((await shop.request('GET', `/api/topics/${topic}/events?limit=1000`)).body as { payload: Record<string, unknown> }[])
    .map(({ payload }) => payload)

for (const { name, connect } of transports) {
  await t.test(`over ${name}`, async t => {
    await t.test('without a listener nothing is written', async t => {
      const shop = await tenant(app)
      const [ann, bob, elsewhere] = await Promise.all(upTo(3).map(() => connect(url, { token: shop.token() })))
      if (ann === undefined || bob === undefined || elsewhere === undefined) throw new Error('no clients')
      const other = await connect(url, { token: shop.token(), environment: 'staging' })
      await other.request('subscribe', { topic: 'socket.message' })
      await elsewhere.request('subscribe', { topic: 'sync.board.updated' })
      for (const client of [ann, bob]) await join(client, 'room', { state: 1 })
      for (const n of upTo(20)) await ask(ann, 'publish', { channel: 'room', event: 'n', data: n })
      await ask(ann, 'direct', { socketId: idOf(bob), event: 'n', data: 0 })
      await shop.request('POST', '/api/socket/broadcast', { channel: 'room', event: 'n', data: 1 })
      await ask(bob, 'presence', { channel: 'room', state: 2 })
      await ask(bob, 'leave', { channel: 'room' })
      for (const client of [ann, bob, elsewhere, other]) { client.close(); await client.closed }
      await until(() => app.channels.directory.connectionCount(shop.scope) === 0, 'the end')
      t.same(await rows(shop), { events: 0, logs: 0 })
    })

    await t.test('with a subscriber each message is logged once, and delivered as message and as event', async t => {
      const shop = await tenant(app)
      const [ann, bob, listener] = await Promise.all(
        upTo(3).map(n => connect(url, { token: shop.token(['admin'], { subject: `u${n}` }) }))
      )
      if (ann === undefined || bob === undefined || listener === undefined) throw new Error('no clients')
      await join(bob, 'room')
      await listener.request('subscribe', { topic: 'socket.message' })
      const answers = await Promise.all(
        upTo(300).map(n => ask(ann, 'publish', { channel: 'room', event: 'n', data: { n } }))
      )
      t.ok(answers.every(({ ok, delivered }) => ok && delivered === 1))
      t.match(await ask(ann, 'direct', { socketId: idOf(bob), event: 'psst', data: 'x' }), { delivered: 1 })
      t.match((await shop.request('POST', '/api/socket/broadcast', { channel: 'room', event: 'all', data: 1 })).body, {
        delivered: 1
      })
      await listener.received(302)
      await until(() => messagesOf(bob).length === 302, 'the messages')
      t.same(messagesOf(bob).map(({ data }) => (data as { n: number }).n).slice(0, 300), upTo(300))
      t.match(listener.events[0], {
        topic: 'socket.message', type: 'socket.message', source: 'socket', key: 'room', offset: 1
      })
      t.same(listener.events[0]?.payload, {
        channel: 'room', event: 'n', data: { n: 1 }, from: { socketId: idOf(ann), userId: 'u1' }
      })
      t.same(listener.events.slice(0, 300).map(({ payload }) => (payload as { data: { n: number } }).data.n), upTo(300))
      t.match(listener.events[300], {
        key: idOf(bob), payload: { socketId: idOf(bob), event: 'psst', data: 'x', from: { socketId: idOf(ann) } }
      })
      t.match(listener.events[301], {
        key: 'room', payload: { channel: 'room', event: 'all', from: { socketId: null, userId: 'tester' } }
      })
      t.same(await rows(shop), { events: 302, logs: 1 })
      for (const client of [ann, bob, listener]) client.close()
    })

    await t.test('connections and presence are logged if they have a listener, also by pattern', async t => {
      const shop = await tenant(app)
      const listener = await connect(url, { token: shop.token() })
      for (const topic of ['socket.*', 'presence.updated']) {
        t.match(await listener.request('subscribe', { topic }), { ok: true })
      }
      const ann = await connect(url, { token: shop.token(['admin'], { subject: 'ann' }) })
      await join(ann, 'room', { state: 'x' })
      await ask(ann, 'presence', { channel: 'room', state: 'y' })
      await ask(ann, 'leave', { channel: 'room' })
      const socketId = idOf(ann)
      ann.cut()
      const seen = (await listener.received(5)).map(({ type, source, key, payload }) => ({
        type, source, key, payload
      }))
      const kind = name === '/ws' ? 'ws' : 'socket.io'
      t.match(seen.find(({ type }) => type === 'socket.connect'), {
        source: 'socket', key: socketId, payload: { socketId, userId: 'ann', transport: kind }
      })
      t.match(seen.find(({ type }) => type === 'socket.disconnect'), {
        source: 'socket', key: socketId, payload: { socketId, userId: 'ann', transport: kind }
      })
      t.match(
        seen.filter(({ type }) => type === 'presence.updated'),
        ['join', 'update', 'leave'].map(action => ({
          key: 'room', payload: { channel: 'room', action, member: { socketId, userId: 'ann' } }
        }))
      )
      t.equal((await payloadsOf(shop, 'presence.updated')).length, 3)
      listener.close()
    })

    await t.test('a message that violates the topic\'s schema is refused, and reaches no member', async t => {
      const shop = await tenant(app)
      const schema = { type: 'object', properties: { data: { type: 'object', required: ['text'] } } }
      t.equal((await shop.request('POST', '/api/schemas/socket.message', { schema })).status, 201)
      const [ann, bob, listener] = await Promise.all(upTo(3).map(() => connect(url, { token: shop.token() })))
      if (ann === undefined || bob === undefined || listener === undefined) throw new Error('no clients')
      await join(bob, 'room')
      await listener.request('subscribe', { topic: 'socket.message' })
      const [good, bad, better] = await Promise.all(
        [{ text: 'a' }, { words: 'b' }, { text: 'c' }].map(data =>
          ask(ann, 'publish', { channel: 'room', event: 'said', data })
        )
      )
      t.match(good, { ok: true, delivered: 1 })
      t.match(bad, { ok: false, error: 'ValidationError', code: 'SCHEMA_VIOLATED', details: [{ path: /^\/data/ }] })
      t.match(better, { ok: true, delivered: 1 })
      await until(() => messagesOf(bob).length === 2, 'the messages')
      t.same(messagesOf(bob).map(({ data }) => data), [{ text: 'a' }, { text: 'c' }])
      const broadcast = await shop.request(
        'POST', '/api/socket/broadcast', { channel: 'room', event: 'said', data: 1 }, { 'idempotency-key': 'k' }
      )
      t.match(broadcast, { status: 400, body: { code: 'SCHEMA_VIOLATED' } })
      t.same((await payloadsOf(shop, 'socket.message')).map(({ data }) => data), [{ text: 'a' }, { text: 'c' }])
      for (const client of [ann, bob, listener]) client.close()
    })

    await t.test('a sender\'s messages keep their order while listeners come and go', async t => {
      const shop = await tenant(app)
      const [ann, bob, listener] = await Promise.all(upTo(3).map(() => connect(url, { token: shop.token() })))
      if (ann === undefined || bob === undefined || listener === undefined) throw new Error('no clients')
      await join(bob, 'room')
      let n = 0
      const over = new AbortController()
      const answers: Promise<unknown>[] = []
      const publishing = (async () => {
        while (!over.signal.aborted) {
          answers.push(ask(ann, 'publish', { channel: 'room', event: 'n', data: ++n }))
          if (n % 3 === 0) await pace(1)
        }
      })()
      for (let i = 0; i < 30; i++) {
        const { subscriptionId } = await listener.request('subscribe', { topic: 'socket.message' })
        await pace(Math.random() * 10)
        await listener.request('unsubscribe', { subscriptionId })
        await pace(Math.random() * 10)
      }
      over.abort()
      await publishing
      await Promise.all(answers)
      await until(() => messagesOf(bob).length >= n, `${n} messages`)
      t.same(messagesOf(bob).map(({ data }) => data), upTo(n))
      const { events } = await rows(shop)
      t.ok(events > 0 && events < n, `${events} of ${n} went through the log`)
      t.same(presenceOf(bob), [])
      for (const client of [ann, bob, listener]) client.close()
    })
  })
}
