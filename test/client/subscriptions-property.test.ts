import { memoryStore, type Gap, type RealtimeClient, type RealtimeEvent } from '@realtime-platform/client'
import fc from 'fast-check'
import t from 'tap'
import { build, listen } from '../support/build.ts'
import { openStreams } from '../support/streams.ts'
import { pace, until } from '../support/waiting.ts'

/* `CLIENT_RUNS=200` for the long form. */

const { app } = await build(t)
const url = await listen(app)
const topics = ['order.placed', 'order.paid', 'order.sent'] as const

const action = fc.oneof(
  {
    weight: 6, arbitrary: fc.record({
      type: fc.constant('publish'), topic: fc.constantFrom(...topics), count: fc.integer({ min: 1, max: 40 })
    })
  },
  {
    weight: 3, arbitrary: fc.record({
      type: fc.constantFrom('cut', 'lose', 'reload', 'expire', 'rest'),
      topic: fc.constantFrom(...topics), count: fc.integer({ min: 1, max: 20 })
    })
  }
)

/** Follows what a handler gets, and rejects an event that is missing, early or late. */
function watcher (name: string) {
  const next = new Map<string, number>()
  const faults: string[] = []
  const place = (topic: string, offset: number, to: number | null, what: string) => {
    const expected = next.get(topic) ?? 1
    if (offset !== expected || to === null) faults.push(`${name}: ${topic} ${what} ${offset} instead of ${expected}`)
    next.set(topic, (to ?? offset) + 1)
  }
  return {
    faults,
    next,
    event: ({ topic, offset }: RealtimeEvent) => place(topic, offset, offset, 'event'),
    gap: ({ topic, reason, from, to }: Gap) => place(topic, from, to, reason)
  }
}

t.test('over cuts, reloads and retention, each offset is handled once, in order, or is in one hole', async t => {
  await fc.assert(fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 25 }), async actions => {
    const streams = await openStreams(t, app, url)
    const { proxy } = streams
    const heads = new Map<string, number>()
    const stores = [memoryStore(), memoryStore()]
    const stored = [watcher('stored'), watcher('stored pattern')]
    const [live, slow, pattern] = [watcher('live'), watcher('slow'), watcher('pattern')]

    const publish = async (topic: string, count: number) => {
      const head = heads.get(topic) ?? 0
      if (head === 0 && topic !== topics[0]) await streams.topic(topic)
      await streams.publish(topic, ...Array.from({ length: count }, (_, i) => head + i + 1))
      heads.set(topic, head + count)
    }
    const openStored = (client: RealtimeClient) => stored.map(({ event, gap }, i) =>
      client.topic(i === 0 ? topics[0] : 'order.*')
        .subscribe(event, { store: stores[i] ?? memoryStore(), onGap: gap }))

    await streams.topic(topics[0])
    await publish(topics[0], 1)
    const { client } = streams
    let page = streams.open()
    let subscriptions = openStored(page)
    const begun = [
      ...subscriptions,
      client.topic(topics[0]).subscribe(live.event, { onGap: live.gap }),
      client.topic(topics[0]).subscribe(async event => {
        await pace(1)
        slow.event(event)
      }, { onGap: slow.gap, bufferSize: 8 }),
      client.topic('order.*').subscribe(pattern.event, { onGap: pattern.gap })
    ]
    await Promise.all(begun.map(({ ready }) => ready))
    const watchers = [...stored, live, slow, pattern]
    for (const { next } of watchers) next.set(topics[0], 2)

    for (const { type, topic, count } of actions) {
      if (type === 'publish') await publish(topic, count)
      else if (type === 'rest') await pace(count)
      else if (type === 'expire') await streams.expire(topic, Math.max(0, (heads.get(topic) ?? 0) - count))
      else if (type === 'reload') {
        for (const subscription of subscriptions) subscription.unsubscribe()
        page.disconnect()
        page = streams.open()
        subscriptions = openStored(page)
      } else {
        proxy.isMute = type === 'lose'
        if (type === 'lose') await publish(topic, count)
        proxy.isMute = false
        proxy.cut()
      }
    }
    await Promise.all([client.connect(), page.connect()])
    for (const topic of topics) await publish(topic, 1)
    const isComplete = () => watchers.every(({ next }, i) =>
      topics.every((topic, j) => (j > 0 && i !== 1 && i !== 4) || next.get(topic) === (heads.get(topic) ?? 0) + 1))
    const faults = () => watchers.flatMap(({ faults }) => faults)
    await until(() => isComplete() || faults().length > 0, () =>
      JSON.stringify({ heads: [...heads], seen: watchers.map(({ next }) => [...next]) }))
    client.disconnect()
    page.disconnect()
    if (faults().length > 0) throw new Error(faults().join('\n'))
  }), { numRuns: Number(process.env['CLIENT_RUNS'] ?? 10), endOnFailure: true })
  t.pass()
})
