import t from 'tap'
import { createPool } from '../../../db/connection.ts'
import { createNode } from '../../../src/cluster/node.ts'
import { Collector } from '../../../src/debugger/series/collector.ts'
import { SeriesRecorder } from '../../../src/debugger/series/recorder.ts'
import { SeriesStore } from '../../../src/debugger/series/series-store.ts'
import { LiveStats } from '../../../src/foundation/observability/live-stats.ts'
import { createMetrics } from '../../../src/foundation/observability/metrics.ts'
import { createDatabase } from '../../support/database.ts'
import { minuteMs } from '../../support/series.ts'

/* Counts belong to the minute of the shared clock in which they happened. */

const scope = { applicationId: 'app_one', environment: 'development' as const }
const pool = createPool({ connectionString: await createDatabase(t), max: 2 })
t.teardown(() => pool.end())
const log = { warn: () => {}, error: () => {} }
const noon = Date.UTC(2026, 0, 1, 12)

/** A node whose clock the test sets. It reads the clock once, to start. */
function started (at: number) {
  const [node, liveStats, clock] = [createNode(), new LiveStats(), { at }]
  const store = new SeriesStore({ pool, metrics: createMetrics(), log })
  const collector = new Collector(liveStats)
  const recorder = new SeriesRecorder({ pool, collector, store, node, now: () => clock.at, log })
  return {
    node,
    recorder,
    async count (received: number, until: number): Promise<void> {
      liveStats.scope(scope).received.add(received)
      clock.at = until
      await recorder.flush()
    },
    async minutes (): Promise<Record<number, number>> {
      const { rows } = await pool.query<{ at: number, received: number }>(
        `select at, sum(received) as received from metric_minutes
        where node = $1 and application_id <> '' group by at`,
        [node.id]
      )
      return Object.fromEntries(rows.map(row => [(row.at - noon) / minuteMs, row.received]))
    }
  }
}

await t.test('a timer may fire just before or after the end of its minute', async t => {
  const { count, minutes, recorder } = started(noon + 20_000)
  await count(1, noon + minuteMs - 1)
  await count(2, noon + 2 * minuteMs + 500)
  await count(3, noon + 3 * minuteMs + 3)
  await recorder.close()
  t.same(await minutes(), { 0: 1, 1: 2, 2: 3 })
})

await t.test('a clock that is set back overwrites nothing', async t => {
  const { count, minutes, recorder } = started(noon)
  await count(1, noon + minuteMs)
  await count(2, noon + 5_000)
  await count(4, noon + minuteMs)
  await count(8, noon + 2 * minuteMs)
  await recorder.close()
  t.same(await minutes(), { 0: 7, 1: 8 })
})

await t.test('the node that has the lease does the shared work until it stops', async t => {
  const [one, two] = [started(noon), started(noon)]
  const samples = async () =>
    (await pool.query("select from metric_minutes where node = '' and is_sampled and application_id = ''")).rowCount
  await one.recorder.doSharedWork(noon + minuteMs)
  await two.recorder.doSharedWork(noon + 2 * minuteMs)
  await two.recorder.flush()
  await one.recorder.flush()
  t.equal(await samples(), 1)
  await one.recorder.close()
  await two.recorder.doSharedWork(noon + minuteMs)
  await two.recorder.flush()
  t.equal(await samples(), 1, 'a minute has one sample')
  await two.recorder.doSharedWork(noon + 3 * minuteMs)
  await two.recorder.close()
  t.equal(await samples(), 2)
})
