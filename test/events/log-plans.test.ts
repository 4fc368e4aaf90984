import t from 'tap'
import { build } from '../support/build.ts'
import { tenant } from '../support/tenant.ts'

/*
 * Proves that the cost of reading the log depends on what is read, not on the length of the log. PostgreSQL explains
 * the statements for a long log beside a short one.
 */

const { app } = await build(t)
const shop = await tenant(app)
const long = 50_000
/** An event's time is this plus its offset. */
const beginning = Date.now() - long

interface PlanNode {
  'Total Cost': number
  'Relation Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  Plans?: PlanNode[]
}

/** Returns the number of event rows that a plan reads. */
function rowsOf (node: PlanNode): number {
  const own = node['Relation Name']?.startsWith('events') === true
    ? (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops']
    : 0
  return (node.Plans ?? []).reduce((sum, plan) => sum + rowsOf(plan), own)
}

const costOf = (node: PlanNode) => node['Total Cost']

/** Returns the plan of the statement that the log sends. */
async function explained (name: string, work: () => Promise<unknown>): Promise<PlanNode> {
  const { pool } = app
  const { query } = pool
  let asked: { text: string, values: unknown[] } | undefined
  pool.query = ((statement: { name?: string, text: string, values: unknown[] }) => {
    if (statement.name === name) asked = statement
    return (query as (statement: object) => unknown).call(pool, statement)
  }) as typeof pool.query
  try {
    await work()
  } finally {
    pool.query = query
  }
  const { rows: [row] } = await pool.query<{ 'QUERY PLAN': string }>(
    `explain (analyze, format json) ${asked?.text ?? ''}`,
    asked?.values
  )
  return (JSON.parse(row?.['QUERY PLAN'] ?? '') as [{ Plan: PlanNode }])[0].Plan
}

for (const [topic, events] of [['long.log', long], ['short.log', 1000]] as const) {
  await shop.topic(topic)
  await app.pool.query(`
    with grown as (
      insert into topic_logs (application_id, environment, topic, epoch, head_offset)
      values ($1, $2, $3, 'e', $4) returning *)
    insert into events (log_id, "offset", application_id, environment, topic, id, type, source, payload, created_at)
    select l.id, n, $1, $2, $3, $3 || n, 'topic.event', 'api', '{}', $5 + n from grown l, generate_series(1, $4) n`,
  [shop.applicationId, shop.scope.environment, topic, events, beginning])
}
await app.pool.query('analyze events')

for (const [topic, after] of [['long.log', 10], ['long.log', long / 2], ['short.log', 500]] as const) {
  await t.test(`a page of ${topic} after ${after}`, async t => {
    const plan = await explained('log_page', async () => {
      const events = await app.eventLog.page(shop.scope, topic, { after, limit: 100 })
      t.strictSame(events.map(({ offset }) => offset), Array.from({ length: 100 }, (_, i) => after + 1 + i))
    })
    t.ok(rowsOf(plan) <= 200, `${rowsOf(plan)} rows were looked at`)
  })
}

await t.test('picking single events and reading a position cost a few rows', async t => {
  const places = [{ topic: 'long.log', offset: 40_000 }, { topic: 'short.log', offset: 7 }, {
    topic: 'long.log', offset: long + 1
  }]
  const picked = await explained('log_pick', async () => {
    t.strictSame((await app.eventLog.pick(shop.scope, places)).map(({ offset }) => offset), [40_000, 7])
  })
  t.ok(rowsOf(picked) <= 10, `${rowsOf(picked)} rows were looked at`)
  const position = await explained('log_positions', async () => {
    t.match(await app.eventLog.position(shop.scope, 'long.log'), { head: long, earliest: 1 })
  })
  t.ok(rowsOf(position) <= 10, `${rowsOf(position)} rows were looked at`)
})

for (
  const [topic, offset] of [
    ['long.log', 7], ['long.log', long / 2], ['long.log', long + 1], ['short.log', 500]
  ] as const
) {
  await t.test(`finding event ${offset} of ${topic} by its time reads a few rows`, async t => {
    const plan = await explained('log_times', async () => {
      t.match(await app.eventLog.at(shop.scope, topic, beginning + offset), { offset, earliest: 1, isComplete: true })
    })
    t.ok(rowsOf(plan) <= 60, `${rowsOf(plan)} rows were looked at`)
    t.ok(costOf(plan) < 50_000, `a cost of ${costOf(plan)} is far from starting the JIT compiler`)
  })
}

await t.test('a slice of the log reads only what it returns, or searches for a key', async t => {
  const middle = { first: long / 2, last: long, limit: 100 }
  for (const order of ['asc', 'desc'] as const) {
    const plan = await explained(`log_slice_${order}`, async () => {
      const { events, hasMore } = await app.eventLog.slice(shop.scope, 'long.log', { ...middle, order })
      t.strictSame([events.length, events[0]?.offset, hasMore], [100, order === 'asc' ? long / 2 : long, true])
    })
    t.ok(rowsOf(plan) <= 200, `${order}: ${rowsOf(plan)} rows were looked at`)
    const search = { first: long / 2, last: long / 2 + 999, limit: 100, key: 'none' }
    const searched = await explained(`log_slice_${order}_key`, async () => {
      const slice = await app.eventLog.slice(shop.scope, 'long.log', { ...search, order })
      t.strictSame(slice, { events: [], hasMore: false })
    })
    t.ok(rowsOf(searched) <= 1000, `${order}: ${rowsOf(searched)} rows were looked at for a key`)
  }
})

await t.test('counting a span by offset and time reads a few rows', async t => {
  const plan = await explained('log_times', async () => {
    const span = { fromOffset: 101, toOffset: 40_000, from: beginning + 500, to: beginning + 45_000 }
    t.same(await app.eventLog.span(shop.scope, 'long.log', span), { count: 39_501, first: 500, last: 40_000 })
  })
  t.ok(rowsOf(plan) <= 120, `${rowsOf(plan)} rows were looked at`)
})
