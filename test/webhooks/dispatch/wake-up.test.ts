import t from 'tap'
import { WakeUp } from '../../../src/webhooks/dispatch/wake-up.ts'

/* The poll is an hour away: a wait that ends within this test was ended by what the test did. */

const pollMs = 3_600_000
const create = (): WakeUp => new WakeUp({ pollMs, now: Date.now })

// The timers of a wait do not keep a process alive.
const alive = setInterval(() => {}, pollMs)
t.teardown(() => clearInterval(alive))

t.test('a wake before the wait is not lost', async () => {
  const wakeUp = create()
  wakeUp.wake()
  await wakeUp.wait()
  await wakeUp.waitForPoll()
})

t.test('a wake during the wait ends it', async () => {
  const wakeUp = create()
  for (const wait of [() => wakeUp.wait(), () => wakeUp.waitForPoll(), () => wakeUp.woken()]) {
    wakeUp.reset()
    const ended = wait()
    wakeUp.wake()
    await ended
  }
})

t.test('a wake before the call of woken does not end it', async t => {
  const wakeUp = create()
  wakeUp.wake()
  let isEnded = false
  const ended = wakeUp.woken().then(() => { isEnded = true })
  await new Promise(resolve => setImmediate(resolve))
  t.notOk(isEnded)
  wakeUp.wake()
  await ended
})

t.test('work that becomes known before or during the wait ends it when due', async () => {
  for (const isKnownBefore of [true, false]) {
    const wakeUp = create()
    wakeUp.startPoll(Date.now())
    if (isKnownBefore) wakeUp.expect(Date.now() + 1)
    const ended = wakeUp.wait()
    if (!isKnownBefore) wakeUp.expect(Date.now() + 1)
    // Later work does not postpone it.
    wakeUp.expect(Date.now() + pollMs / 2)
    await ended
  }
})

t.test('a second wait ends with its own work', async () => {
  const wakeUp = create()
  for (let round = 0; round < 2; round++) {
    wakeUp.startPoll(Date.now())
    wakeUp.expect(Date.now() + 1)
    await wakeUp.wait()
  }
})

/** Waits until work that became due at the same time has ended another wait. */
async function othersEnded (): Promise<void> {
  const other = create()
  other.expect(Date.now() + 2)
  await other.wait()
}

t.test('due work does not end a wait for the poll', async t => {
  const wakeUp = create()
  let isEnded = false
  wakeUp.expect(Date.now() + 1)
  const ended = wakeUp.waitForPoll().then(() => { isEnded = true })
  wakeUp.expect(Date.now())
  await othersEnded()
  t.notOk(isEnded)
  wakeUp.wake()
  await ended
})

t.test('work from before the poll does not end the wait after it', async t => {
  const wakeUp = create()
  wakeUp.expect(Date.now() + 1)
  wakeUp.startPoll(Date.now())
  let isEnded = false
  const ended = wakeUp.wait().then(() => { isEnded = true })
  await othersEnded()
  t.notOk(isEnded)
  wakeUp.wake()
  await ended
})
