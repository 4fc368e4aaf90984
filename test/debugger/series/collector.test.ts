import t from 'tap'
import { Collector } from '../../../src/debugger/series/collector.ts'
import { LiveStats } from '../../../src/foundation/observability/live-stats.ts'

/* The rows that one node stores for a minute have limits, and the sums are exact within them. */

const scope = { applicationId: 'app_flood', environment: 'development' as const }
const neighbour = { applicationId: 'app_calm', environment: 'production' as const }

function started () {
  const liveStats = new LiveStats()
  return { liveStats, collector: new Collector(liveStats) }
}

function publish (liveStats: LiveStats, of: typeof scope | typeof neighbour, topic: string, count: number): void {
  liveStats.scope(of).received.add(count)
  liveStats.topic(of, topic).received.add(count)
}

t.test('a tenant with 100,000 topics has rows of the busiest 200, and takes none from others', async t => {
  const { liveStats, collector } = started()
  for (let i = 0; i < 100_000; i++) {
    publish(liveStats, scope, `flood.n${i}`, 1)
    // Even a topic that is forgotten again and again keeps its count.
    if (i % 500 === 0) publish(liveStats, scope, 'busy.events', 1)
    if (i % 5000 === 0) publish(liveStats, neighbour, 'calm.events', 1)
  }
  const rows = collector.collect()
  const of = (applicationId: string, kind: string) =>
    rows.filter(row => row.application_id === applicationId && row.kind === kind)
  t.match(of(scope.applicationId, 'scope'), [{ received: 100_200, is_cut: true }])
  const topics = of(scope.applicationId, 'topic')
  t.equal(topics.length, 200)
  t.equal(topics.find(({ name }) => name === 'busy.events')?.received, 200)
  t.match(of(neighbour.applicationId, 'scope'), [{ received: 20, is_cut: false }])
  t.match(of(neighbour.applicationId, 'topic'), [{ name: 'calm.events', received: 20 }])
  t.match(of('', 'scope'), [{ received: 100_220, is_cut: false }])
})

t.test('many scopes share the rows, and those without room are in the totals', async t => {
  const { liveStats, collector } = started()
  const scopes = 6000
  for (let i = 0; i < scopes; i++) {
    const one = { applicationId: `app_${i}`, environment: 'development' as const }
    for (let n = 0; n < 20; n++) publish(liveStats, one, `events.n${n}`, n + 1)
  }
  const rows = collector.collect()
  t.match(rows[0], { application_id: '', received: scopes * 210, is_cut: true })
  t.ok(rows.filter(({ kind, application_id: id }) => kind === 'scope' && id !== '').length === 5000)
  t.ok(rows.length < 60_000, `${rows.length} rows`)
  const busiest = rows.filter(row => row.application_id === 'app_100' && row.kind === 'topic')
  t.ok(busiest.every(({ received }) => received > 10), 'the busiest topics of each')
})

t.test('each count is returned once, and an idle node returns its empty totals', async t => {
  const { liveStats, collector } = started()
  publish(liveStats, scope, 'some.events', 3)
  liveStats.webhook(scope, 'wh_1').succeeded += 2
  liveStats.webhook(scope, 'wh_1').failed++
  t.same(
    collector.collect().map(({ application_id: id, kind, name, received, succeeded, failed }) =>
      `${id}/${kind}/${name} ${received} ${succeeded} ${failed}`),
    [
      '/scope/ 3 0 0', '/webhook/ 0 2 1', 'app_flood/scope/ 3 0 0', 'app_flood/webhook/ 0 2 1',
      'app_flood/topic/some.events 3 0 0', 'app_flood/webhook/wh_1 0 2 1'
    ]
  )
  t.match(collector.collect(), [{ application_id: '', kind: 'scope', received: 0 }])
  t.equal(collector.collect().length, 1)
})

t.test('sockets count by the time that they are open', async t => {
  const { liveStats, collector } = started()
  const begin = performance.now()
  liveStats.opened(scope, 'tester')
  liveStats.opened(scope, 'tester')
  const connectionMs = (until: number) => collector.collect(until).find(row => row.application_id !== '')?.connection_ms
  const near = (actual: number | undefined, wanted: number) => {
    t.ok(Math.abs((actual ?? 0) - wanted) < 1000, `${actual} of ${wanted}`)
  }
  near(connectionMs(begin + 60_000), 120_000)
  near(connectionMs(begin + 90_000), 60_000)
  near(connectionMs(begin + 3_690_000), 120_000)
})
