import t from 'tap'
import { Alarm } from '../../../src/webhooks/dispatch/alarm.ts'

const hourMs = 3_600_000
const create = (): Alarm => new Alarm(Date.now)

// The timer of a wait does not keep a process alive.
const alive = setInterval(() => {}, hourMs)
t.teardown(() => clearInterval(alive))

/** Returns whether a wait ends by itself by the time that another alarm has rung. */
async function isEnded (waiting: Promise<void>): Promise<boolean> {
  const other = create()
  other.wakeAt(Date.now() + 3)
  return await Promise.race([waiting.then(() => true), other.next().then(() => false)])
}

t.test('a wake before or during the wait ends it', async () => {
  const alarm = create()
  alarm.wakeAt(Date.now() + hourMs)
  alarm.wake()
  await alarm.next()
  const waiting = alarm.next()
  alarm.wake()
  await waiting
})

t.test('a wake ends one wait, however often it is called', async t => {
  const alarm = create()
  alarm.wake()
  alarm.wake()
  await alarm.next()
  const waiting = alarm.next()
  t.notOk(await isEnded(waiting))
  alarm.wake()
  await waiting
})

t.test('the earliest time ends the wait, set before or during it', async () => {
  for (const isSetBefore of [true, false]) {
    const alarm = create()
    alarm.wakeAt(Date.now() + hourMs)
    if (isSetBefore) alarm.wakeAt(Date.now() + 1)
    const waiting = alarm.next()
    if (!isSetBefore) alarm.wakeAt(Date.now() + 1)
    // A later time does not postpone it.
    alarm.wakeAt(Date.now() + hourMs / 2)
    await waiting
  }
})

t.test('a time that has passed ends the next wait at once', async () => {
  const alarm = create()
  alarm.wakeAt(Date.now() - hourMs)
  await alarm.next()
})

t.test('the times of a wait that has ended do not end the next one', async t => {
  const alarm = create()
  alarm.wakeAt(Date.now() + 1)
  alarm.wake()
  await alarm.next()
  const waiting = alarm.next()
  t.notOk(await isEnded(waiting))
  alarm.wakeAt(Date.now() + 1)
  await waiting
})

t.test('without a time, or with one beyond the range of timers, the wait does not end', async t => {
  for (const time of [undefined, Infinity, Date.now() + 50 * 24 * hourMs]) {
    const alarm = create()
    if (time !== undefined) alarm.wakeAt(time)
    t.notOk(await isEnded(alarm.next()))
  }
})
