import t from 'tap'
import { EarlyEvents } from '../../src/delivery/early-events.ts'
import { bytesOfEvent, RecentEvents, RecentEventsBudget } from '../../src/delivery/recent-events.ts'
import { LoggedEvent } from '../../src/events/envelope.ts'

/* Memory limits for the feeds of a node: by topic, by application and in total. */

const mib = 1024 * 1024
const event = (offset: number, length = 100_000) =>
  new LoggedEvent({ applicationId: 'app_a', environment: 'development' }, {
    topic: 'a.b', type: 'topic.event', source: 'api', key: null, payload: JSON.stringify('x'.repeat(length)),
    schemaVersion: null
  }, { id: `evt_${offset}`, offset, epoch: 'e', timestamp: 1 })
const fill = (recent: RecentEvents) => {
  for (let n = 1; n <= 10; n++) recent.push(event(n))
}

t.test('the application that holds the most loses the recent events of its oldest topics', async t => {
  const budget = new RecentEventsBudget()
  const small = new RecentEvents(budget, 'app_small')
  fill(small)
  const large = Array.from({ length: 40 }, () => new RecentEvents(budget, 'app_large'))
  for (const recent of large) {
    fill(recent)
    t.ok(budget.bytes <= 64 * mib)
  }
  t.equal(small.first, 1, 'the least recently used topic of a small application keeps its events')
  const kept = large.filter(({ first }) => first !== undefined)
  t.ok(kept.length > 10)
  t.same(kept, large.slice(-kept.length))
  t.equal(budget.bytes, budget.of('app_small') + budget.of('app_large'))
  // A growing application takes room from the largest, until both hold the same.
  for (let n = 0; n < 40; n++) fill(new RecentEvents(budget, 'app_other'))
  t.equal(small.first, 1)
  t.ok(
    Math.abs(budget.of('app_other') - budget.of('app_large')) <= 8 * mib,
    `${budget.of('app_other')} and ${budget.of('app_large')}`
  )
  t.ok(budget.bytes <= 64 * mib)
  for (const recent of large) recent.end()
  t.equal(budget.of('app_large'), 0)
})

t.test('many applications with one topic each stay within the budget', async t => {
  const budget = new RecentEventsBudget()
  const topics = Array.from({ length: 60 }, (_, n) => new RecentEvents(budget, `app_${n}`))
  for (const recent of topics) fill(recent)
  t.ok(budget.bytes <= 64 * mib)
  t.equal(topics.at(-1)?.first, 1, 'the topic in use keeps its events')
  for (const recent of topics) recent.end()
  t.equal(budget.bytes, 0)
})

t.test('early events are limited in bytes, by topic and by node', async t => {
  const all = { bytes: 0 }
  const one = new EarlyEvents(all)
  for (let n = 2; n <= 100; n++) one.keep(event(n))
  const most = Math.floor(4 * mib / bytesOfEvent(event(2)))
  t.equal(one.size, most)
  one.keep(event(2))
  t.equal(one.size, most, 'the same event counts once')
  t.equal(one.take(2)?.offset, 2)
  t.equal(one.take(2), undefined)
  one.dropTo(5)
  t.equal(one.size, most - 4)
  const others = Array.from({ length: 20 }, () => new EarlyEvents(all))
  for (const other of others) for (let n = 2; n <= 20; n++) other.keep(event(n))
  t.ok(all.bytes <= 32 * mib && all.bytes > 31 * mib)
  t.equal(others.at(-1)?.size, 0)
  for (const early of [one, ...others]) early.end()
  t.equal(all.bytes, 0)
  one.keep(event(2))
  t.equal(all.bytes, 0, 'a closed topic keeps nothing')
})

t.test('a topic holds at most 5,000 early events', async t => {
  const early = new EarlyEvents({ bytes: 0 })
  for (let n = 2; n <= 6000; n++) early.keep(event(n, 1))
  t.equal(early.size, 5000)
  early.clear()
  t.equal(early.size, 0)
})
