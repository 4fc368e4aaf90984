import t from 'tap'
import { build, listen } from '../../support/build.ts'
import { transports, type Answer, type Client, type Received } from '../../support/clients.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'

/* Topic patterns keep every guarantee of a subscription, for each topic that they match. */

const { app, databaseUrl } = await build(t, {
  adapt: config => {
    config.delivery.patternTopicsMax = 20
    config.delivery.patternTopicsPerConnectionMax = 30
  }
})
const url = await listen(app)

type PatternAnswer = Answer & { offsets: Record<string, number>, epochs: Record<string, string> }
const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)
const of = (topic: string, events: Received[]) =>
  events.filter(event => event.topic === topic).map(event => event.offset)
function gate (): { passed: Promise<void>, open: () => void } {
  let open = () => {}
  const passed = new Promise<void>(resolve => { open = resolve })
  return { passed, open }
}
const refused = { ok: false, error: 'ForbiddenError', code: 'PERMISSION_DENIED' }

for (const { name, connect } of transports) {
  await t.test(`over ${name}`, async t => {
    const shop = await tenant(app)
    const clients: Client[] = []
    t.teardown(() => { for (const client of clients) client.close() })
    const open = async (options = {}) => {
      const client = await connect(url, { token: shop.token(), ...options })
      clients.push(client)
      return client
    }
    const subscribe = async (client: Client, fields: object) =>
      await client.request('subscribe', fields) as PatternAnswer

    await t.test('a pattern delivers the events of every matching topic, under one id', async t => {
      for (const topic of ['order.created', 'order.paid', 'order.paid.late', 'orders.other']) await shop.topic(topic)
      await shop.publish('order.created', 1, 2)
      const client = await open()
      const ack = await subscribe(client, { topic: 'order.*' })
      t.match(ack, {
        ok: true, topic: 'order.*', offsets: { 'order.created': 2 }, epochs: { 'order.created': String },
        recovered: false
      })
      t.same(Object.keys(ack.offsets), ['order.created'], 'topics without events are not listed')
      await shop.publish('order.paid.late', 1)
      await shop.publish('orders.other', 1)
      await shop.publish('order.created', 3)
      await shop.publish('order.paid', 1)
      const events = await client.received(2)
      // Topics have no order between them.
      t.same(of('order.created', events), [3])
      t.same(of('order.paid', events), [1])
      t.same(events.map(event => event.subscriptionIds), Array(2).fill([ack.subscriptionId]))
      const rest = await open()
      const wide = await subscribe(rest, { topic: 'order.**' })
      t.same(wide.offsets, { 'order.created': 3, 'order.paid': 1, 'order.paid.late': 1 })
    })

    await t.test('a topic created later is included from its first event on', async t => {
      const client = await open()
      await subscribe(client, { topic: 'later.**' })
      for (const n of upTo(5)) {
        const topic = await shop.topic(`later.made.number${n}`)
        await shop.publish(topic, 1, 2, 3)
        await shop.publish(topic, 4)
      }
      const events = await client.received(20)
      for (const n of upTo(5)) t.same(of(`later.made.number${n}`, events), upTo(4))
    })

    await t.test('an event written to a new topic in the acknowledgement\'s callback arrives, 50 times', async t => {
      const topics = await Promise.all(upTo(50).map(n => shop.topic(`ack${n}.first`)))
      for (const [i, topic] of topics.entries()) {
        const client = await open()
        let published: Promise<unknown> | undefined
        const writing = i % 2 === 0 ? shop.publish(topic, 1) : undefined
        const ack = await client.request('subscribe', { topic: `ack${i + 1}.*` }, () => {
          published = shop.publish(topic, 2, 3)
        }) as PatternAnswer
        await Promise.all([published, writing])
        const last = i % 2 === 0 ? 3 : 2
        const from = (ack.offsets[topic] ?? 0) + 1
        t.same(of(topic, await client.received(last - from + 1)), upTo(last, from))
        client.close()
      }
    })

    await t.test('the platform\'s own topics match as well', async t => {
      const client = await open()
      await subscribe(client, { topic: 'sync.session.*', returnMode: 'diff' })
      await shop.request('POST', '/api/sync/session/documents', { id: `d-${name.length}`, data: { n: 1 } })
      await shop.request('PATCH', `/api/sync/session/documents/d-${name.length}/merge`, { data: { n: 2 } })
      await shop.request('DELETE', `/api/sync/session/documents/d-${name.length}`)
      const events = await client.received(3)
      t.same(events.map(event => event.topic).sort(), [
        'sync.session.created', 'sync.session.deleted', 'sync.session.updated'
      ])
      t.match(events.find(event => event.topic === 'sync.session.updated')?.payload, {
        diff: [{ op: 'replace', path: '/n', value: 2 }]
      })
    })

    await t.test('a filter applies to every topic, and one message names pattern and plain subscription', async t => {
      const [a, b] = [await shop.topic('mixed.a'), await shop.topic('mixed.b')]
      const client = await open()
      const pattern = await subscribe(client, { topic: 'mixed.*', filter: { keep: true } })
      const plain = await client.request('subscribe', { topic: a })
      await shop.publish(b, { keep: false })
      await shop.publish(a, { keep: true }, { keep: false })
      const events = await client.received(2)
      t.same(events.map(event => event.subscriptionIds.sort()), [
        [pattern.subscriptionId, plain.subscriptionId].sort(), [plain.subscriptionId]
      ])
      await client.request('unsubscribe', { subscriptionId: pattern.subscriptionId })
      t.match(await client.request('unsubscribe', { subscriptionId: pattern.subscriptionId }), {
        ok: false, code: 'SUBSCRIPTION_NOT_FOUND'
      })
      await shop.publish(b, { keep: true })
      await shop.publish(a, { keep: true })
      t.same((await client.received(3)).map(event => [event.topic, event.subscriptionIds]).at(-1), [a, [
        plain.subscriptionId
      ]])
    })

    await t.test('`after` resumes the named topics; others start live or at the offset of the pattern', async t => {
      const [a, b, c] = [await shop.topic('back.a'), await shop.topic('back.b'), await shop.topic('back.c')]
      const first = await open()
      await subscribe(first, { topic: 'back.*' })
      await shop.publish(a, 1, 2)
      await shop.publish(b, 1)
      await first.received(3)
      first.cut()
      await shop.publish(a, ...upTo(450, 3))
      await shop.publish(b, 2)
      await shop.publish(c, 1)
      const second = await open()
      const ack = await subscribe(second, { topic: 'back.*', after: { [a]: 2, [b]: 1 } })
      t.match(ack, { ok: true, recovered: true, offsets: { [a]: 2, [b]: 1, [c]: 1 } })
      await shop.publish(c, 2)
      await shop.publish(a, 451)
      await second.received(449 + 1 + 1)
      t.same(of(a, second.events), upTo(451, 3))
      t.same(of(b, second.events), [2])
      t.same(of(c, second.events), [2])
      const third = await open()
      t.match(
        await subscribe(third, { topic: 'back.*', after: { [a]: 451, [b]: 2, 'back.*': 0 }, epochs: ack.epochs }),
        { recovered: true, offsets: { [c]: 0 } }
      )
      t.same((await third.received(2)).map(event => [event.topic, event.offset]), [[c, 1], [c, 2]])
      const rewound = await open()
      t.match(await subscribe(rewound, { topic: 'back.*', rewind: 1 }), {
        recovered: false, offsets: { [a]: 450, [b]: 1, [c]: 1 }
      })
      await rewound.received(3)
    })

    await t.test('`recovered` is true only if every named topic was recovered', async t => {
      const [a, b] = [await shop.topic('lost.a'), await shop.topic('lost.b')]
      await shop.publish(a, 1, 2, 3)
      await shop.publish(b, 1)
      await app.pool.query('delete from events where application_id = $1 and topic = $2 and "offset" < 3', [
        shop.applicationId, a
      ])
      const client = await open()
      t.match(await subscribe(client, { topic: 'lost.*', after: { [a]: 2, [b]: 1 } }), { recovered: true })
      t.match(await subscribe(client, { topic: 'lost.*', after: { [a]: 1, [b]: 0 } }), {
        recovered: false, offsets: { [a]: 3, [b]: 0 }
      })
      t.match(await subscribe(client, { topic: 'lost.*', after: { [a]: 9 } }), { recovered: false })
      t.match(await subscribe(client, { topic: 'lost.*', after: { 'lost.gone': 4 } }), { recovered: false })
      t.match(await subscribe(client, { topic: 'lost.*', after: { [b]: 1 }, epochs: { [b]: 'another' } }), {
        recovered: false
      })
    })

    await t.test('a pattern covers the topics that the token permits, and follows a fresh token', async t => {
      const [open1, secret] = [await shop.topic('seen.open.one'), await shop.topic('seen.secret.one')]
      await shop.publish(open1, 1)
      await shop.publish(secret, 1)
      const client = await open({ token: shop.token(['subscribe:seen.open.*', 'subscribe:other.**']) })
      const ack = await subscribe(client, { topic: 'seen.**' })
      t.same(ack.offsets, { [open1]: 1 })
      t.match(await subscribe(client, { topic: 'hidden.*' }), refused)
      t.match(await subscribe(client, { topic: 'seen.secret.*' }), refused)
      await shop.publish(secret, 2)
      await shop.publish(open1, 2)
      await client.received(1)
      t.match(await client.request('auth', { token: shop.token(['subscribe:seen.**']) }), { ok: true, lost: undefined })
      await shop.publish(secret, 3)
      await client.received(2)
      const narrowed = await client.request('auth', { token: shop.token(['subscribe:seen.secret.*']) })
      t.same(narrowed.lost, [{ subscriptionId: ack.subscriptionId, topic: open1 }])
      await shop.publish(open1, 3)
      await shop.publish(secret, 4)
      t.same((await client.received(3)).map(event => [event.topic, event.offset]), [[open1, 2], [secret, 3], [
        secret, 4
      ]])
      t.match(await client.request('auth', { token: shop.token(['subscribe:other.*']) }), { ok: true })
      t.match(await client.message('resync'), {
        subscriptionId: ack.subscriptionId, topic: 'seen.**', code: 'PERMISSION_DENIED'
      })
    })

    await t.test('a wider token that arrives during subscribe applies to past and live events', async t => {
      const [a, b] = [await shop.topic('widen.a'), await shop.topic('widen.b')]
      await shop.publish(a, 1)
      await shop.publish(b, 1, 2)
      const client = await open({ token: shop.token(['subscribe:widen.a']) })
      // The logs have been listed by then.
      const [listed, told] = [gate(), gate()]
      let spreads = 0
      const stopSharing = app.hub.shareInterest({
        changed () {},
        spread: () => {
          if (++spreads === 2) listed.open()
          return told.passed
        }
      })
      const live = subscribe(client, { topic: 'widen.*' })
      const resumed = subscribe(client, { topic: 'widen.**', after: { [a]: 1, [b]: 1 } })
      await listed.passed
      stopSharing()
      t.match(await client.request('auth', { token: shop.token(['subscribe:widen.*']) }), { ok: true })
      told.open()
      const [{ subscriptionId: ofLive, ...begun }, { subscriptionId: ofResumed, ...caughtUp }] = [
        await live, await resumed
      ]
      t.match(begun, { ok: true, offsets: { [a]: 1, [b]: 2 } })
      t.match(caughtUp, { ok: true, recovered: true, offsets: { [a]: 1, [b]: 1 } })
      await shop.publish(b, 3)
      // One message names both if both are live by then.
      const seenBy = (id: string) =>
        client.events.filter(({ subscriptionIds }) => subscriptionIds.includes(id)).map((
          { topic, offset }
        ) => [topic, offset])
      await until(() => seenBy(ofLive).length >= 1 && seenBy(ofResumed).length >= 2, 'the events of both')
      t.same(seenBy(ofLive), [[b, 3]])
      t.same(seenBy(ofResumed), [[b, 2], [b, 3]])
    })

    await t.test('another scope\'s topics never match', async t => {
      const [mine, stranger] = [await tenant(app), await tenant(app)]
      const topic = await stranger.topic('alien.events')
      const client = await open({ token: mine.token() })
      await subscribe(client, { topic: '**' })
      const own = await open({ token: mine.token(), environment: 'staging' })
      t.same((await subscribe(own, { topic: '**' })).offsets, {})
      await stranger.publish(topic, 1)
      await mine.publish(await mine.topic('alien.own'), 1)
      t.same((await client.received(1)).map(event => event.topic), ['alien.own'])
      t.equal(own.events.length, 0)
    })

    await t.test('a pattern has a topic limit: subscribe is refused, a live pattern gets resync', async t => {
      const wide = await tenant(app)
      const token = wide.token()
      for (const n of upTo(20)) await wide.publish(await wide.topic(`wide.n${n}`), 1)
      const client = await open({ token })
      const ack = await subscribe(client, { topic: 'wide.*' })
      t.equal(Object.keys(ack.offsets).length, 20)
      t.match(await subscribe(client, { topic: 'wide.**' }), {
        ok: false, error: 'RateLimitError', code: 'PATTERN_TOO_WIDE'
      }, 'too many topics of all patterns on the connection')
      await wide.publish(await wide.topic('wide.n21'), 1)
      t.match(await client.message('resync'), {
        subscriptionId: ack.subscriptionId, topic: 'wide.*', code: 'PATTERN_TOO_WIDE'
      })
      t.match(await subscribe(await open({ token }), { topic: 'wide.*' }), {
        ok: false, code: 'PATTERN_TOO_WIDE', message: /21 topics/
      })
      t.match(await subscribe(client, { topic: 'wide.n1' }), { ok: true }, 'the connection stays open')
    })

    await t.test('malformed fields are refused by name', async t => {
      const client = await open()
      const cases: [object, RegExp][] = [
        [{ topic: '**.a' }, /topic/],
        [{ topic: 'a*' }, /topic/],
        [{ topic: 'a.***' }, /topic/],
        [{ topic: 'a.**.b' }, /topic/],
        [{ topic: 'a.*', after: 3 }, /after/],
        [{ topic: 'a.*', after: { 'b.c': 1 } }, /after.*b\.c/],
        [{ topic: 'a.*', after: { 'a.b': -1 } }, /after/],
        [{ topic: 'a.*', epoch: 'x' }, /epoch/],
        [{ topic: 'order.paid', after: { 'order.paid': 1 } }, /after/],
        [{ topic: 'order.paid', epochs: {} }, /epochs/]
      ]
      for (const [fields, message] of cases) {
        t.match(
          await client.request('subscribe', fields), { ok: false, error: 'ValidationError', message },
          JSON.stringify(fields)
        )
      }
    })
  })
}

await t.test('ended subscriptions leave nothing in memory', async t => {
  await until(() => app.connections.size === 0)
  t.match(await app.instruments.registry.metrics(), /^realtime_subscriptions 0$/m)
  t.ok(app.hub.watches.isEmpty)
})

await t.test('a topic that another node creates is included from its first event on', async t => {
  const other = await build(t, { databaseUrl })
  const shop = await tenant(app)
  for (const { connect } of transports) {
    const client = await connect(url, { token: shop.token() })
    await client.request('subscribe', { topic: `far${client.kind.length}.**` })
    const foreign = async (topic: string, ...payloads: number[]) => {
      const { statusCode, body } = await other.app.inject({
        method: 'POST',
        url: `/api/topics/${topic}/events`,
        headers: { authorization: `Bearer ${shop.token()}` },
        payload: { events: payloads.map(payload => ({ payload })) }
      })
      if (statusCode !== 201) throw new Error(body)
    }
    const topic = await shop.topic(`far${client.kind.length}.away`)
    await foreign(topic, 1, 2, 3)
    t.same(of(topic, await client.received(3)), [1, 2, 3])
    const next = await shop.topic(`far${client.kind.length}.next`)
    await foreign(next, 1, 2)
    await shop.publish(next, 3)
    await client.received(6)
    t.same(of(next, client.events), [1, 2, 3], 'even if a later event reaches this node first')
    client.close()
  }
})

await t.test('a client cut at random while topics are created receives every offset once, in order', async t => {
  const shop = await tenant(app)
  for (const { name, connect } of transports) {
    const topics: string[] = []
    const total = 600
    const sent = new Map<string, number>()
    const publishing = (async () => {
      for (let n = 0; n < total; n++) {
        if (n % 50 === 0) topics.push(await shop.topic(`churn${name.length}.topic${n}`))
        const topic = topics[(n * 7) % topics.length] as string
        await shop.publish(topic, n)
        sent.set(topic, (sent.get(topic) ?? 0) + 1)
      }
      return true
    })()
    const state = { isDone: false }
    void publishing.then(() => { state.isDone = true }, () => {})
    const seen = new Map<string, number[]>()
    const pattern = `churn${name.length}.*`
    const count = () => [...seen.values()].reduce((sum, offsets) => sum + offsets.length, 0)
    for (let cuts = 0; !state.isDone || count() < total; cuts++) {
      const after = Object.fromEntries([
        [pattern, 0],
        ...[...seen].map(([topic, offsets]) => [topic, offsets.at(-1) ?? 0])
      ])
      const client = await connect(url, { token: shop.token() })
      t.match(await client.request('subscribe', { topic: pattern, after }), { ok: true, recovered: true })
      await client.received(Math.min(state.isDone ? Infinity : 1 + (cuts * 13) % 60, total - count()))
      client.cut()
      await client.closed
      for (const { topic, offset } of client.events) seen.set(topic, [...seen.get(topic) ?? [], offset])
    }
    await publishing
    for (const [topic, last] of sent) t.same(seen.get(topic), upTo(last), `${name}: ${topic}`)
  }
})
