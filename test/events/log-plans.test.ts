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

interface PlanNode {
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
    select l.id, n, $1, $2, $3, $3 || n, 'topic.event', 'api', '{}', $5 from grown l, generate_series(1, $4) n`,
  [shop.applicationId, shop.scope.environment, topic, events, Date.now()])
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

await t.test('counting a span reads only the rows of the span', async t => {
  const plan = await explained('log_span', async () => {
    t.match(await app.eventLog.span(shop.scope, 'long.log', { fromOffset: 101, toOffset: 300 }), {
      count: 200, first: 101, last: 300
    })
  })
  t.ok(rowsOf(plan) <= 300, `${rowsOf(plan)} rows were looked at`)
})
