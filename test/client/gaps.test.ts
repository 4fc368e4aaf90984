import { memoryStore, type Gap, type Subscription } from '@realtime-platform/client'
import t from 'tap'
import { build, listen } from '../support/build.ts'
import { openStreams, recorder } from '../support/streams.ts'
import { until } from '../support/waiting.ts'

const { app } = await build(t)
const url = await listen(app)

t.test('a hole is reported once, in its place, over several reconnects and a reload', async t => {
  const { client, open, topic, publish, cut, expire, errors } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  const store = memoryStore()
  const { seen, handler, onGap, has } = recorder()
  const other = recorder()
  const subscription = client.topic(name).subscribe(handler, { store, onGap })
  await subscription.ready
  await client.topic(name).subscribe(other.handler).ready
  await publish(name, 1, 2)
  await Promise.all([has(2), other.has(2)])
  await cut(client, async () => {
    await publish(name, 3, 4, 5)
    await expire(name, 4)
  })
  await has(3)
  await publish(name, 6)
  await has(4)
  t.same(seen, [1, 2, 'RETENTION_PASSED 3-5', 6])
  await cut(client)
  await cut(client)
  await publish(name, 7)
  await Promise.all([has(5), other.has(4)])
  client.disconnect()
  await publish(name, 8)
  const reloaded = open()
  const again = recorder()
  reloaded.topic(name).subscribe(again.handler, { store, onGap: again.onGap })
  await again.has(1)
  t.same([...seen, ...again.seen], [1, 2, 'RETENTION_PASSED 3-5', 6, 7, 8])
  t.same(other.seen, [1, 2, 6, 7])
  t.same(errors, ['GAP'], 'without onGap, the client emits an error')
})

t.test('a position of another log, above its end, or before retention is a hole', async t => {
  const { client, topic, publish, expire } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  const [published] = await publish(name, 1, 2, 3, 4)
  await expire(name, 2)
  const epoch = published?.epoch
  const gapOf = async (options: object) => {
    const gaps: Gap[] = []
    const { handler, has } = recorder()
    const subscription = client.topic(name).subscribe(handler, { ...options, onGap: gap => gaps.push(gap) })
    await subscription.ready
    t.notOk(gaps.length > 1)
    if ('since' in options) await has(2)
    return gaps[0]
  }
  t.match(await gapOf({ after: { offset: 2, epoch: 'other' } }), {
    reason: 'EPOCH_CHANGED', from: 3, to: 4, epoch, previousEpoch: 'other'
  })
  t.match(await gapOf({ after: 9 }), { reason: 'LOG_SHORTENED', from: 10, to: null })
  t.match(await gapOf({ after: 1 }), { reason: 'RETENTION_PASSED', from: 2, to: 4 })
  t.match(await gapOf({ since: 0 }), { reason: 'SINCE_UNCERTAIN', from: 1, to: 2 })
  t.equal(await gapOf({ after: 2 }), undefined)
  t.equal(await gapOf({}), undefined)
})

t.test('an asynchronous onGap delays the events after the hole, and may unsubscribe', async t => {
  const { client, topic, publish, subscriptions } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  await publish(name, 1, 2)
  const steps: unknown[] = []
  let reloaded = () => {}
  const slow = client.topic(name).subscribe(({ payload }) => { steps.push(payload) }, {
    after: 9,
    onGap: () => new Promise<void>(resolve => {
      steps.push('gap')
      reloaded = resolve
    })
  })
  const ends: Subscription = client.topic(name).subscribe(() => { steps.push('after the end') }, {
    after: 8, onGap: () => ends.unsubscribe()
  })
  await Promise.all([slow.ready, ends.closed])
  await publish(name, 3)
  await until(() => subscriptions().length === 1, 'the end of one')
  t.same(steps, ['gap'])
  t.equal(slow.positions, undefined)
  reloaded()
  await until(() => steps.length === 2, 'the event')
  t.same(steps, ['gap', 3])
})

t.test('a topic that a pattern loses is a hole once, also after a reload; it continues when it comes back', async t => {
  const streams = await openStreams(t, app, url)
  const { topic, publish, token, cut } = streams
  await Promise.all([topic('order.placed'), topic('order.paid')])
  await publish('order.placed', 1)
  await publish('order.paid', 2)
  let granted = ['subscribe:order.*']
  const client = streams.open({ token: () => token(granted) })
  const store = memoryStore()
  const { seen, handler, onGap, has } = recorder()
  await client.topic('order.*').subscribe(handler, { store, onGap }).ready
  granted = ['subscribe:order.placed']
  await client.setToken(() => token(granted))
  await has(1)
  t.same(seen, ['PERMISSION_DENIED 2-null'])
  await publish('order.paid', 3)
  await cut(client)
  await cut(client)
  await publish('order.placed', 4)
  await has(2)
  client.disconnect()
  const reloaded = streams.open({ token: () => token(granted) })
  const again = recorder()
  await reloaded.topic('order.*').subscribe(again.handler, { store, onGap: again.onGap }).ready
  await publish('order.placed', 5)
  await again.has(1)
  t.same([...seen, ...again.seen], ['PERMISSION_DENIED 2-null', 4, 5])
  granted = ['subscribe:order.*']
  await reloaded.setToken(() => token(granted))
  await publish('order.paid', 6)
  await again.has(2)
  t.same(again.seen, [5, 6])
})

t.test('a subscription whose topic a fresh credential does not cover ends', async t => {
  const streams = await openStreams(t, app, url)
  const { topic, token } = streams
  const name = await topic('order.placed')
  const client = streams.open({ token: () => token(['subscribe:order.*']) })
  const subscription = client.topic(name).subscribe(() => {}, { onError: () => {} })
  await subscription.ready
  await client.setToken(() => token(['subscribe:other.*']))
  await t.rejects(subscription.closed, { code: 'PERMISSION_DENIED' })
})

t.test('a topic of a pattern that the credential no longer covers after a reconnect is a hole', async t => {
  const streams = await openStreams(t, app, url)
  const { topic, publish, token, cut } = streams
  await publish(await topic('order.placed'), 1)
  await publish(await topic('order.paid'), 2)
  const client = streams.open({ token: () => token(['subscribe:order.*']) })
  const { seen, handler, onGap, has } = recorder()
  await client.topic('order.*').subscribe(handler, { onGap }).ready
  client.disconnect()
  await client.setToken(() => token(['subscribe:order.placed']))
  await client.connect()
  await has(1)
  await cut(client)
  await publish('order.placed', 3)
  await has(2)
  t.same(seen, ['TOPIC_UNAVAILABLE 2-null', 3])
})
