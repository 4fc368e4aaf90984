import t from 'tap'
import { KeyedQueue } from '../../../src/foundation/limits/keyed-queue.ts'

/** Returns work that runs until `end`. */
function held () {
  let end = () => {}
  const ended = new Promise<void>(resolve => { end = resolve })
  return { end, work: () => ended }
}

await t.test('work that waits too long is rejected, never begins, and delays no other work', async t => {
  const queue = new KeyedQueue(100)
  const holds = Array.from({ length: 4 }, held)
  const running = holds.map(({ work }, at) => queue.take(`app ${at}`, work))
  const begun: string[] = []
  const late = [
    queue.take('other', async () => {
      begun.push('other')
    }),
    queue.take('app 0', async () => {
      begun.push('behind itself')
    })
  ]
  for (const one of late) await t.rejects(one, { code: 'OVERLOADED', status: 503, retryAfterS: Number })
  for (const { end } of holds) end()
  await Promise.all(running)
  t.same(await Promise.all(['other', 'app 0', 'app 1'].map(name => queue.take(name, async () => name))), [
    'other', 'app 0', 'app 1'
  ])
  t.same(begun, [])
})

await t.test('at most four tasks run at once, and one per key, in order', async t => {
  const queue = new KeyedQueue()
  const order: number[] = []
  let [running, most] = [0, 0]
  await Promise.all(Array.from({ length: 40 }, (_, at) => queue.take(`app ${at % 8}`, async () => {
    most = Math.max(most, ++running)
    if (at % 8 === 0) order.push(at)
    await new Promise(resolve => setImmediate(resolve))
    running--
    if (at === 9) throw new Error('this one fails')
  }).catch(() => {})))
  t.equal(most, 4)
  t.same(order, [0, 8, 16, 24, 32])
})
