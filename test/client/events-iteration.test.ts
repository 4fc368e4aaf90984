import t from 'tap'
import { build, listen } from '../support/build.ts'
import { openStreams, upTo } from '../support/streams.ts'
import { until } from '../support/waiting.ts'

const { app } = await build(t)
const url = await listen(app)

t.test('a loop gets every event, and leaving it ends the subscription', async t => {
  const { client, topic, publish, subscriptions } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  await publish(name, ...upTo(50))
  const seen: unknown[] = []
  for await (const { payload } of client.topic(name).events({ after: 0, bufferSize: 4 })) {
    seen.push(payload)
    if (payload === 50) break
  }
  t.same(seen, upTo(50))
  await until(() => subscriptions().length === 0, 'the end after break')
  await t.rejects(async () => {
    for await (const { payload } of client.topic(name).events({ after: 0 })) {
      if (payload === 1) throw new Error('at 1')
    }
  }, { message: 'at 1' })
  await until(() => subscriptions().length === 0, 'the end after throw')
})

t.test('a loop that waits ends with its signal, and with return', async t => {
  const { client, topic, subscriptions } = await openStreams(t, app, url)
  const name = await topic('order.placed')
  const controller = new AbortController()
  const events = client.topic(name).events({ signal: controller.signal })
  const waiting = events.next()
  await until(() => subscriptions().length === 1, 'the subscription')
  controller.abort()
  t.same(await waiting, { value: undefined, done: true })
  const others = client.topic(name).events()
  const pending = others.next()
  await until(() => subscriptions().length === 1, 'the other subscription')
  await others.return?.()
  t.same(await pending, { value: undefined, done: true })
  await until(() => subscriptions().length === 0, 'the end')
})

t.test('a loop throws the error with which the server ends the subscription, after the events before it', async t => {
  const streams = await openStreams(t, app, url)
  const { topic, publish, token, errors } = streams
  const name = await topic('order.placed')
  const client = streams.open({ token: () => token(['subscribe:order.*']) })
  await publish(name, 1, 2)
  const seen: unknown[] = []
  await t.rejects(async () => {
    for await (const { payload } of client.topic(name).events({ after: 0 })) {
      if (seen.length === 0) await client.setToken(() => token(['subscribe:other.*']))
      seen.push(payload)
    }
  }, { code: 'PERMISSION_DENIED' })
  t.same(seen, [1, 2])
  t.same(errors, [])
})
