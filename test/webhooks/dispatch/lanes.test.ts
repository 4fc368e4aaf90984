import pg from 'pg'
import t from 'tap'
import { createQueue, type Result } from '../../../src/webhooks/dispatch/queue.ts'
import type { Claimed } from '../../../src/webhooks/dispatch/claim.ts'
import { createDatabase } from '../../support/database.ts'
import type { Teardown } from '../../support/teardown.ts'
import { tenant } from '../../support/tenant.ts'
import { until } from '../../support/waiting.ts'
import { deliveriesOf, hook, node, publishKeyed, upTo } from '../../support/webhooks.ts'

/* Lanes as the queue sees them, without a dispatcher. */

t.setTimeout(300_000)
const databaseUrl = await createDatabase(t)
const { app } = await node(t, databaseUrl)
await app.webhooks.dispatcher.close()
const queue = createQueue({ pool: app.pool })
const leaseMs = 60_000

/** Creates an ordered webhook with one event for each key, and returns what a node can do with its deliveries. */
async function ordered (keys: string[], each = 1) {
  const shop = await tenant(app)
  await shop.topic('a.one')
  const { id } = await hook(shop, 'http://127.0.0.1:9/', { ordering: 'key' })
  await publishKeyed(shop, 'a.one', keys, each)
  // A list of deliveries expands the outbox first.
  await deliveriesOf(shop)
  const settle = async ({ seq, fence, event_id: eventId }: Claimed, more: Partial<Result> = {}) =>
    await queue.settle([{
      seq, fence, webhookId: id, isLaned: true, event: { scope: shop.scope, id: eventId, timestamp: 0 },
      state: 'delivered', nextAt: app.clock.now(), failures: 0, success: true, statusCode: 200, error: null,
      responseBody: null, responseHeaders: null, sentAt: null, durationMs: 1, url: '', ...more
    }], app.clock.now())
  return {
    shop,
    settle,
    claim: async (slots = 10, now = app.clock.now()) =>
      (await queue.claim([{ webhookId: id, slots }], { now, leaseUntil: now + leaseMs, owner: 'n' })).claimed,
    publish: async (key: string) => { await publishKeyed(shop, 'a.one', [key], 1); await deliveriesOf(shop) },
    lanes: async () =>
      (await app.pool.query<{ lane: string }>('select lane from webhook_lanes where webhook_id = $1 order by 1', [id]))
        .rows.map(({ lane }) => lane)
  }
}

const keysOf = (claimed: Claimed[]) => claimed.map(({ lane }) => lane).sort()

await t.test('one delivery of a lane is in flight; the next follows, and the last takes the lane with it', async t => {
  const { claim, settle, lanes, publish } = await ordered(['a', 'b'], 2)
  const first = await claim()
  t.strictSame(keysOf(first), ['a', 'b'])
  t.strictSame(await claim(), [], 'both lanes are leased')
  for (const one of first) await settle(one)
  const second = await claim()
  t.strictSame(keysOf(second), ['a', 'b'])
  t.ok(second.every(({ offset }, i) => offset > (first[i]?.offset ?? NaN)))
  for (const one of second) await settle(one)
  t.strictSame(await lanes(), [])
  await publish('b')
  t.strictSame(await lanes(), ['b'])
  t.strictSame(keysOf(await claim()), ['b'])
})

await t.test('a lane that was served queues behind the others', async t => {
  const { claim, settle } = await ordered(['a', 'b', 'c'], 2)
  const served: (string | null)[] = []
  for (let i = 0; i < 6; i++) {
    const [one] = await claim(1) as [Claimed]
    served.push(one.lane)
    await settle(one)
  }
  t.strictSame(served.slice(0, 3).sort(), ['a', 'b', 'c'])
  t.strictSame(served.slice(3), served.slice(0, 3))
})

await t.test('a retry holds its lane until it is due', async t => {
  const { claim, settle } = await ordered(['a'], 2)
  const [failed] = await claim() as [Claimed]
  const dueAt = app.clock.now() + 3_600_000
  await settle(failed, { state: 'pending', nextAt: dueAt, failures: 1, success: false })
  t.strictSame(await claim(), [])
  const [again] = await claim(10, dueAt) as [Claimed]
  t.equal(again.seq, failed.seq)
})

await t.test('an expired lease frees the lane, and its holder changes nothing any more', async t => {
  const { claim, settle } = await ordered(['a'], 2)
  const [late] = await claim() as [Claimed]
  const later = app.clock.now() + leaseMs
  const [taken] = await claim(10, later) as [Claimed]
  t.equal(taken.seq, late.seq)
  t.equal((await settle(late)).size, 0)
  t.strictSame(await claim(10, later), [], 'the lane stays leased')
  t.equal((await settle(taken)).size, 1)
  t.equal((await claim(10, later)).length, 1)
})

await t.test('a released delivery is the next of its lane', async t => {
  const { claim } = await ordered(['a'], 2)
  const [first] = await claim() as [Claimed]
  await queue.release([first])
  t.equal((await claim())[0]?.seq, first.seq)
})

await t.test('a retried delivery of a waiting lane and a redriven one without a lane are claimed', async t => {
  const { claim, settle, lanes, shop } = await ordered(['a'])
  const [failed] = await claim() as [Claimed]
  await settle(failed, { state: 'pending', nextAt: app.clock.now() + 3_600_000, failures: 1 })
  const [{ id } = { id: '' }] = await deliveriesOf(shop)
  await shop.request('POST', `/api/webhooks/deliveries/${id}/retry`)
  const [retried] = await claim() as [Claimed]
  await settle(retried, { state: 'dead', failures: 2 })
  t.strictSame(await lanes(), [])
  t.match((await shop.request('POST', '/api/webhooks/redrive', {})).body, { redriven: 1 })
  const [redriven] = await claim() as [Claimed]
  t.equal(redriven.seq, failed.seq)
})

await t.test('a lane whose delivery expired is deleted by a claim, and does not hide others', async t => {
  const { claim, lanes, shop } = await ordered(upTo(20).map(String))
  await app.pool.query('delete from webhook_deliveries where application_id = $1 and key <> $2', [
    shop.applicationId, '7'
  ])
  let claimed: Claimed[] = []
  await until(async () => {
    claimed = await claim(3)
    return claimed.length > 0
  }, 'the lane with a delivery')
  t.strictSame(keysOf(claimed), ['7'])
  await until(async () => {
    await claim()
    return (await lanes()).length === 1
  }, 'the others to be deleted')
})

/** Adds a delivery to the lane in a transaction that the caller ends. */
async function adding (t: Teardown, seq: number): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  t.teardown(() => client.end())
  await client.query('begin')
  await client.query(
    `insert into webhook_deliveries (application_id, environment, webhook_id, event_id, event_type, topic, log_id,
      "offset", event_at, key, lane, next_at, created_at)
    select application_id, environment, webhook_id, event_id, event_type, topic, log_id, "offset", event_at, key, lane,
      next_at, created_at from webhook_deliveries where seq = $1`,
    [seq]
  )
  return client
}

await t.test('a delivery that is added while the last one is settled keeps the lane', async t => {
  const { claim, settle, lanes } = await ordered(['a'])
  const [last] = await claim() as [Claimed]
  const client = await adding(t, last.seq)
  const settling = settle(last)
  await until(
    async () =>
      (await app.pool.query("select from pg_locks where not granted and locktype = 'transactionid'")).rowCount === 1,
    'the result to wait for the lane'
  )
  await client.query('commit')
  t.equal((await settling).size, 1)
  t.strictSame(await lanes(), ['a'])
  t.equal((await claim()).length, 1, 'the added one is claimed')
})

await t.test('a lane is not claimed while a delivery is added, and a claim that empties it loses none', async t => {
  const { claim, lanes, shop } = await ordered(['a'])
  const { rows: [row] } = await app.pool.query<{ seq: number }>(
    'select seq from webhook_deliveries where application_id = $1', [shop.applicationId]
  )
  const client = await adding(t, row?.seq ?? 0)
  await app.pool.query('delete from webhook_deliveries where seq = $1', [row?.seq])
  t.strictSame(await claim(), [])
  await client.query('commit')
  t.strictSame(await lanes(), ['a'])
  t.equal((await claim()).length, 1)
})
