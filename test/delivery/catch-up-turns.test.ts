import t from 'tap'
import { pagesAtOnce } from '../../src/delivery/catch-up.ts'
import { build, listen } from '../support/build.ts'
import { transports } from '../support/clients.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

t.setTimeout(120_000)

const { app } = await build(t)
const url = await listen(app)
const topics = Array.from({ length: 2 * pagesAtOnce.all }, (_, i) => `order.p${i}`)
const [greedy, other] = [await tenant(app), await tenant(app)]
for (const shop of [greedy, other]) {
  for (const topic of topics) {
    await shop.topic(topic)
    await shop.publish(topic, 1)
  }
}

/** Holds the reads of one application's log until it is opened, and counts them. */
function holdReads (applicationId: string) {
  const { pool } = app
  const { query } = pool
  let open = () => {}
  const opened = new Promise<void>(resolve => { open = resolve })
  const held = { reads: 0, open }
  pool.query = (async (statement: { name?: string, values?: unknown[] }) => {
    if (statement.name === 'log_page' && statement.values?.[0] === applicationId) {
      held.reads++
      await opened
    }
    return await (query as (statement: object) => Promise<unknown>).call(pool, statement)
  }) as typeof pool.query
  return { ...held, held, restore: () => { pool.query = query } }
}

for (const { name, connect } of transports) {
  await t.test(`${name}: catch-ups of one application do not delay those of another`, async t => {
    const { held, open, restore } = holdReads(greedy.applicationId)
    t.teardown(restore)
    /** Connects a client for each topic, because a client gets one page at a time. */
    const readersOf = async ({ token }: { token: () => string }) => await Promise.all(topics.map(async topic => {
      const client = await connect(url, { token: token() })
      t.teardown(() => { client.close() })
      t.match(await client.request('subscribe', { topic, after: 0 }), { ok: true, recovered: true })
      return client
    }))
    const waiting = await readersOf(greedy)
    await until(() => held.reads === pagesAtOnce.ofApplication)
    for (const reader of await readersOf(other)) await reader.received(1)
    t.equal(held.reads, pagesAtOnce.ofApplication)
    t.same(waiting.flatMap(({ events }) => events), [])
    open()
    for (const reader of waiting) await reader.received(1)
  })
}
