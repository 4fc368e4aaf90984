import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { Turns, type WaitingLimits } from '../../../src/foundation/limits/turns.ts'

/** Turns with work that runs until `end` is called. Records the order in which work starts. */
function start (limits: Partial<WaitingLimits> = {}) {
  const turns = new Turns({
    runningMax: 2,
    runningOfOwnerMax: 1,
    waiting: { max: 5, ofOwnerMax: 2, refusal: reason => new Error(reason), ...limits }
  })
  const started: string[] = []
  const ends: (() => void)[] = []
  const take = (name: string, signal?: AbortSignal) => turns.take(name.charAt(0), async () => {
    started.push(name)
    await new Promise<void>(resolve => ends.push(resolve))
    return name
  }, signal)
  async function endAll () {
    for (let end = ends.shift(); end !== undefined; end = ends.shift()) {
      end()
      await setImmediate()
    }
  }
  return { turns, started, take, endAll }
}

t.test('an owner at its limit does not keep others from a free place', async t => {
  const { started, take, endAll } = start()
  const all = ['a1', 'a2', 'b1', 'a3', 'b2', 'c1'].map(name => take(name))
  await setImmediate()
  t.strictSame(started, ['a1', 'b1'])
  await endAll()
  t.strictSame(await Promise.all(all), ['a1', 'a2', 'b1', 'a3', 'b2', 'c1'])
  t.strictSame(started, ['a1', 'b1', 'a2', 'b2', 'c1', 'a3'])
})

t.test('waiting work is limited by owner and in total, and refused work never starts', async t => {
  const { started, take, endAll } = start()
  const accepted = ['a1', 'a2', 'a3', 'b1', 'b2', 'b3', 'c1'].map(name => take(name))
  await t.rejects(take('a4'), { message: 'owner' })
  await t.rejects(take('d1'), { message: 'all' })
  await setImmediate()
  await endAll()
  await Promise.all(accepted)
  t.strictSame(started.toSorted(), ['a1', 'a2', 'a3', 'b1', 'b2', 'b3', 'c1'])
  const later = take('a4')
  await setImmediate()
  await endAll()
  t.equal(await later, 'a4', 'nothing is left over')
})

t.test('aborted work leaves the queue, and makes room in it', async t => {
  const { started, take, endAll } = start()
  const gone = new AbortController()
  await t.rejects(take('a0', AbortSignal.abort()), { name: 'AbortError' })
  const first = take('a1', gone.signal)
  const waiting = [take('a2', gone.signal), take('a3', gone.signal)].map(one => one.catch((error: Error) => error.name))
  await t.rejects(take('a4'), { message: 'owner' })
  gone.abort()
  t.strictSame(await Promise.all(waiting), ['AbortError', 'AbortError'])
  const next = [take('a5'), take('a6')]
  await setImmediate()
  await endAll()
  t.strictSame(await Promise.all([first, ...next]), ['a1', 'a5', 'a6'], 'running work ends as it likes')
  t.strictSame(started, ['a1', 'a5', 'a6'])
})

t.test('work that waits too long is refused and never starts', async t => {
  const { started, take, endAll } = start({ msMax: 1 })
  const first = take('a1')
  await t.rejects(take('a2'), { message: 'time' })
  await endAll()
  await first
  const next = take('a3')
  await setImmediate()
  await endAll()
  await next
  t.strictSame(started, ['a1', 'a3'])
})

t.test('closing rejects all waiting work', async t => {
  const { turns, take, endAll } = start()
  const [first, ...rest] = ['a1', 'a2', 'a3', 'b1', 'b2'].map(name => take(name).catch((error: Error) => error.message))
  turns.close(new Error('closed'))
  t.strictSame(await Promise.all([rest[0], rest[1], rest[3]]), ['closed', 'closed', 'closed'])
  await endAll()
  t.strictSame(await Promise.all([first, rest[2]]), ['a1', 'b1'])
})
