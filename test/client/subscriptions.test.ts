import type { RealtimeClient, RealtimeError, RealtimeEvent } from '@realtime-platform/client'
import t from 'tap'
import { build, listen } from '../support/build.ts'
import { openStreams, recorder, upTo } from '../support/streams.ts'
import { eventually, until } from '../support/waiting.ts'

const { app } = await build(t, {
  variables: { SUBSCRIPTIONS_PER_CONNECTION_MAX: '20' },
  adapt: config => { config.delivery.patternTopicsMax = 5 }
})
const url = await listen(app)

t.test('events arrive in order, each once', async t => {
  const { client, topic } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  const { seen, handler, has } = recorder()
  const subscription = client.topic(name).subscribe(handler)
  await subscription.ready
  const receipts = await Promise.all([1, 2, 3].map(n => client.topic(name).publish({ n })))
  t.same(receipts.map(({ offset }) => offset), [1, 2, 3])
  await has(3)
  t.same(seen, [{ n: 1 }, { n: 2 }, { n: 3 }])
  t.equal(subscription.positions?.[name]?.offset, 3)
})

t.test('equal subscriptions share one of the server, which ends after the last of them', async t => {
  const { client, topic, publish, subscriptions } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  const orders = client.topic(name)
  const records = [1, 2, 3].map(recorder)
  const shared = records.map(({ handler }) =>
    orders.subscribe(handler, { filter: { a: 1, b: { gte: 1 } } }))
  const other = orders.subscribe(() => {}, { filter: { a: 2 } })
  await Promise.all([...shared, other].map(({ ready }) => ready))
  t.equal(new Set(shared.map(({ serverId }) => serverId)).size, 1)
  t.equal(subscriptions().length, 2)
  const joined = recorder()
  const late = orders.subscribe(joined.handler, { filter: { b: { gte: 1 }, a: 1 } })
  await late.ready
  t.equal(late.serverId, shared[0]?.serverId, 'the order of the keys does not matter')
  await publish(name, { a: 1, b: 1 })
  for (const { seen, has } of [...records, joined]) {
    await has(1)
    t.same(seen, [{ a: 1, b: 1 }])
  }
  for (const subscription of [...shared, late]) subscription.unsubscribe()
  const again = orders.subscribe(() => {}, { filter: { a: 1, b: { gte: 1 } } })
  await again.ready
  t.equal(subscriptions().length, 2, 'the next one takes over the one that lingers')
  again.unsubscribe()
  other.unsubscribe()
  await until(() => subscriptions().length === 0, 'the end of the subscriptions')
  await late.closed
})

t.test('a subscription that ends at once leaves nothing behind', async t => {
  const { client, topic, subscriptions } = await openStreams(t, app, url)
  const orders = client.topic(await topic('order.placed'))
  await client.connect()
  const strict = orders.subscribe(() => {})
  strict.unsubscribe()
  await t.rejects(strict.ready, { code: 'UNSUBSCRIBED' })
  const ends = orders.subscribe(() => {}, { signal: AbortSignal.abort() })
  await ends.closed
  const asking = orders.subscribe(() => {}, { filter: { n: 1 } })
  await Promise.resolve()
  asking.unsubscribe()
  const last = orders.subscribe(() => {}, { filter: { n: 2 } })
  await last.ready
  last.unsubscribe()
  await until(() => subscriptions().length === 0, 'the end of the subscriptions')
})

t.test('after cuts, every event arrives once, in order, including those published during the cuts', async t => {
  const streams = await openStreams(t, app, url)
  const { client, topic, publish, cut } = streams
  const name = await topic('order.placed')
  const [first, late] = [recorder(), recorder()]
  await client.topic(name).subscribe(first.handler, first).ready
  for (const round of [0, 1, 2]) {
    await publish(name, 3 * round + 1)
    await cut(client, async () => {
      await publish(name, 3 * round + 2)
      if (round === 2) client.topic(name).subscribe(late.handler, late)
    })
    await publish(name, 3 * round + 3)
  }
  await first.has(9)
  t.same(first.seen, upTo(9))
  await until(() => late.seen.at(-1) === 9, 'the last event')
  t.notMatch(late.seen.map(String).join(), /-/, 'no hole from before its time')
  t.same(streams.errors, [])
})

t.test('a refusal ends the subscription with the code of the server', async t => {
  const streams = await openStreams(t, app, url)
  const { client, topic, errors } = streams
  const name = await topic('order.placed')
  const ended = async (client: RealtimeClient, pattern: string, options = {}) => {
    const codes: string[] = []
    const onError = ({ code }: RealtimeError) => codes.push(code)
    const subscription = client.topic(pattern).subscribe(() => {}, { ...options, onError })
    const error: RealtimeError = await subscription.closed.then(() => t.fail('it is refused'), reason => reason)
    await t.rejects(subscription.ready, { code: error.code })
    t.same(codes, [error.code])
    return error.code
  }
  t.equal(await ended(client, 'no.topic'), 'TOPIC_NOT_FOUND')
  t.equal(await ended(client, name, { filter: { n: { near: 1 } } }), 'VALIDATION_FAILED')
  t.equal(await ended(client, name, { since: NaN }), 'VALIDATION_FAILED')
  const narrow = streams.open({ token: () => streams.token(['subscribe:other.*']) })
  t.equal(await ended(narrow, name), 'PERMISSION_DENIED')
  const topics = await Promise.all(upTo(6).map(n => topic(`wide.t${n}`)))
  await Promise.all(topics.map(name => streams.publish(name, 1)))
  t.equal(await ended(client, 'wide.*'), 'PATTERN_TOO_WIDE')
  await Promise.all(upTo(20).map(n => client.topic(name).subscribe(() => {}, { filter: { n } }).ready))
  t.equal(await ended(client, name, { filter: { n: 0 } }), 'SUBSCRIPTION_LIMIT')
  client.topic(name).subscribe(() => {})
  await until(() => errors.length > 0, 'the error of the client')
  t.same(errors, ['SUBSCRIPTION_LIMIT'], 'without onError, the client emits it')
})

t.test('a temporary refusal is retried', async t => {
  const { client, topic, publish } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  await client.connect()
  const { seen, handler, has } = recorder()
  const [connection] = [...app.connections.all()].slice(-1)
  t.ok(connection)
  await app.pool.query('alter table topics rename to topics_away')
  const subscription = client.topic(name).subscribe(handler, { since: 0 })
  let hasBegun = false
  subscription.ready.then(() => { hasBegun = true }, t.threw)
  await app.pool.query('alter table topics_away rename to topics')
  await subscription.ready
  t.ok(hasBegun)
  await publish(name, 1)
  await has(1)
  t.same(seen, [1])
})

t.test('the position moves after the handler, and handlers run one after the other', async t => {
  const { client, topic, publish } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  const steps: unknown[] = []
  const releases: (() => void)[] = []
  const subscription = client.topic(name).subscribe(async ({ payload }) => {
    steps.push(payload)
    await new Promise<void>(resolve => releases.push(resolve))
  })
  await subscription.ready
  await publish(name, 1, 2)
  await until(() => releases.length === 1, 'the first handler')
  t.equal(subscription.positions?.[name]?.offset, 0)
  t.same(steps, [1])
  releases.shift()?.()
  await until(() => releases.length === 1, 'the second handler')
  t.equal(subscription.positions?.[name]?.offset, 1)
  subscription.unsubscribe()
  releases.shift()?.()
  await until(() => subscription.positions?.[name]?.offset === 2, 'the position of a handler that was running')
})

t.test('a handler that throws is reported, and events go on, unless stopOnError is set', async t => {
  const { client, topic, publish, errors } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  const bystander = recorder()
  const fail = ({ payload }: RealtimeEvent) => {
    if (payload === 2) throw new Error('two')
    if (payload === 3) return Promise.reject(new Error('three'))
  }
  const goesOn = client.topic(name).subscribe(fail)
  const stops = client.topic(name).subscribe(fail, {
    stopOnError: true, onError: () => { throw new TypeError('again') }
  })
  const uncaught: unknown[] = []
  const listener = (error: unknown) => uncaught.push(error)
  process.once('uncaughtException', listener)
  t.teardown(() => process.off('uncaughtException', listener))
  client.topic(name).subscribe(bystander.handler)
  await Promise.all([goesOn.ready, stops.ready])
  await publish(name, 1, 2, 3, 4)
  await bystander.has(4)
  await until(() => goesOn.positions?.[name]?.offset === 4, 'the last event')
  t.same(bystander.seen, [1, 2, 3, 4])
  t.same(errors, ['HANDLER_FAILED', 'HANDLER_FAILED'])
  await t.rejects(stops.closed, { code: 'HANDLER_FAILED', cause: { message: 'two' } })
  t.equal(stops.positions?.[name]?.offset, 1)
  t.match(uncaught, [{ message: 'again' }], 'an error of onError is uncaught')
})

t.test('a handler may unsubscribe itself and others, and subscribe to the same', async t => {
  const { client, topic, publish, subscriptions } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  const orders = client.topic(name)
  const [own, others, joined] = [recorder(), recorder(), recorder()]
  const subscription = orders.subscribe(event => {
    own.handler(event)
    subscription.unsubscribe()
    other.unsubscribe()
    orders.subscribe(joined.handler)
  })
  const other = orders.subscribe(others.handler)
  await other.ready
  await publish(name, 1, 2, 3)
  await joined.has(2)
  t.same(own.seen, [1])
  t.equal(subscription.positions?.[name]?.offset, 1)
  t.same(others.seen, [])
  t.same(joined.seen, [2, 3], 'a handler that joins gets the events after the one at hand')
  t.equal(subscriptions().length, 1)
})

t.test('a slow handler pauses its subscription alone, and misses nothing', async t => {
  const { client, topic, publish, cut, subscriptions } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  const slow: unknown[] = []
  const quick = recorder()
  let release = () => {}
  const gate = new Promise<void>(resolve => { release = resolve })
  const subscription = client.topic(name).subscribe(async ({ payload }) => {
    slow.push(payload)
    await gate
  }, { bufferSize: 5 })
  await client.topic(name).subscribe(quick.handler).ready
  await publish(name, ...upTo(300))
  await quick.has(300)
  t.same(slow, [1])
  t.equal(subscription.serverId, undefined, 'it is paused')
  await cut(client, () => publish(name, ...upTo(310, 301)))
  await quick.has(310)
  release()
  await until(() => slow.length === 310, () => `all events: ${slow.length}`)
  t.same(slow, upTo(310))
  subscription.unsubscribe()
  await until(() => subscriptions().length === 1, 'the end of its own subscription')
})

t.test('replayed events go to onReplay, and move no position', async t => {
  const { client, topic, publish, request } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  await publish(name, 1, 2)
  const [events, replays, plain] = [recorder(), recorder(), recorder()]
  const subscription = client.topic(name).subscribe(events.handler, { after: 0, onReplay: replays.handler })
  client.topic(name).subscribe(plain.handler, { after: 0 })
  await Promise.all([events.has(2), plain.has(2)])
  const { body } = await request('POST', '/api/debugger/replay', {
    topic: name, fromOffset: 1, toOffset: 1, target: 'subscribers'
  })
  t.ok(body.id)
  await replays.has(1)
  await publish(name, 3)
  await Promise.all([events.has(3), plain.has(3)])
  t.same([events.seen, replays.seen, plain.seen], [[1, 2, 3], [1], [1, 2, 3]])
  t.equal(subscription.positions?.[name]?.offset, 3)
})

t.test('a subscription starts at the given place', async t => {
  const { client, topic, publish } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  const published = await publish(name, ...upTo(5))
  const orders = client.topic(name)
  const epoch = published[0]?.epoch ?? ''
  const starts = {
    after: { after: 3 },
    position: { after: { offset: 3, epoch } },
    positions: { after: { [name]: { offset: 3, epoch } } },
    rewind: { rewind: 2 },
    'rewind, because after is lost': { after: 99, rewind: 2, onGap: () => {} }
  }
  for (const [what, start] of Object.entries(starts)) {
    const { seen, handler, has } = recorder()
    orders.subscribe(handler, start)
    await has(2)
    t.same(seen, [4, 5], what)
  }
  for (const since of [0, new Date(0)]) {
    const { seen, handler, has } = recorder()
    orders.subscribe(handler, { since })
    await has(5)
    t.same(seen, upTo(5))
  }
  const pattern = recorder()
  client.topic('order.*').subscribe(pattern.handler, { after: { [name]: { offset: 3 } } })
  await pattern.has(2)
  t.same(pattern.seen, [4, 5])
  t.throws(() => client.topic('order.*').subscribe(() => {}, { after: 3 }), TypeError)
})

t.test('a pattern goes on over cuts, with the topics that were created meanwhile', async t => {
  const { client, topic, publish, cut, errors } = await openStreams(t, app, url)
  await publish(await topic('order.placed'), 'before')
  const { seen, handler, has } = recorder()
  await client.topic('order.*').subscribe(handler).ready
  await publish('order.placed', 1)
  await has(1)
  await cut(client, async () => {
    await publish(await topic('order.paid'), 2, 3)
    await publish('order.placed', 4)
  })
  await has(4)
  await publish(await topic('order.sent'), 5)
  await has(5)
  t.same([...seen].sort(), upTo(5))
  t.ok(seen.indexOf(2) < seen.indexOf(3))
  t.same(errors, [])
})

t.test('a resync for a slow connection is resumed', async t => {
  const { client, topic, publish } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  const { seen, handler, has } = recorder()
  const subscription = client.topic(name).subscribe(handler)
  await subscription.ready
  await publish(name, 1)
  await has(1)
  const first = subscription.serverId
  const connection = await eventually(() =>
    [...app.connections.all()].find(({ subscriptions }) => subscriptions.some(({ id }) => id === first)))
  for (const subscription of [...connection.subscriptions]) {
    connection.resync(subscription, { code: 'DATABASE_UNAVAILABLE', message: 'a test' })
  }
  await until(() => subscription.serverId !== undefined && subscription.serverId !== first, 'another subscription')
  await publish(name, 2)
  await has(2)
  t.same(seen, [1, 2])
})
