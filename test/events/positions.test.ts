import t from 'tap'
import { createPool } from '../../db/connection.ts'
import type { TopicCheck } from '../../src/events/payload-check.ts'
import { createEpochs } from '../../src/events/epochs.ts'
import type { Intent, StreamPlace } from '../../src/events/intent.ts'
import { ensurePartitions } from '../../src/events/partitions.ts'
import { EventWriter } from '../../src/events/writer.ts'
import { createMetrics } from '../../src/foundation/observability/metrics.ts'
import { Budget } from '../../src/registry/json-schema/validation/fuel.ts'
import { createDatabase } from '../support/database.ts'

/* Steps of a stream commit with their events, once, in order, and only under the current lease. */

const pool = createPool({ connectionString: await createDatabase(t), max: 10, onError: () => {} })
t.teardown(() => pool.end())
await ensurePartitions(pool, Date.now())
await pool.query("insert into applications values ('app_1', 'x', '', 0, 0)")
const silent = { error: () => {}, warn: () => {} }
const spendMost: TopicCheck = (_payload, _path, budget) => {
  if ((budget.left -= new Budget().left * 0.6) < 0) throw new Error('the budget is spent')
}
const writer = new EventWriter({
  pool, epochOf: createEpochs('positions'), metrics: createMetrics(), log: silent,
  check: { createBudget: () => new Budget(), prepare: () => spendMost }, onCommitted: () => {}
})
const scope = { applicationId: 'app_1', environment: 'development' } as const
const start: StreamPlace = { commitLsn: '0/0', changeIndex: 0 }
const at = (lsn: number, changeIndex = 1): StreamPlace => ({
  commitLsn: `0/${lsn.toString(16).toUpperCase()}`,
  changeIndex
})

async function connection (id: string): Promise<string> {
  await pool.query('delete from cdc_connections')
  await pool.query(
    `insert into cdc_connections (
       id, application_id, environment, connection_string_sealed, publication, slot, created_at, updated_at)
     values ($1, 'app_1', 'development', '', '', '', 0, 0)`,
    [id]
  )
  await pool.query('insert into cdc_positions (connection_id, fence) values ($1, 1)', [id])
  return id
}

const step = (
  connectionId: string, from: StreamPlace, to: StreamPlace, { fence = 1, payload = '1', fails = false } = {}
): Intent<number> => ({
  scope,
  position: { connectionId, fence, from, to, confirmedLsn: to.commitLsn },
  topics: [],
  apply () {
    if (fails) throw new Error('a fault of ours')
    return {
      events: [{
        topic: `t.${connectionId}`,
        type: 'database.event',
        source: 'database',
        key: null,
        payload,
        schemaVersion: null
      }]
    }
  },
  answer: events => events.length
})
const stored = async (id: string) => {
  const { rows: [row] } = await pool.query(
    'select commit_lsn, change_index, confirmed_lsn from cdc_positions where connection_id = $1', [id]
  )
  const { rows } = await pool.query('select payload from events where topic = $1 order by "offset"', [`t.${id}`])
  return { ...row, events: rows.map(({ payload }) => Number(payload)) }
}
const settled = async (intents: Intent<number>[]) =>
  (await Promise.allSettled(intents.map(intent => writer.submit(intent))))
    .map(result => result.status === 'fulfilled' ? 'taken' : (result.reason as { code: string }).code)

await t.test('consecutive steps are taken together, each with its events', async t => {
  const id = await connection('c1')
  t.same(
    await settled([
      step(id, start, at(1), { payload: '1' }), step(id, at(1), at(2), { payload: '2' }),
      step(id, at(2), at(2, 5), { payload: '3' })
    ]),
    ['taken', 'taken', 'taken']
  )
  t.same(await stored(id), { commit_lsn: '0/2', change_index: 5, confirmed_lsn: '0/2', events: [1, 2, 3] })
})

await t.test('a step that does not begin at the stored position has no effect, alone or in a batch', async t => {
  const id = await connection('c2')
  t.same(await settled([step(id, start, at(1)), step(id, start, at(1)), step(id, at(7), at(8))]), [
    'taken', 'CDC_POSITION_LOST', 'CDC_POSITION_LOST'
  ])
  t.same(await settled([step(id, start, at(1))]), ['CDC_POSITION_LOST'], 'the same step again')
  t.same(await stored(id), { commit_lsn: '0/1', change_index: 1, confirmed_lsn: '0/1', events: [1] })
})

await t.test('checks of other rows never cost a row its own check', async t => {
  const id = await connection('c2b')
  await pool.query("insert into topics values ('app_1', 'development', 'dear', '', '', 1, 0)")
  const plain = step(id, start, at(1))
  const checking: Intent<number> = {
    ...plain,
    topics: ['dear'],
    apply (batch, document) {
      for (const payload of [1, 2, 3]) batch.check('dear', payload, '')
      return plain.apply(batch, document)
    }
  }
  t.same(await settled([checking]), ['taken'])
})

await t.test('a step with an older lease is refused, and so is a step of a deleted connection', async t => {
  const id = await connection('c3')
  await pool.query('update cdc_positions set fence = 2')
  t.same(await settled([step(id, start, at(1), { fence: 1 }), step('c_none', start, at(1))]), [
    'CDC_POSITION_LOST', 'CDC_POSITION_LOST'
  ])
  t.same(await settled([step(id, start, at(1), { fence: 2 })]), ['taken'])
})

await t.test('a step whose intent throws is not taken, nor is any later step', async t => {
  const id = await connection('c4')
  t.same(
    await settled([
      step(id, start, at(1), { payload: '1' }), step(id, at(1), at(2), { fails: true }),
      step(id, at(2), at(3), { payload: '3' })
    ]),
    ['taken', 'INTERNAL', 'CDC_POSITION_LOST']
  )
  t.same(await stored(id), { commit_lsn: '0/1', change_index: 1, confirmed_lsn: '0/1', events: [1] })
})

await t.test('a step whose events the database refuses is not taken', async t => {
  const id = await connection('c5')
  t.same(
    await settled([
      step(id, start, at(1), { payload: '1' }), step(id, at(1), at(2), { payload: '{broken' }),
      step(id, at(2), at(3), { payload: '3' })
    ]),
    ['taken', 'INTERNAL', 'CDC_POSITION_LOST']
  )
  t.same(await stored(id), { commit_lsn: '0/1', change_index: 1, confirmed_lsn: '0/1', events: [1] })
})

t.teardown(() => writer.close())
