import t from 'tap'
import { dropExpiredPartitions, ensurePartitions, partitionMs } from '../../src/events/partitions.ts'
import { build, listen } from '../support/build.ts'
import { transports, type Client, type Received } from '../support/clients.ts'
import { tenant, type Tenant } from '../support/tenant.ts'

/* Subscribing from a time on. */

t.setTimeout(120_000)

const { app } = await build(t)
const url = await listen(app)
/** The start of a partition, some partitions ago. */
const origin = (Math.floor(Date.now() / partitionMs) - 3) * partitionMs
for (let i = 0; i < 3; i++) await ensurePartitions(app.pool, origin + i * partitionMs)

const offsets = (events: readonly Received[]) => events.map(({ offset }) => offset)
const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

/** Writes a log of 30 events directly, ten in each of three partitions, one a minute. */
async function fill (shop: Tenant, topic: string): Promise<void> {
  await app.pool.query(
    `
    with log as (
      insert into topic_logs (application_id, environment, topic, epoch, head_offset, head_at)
      values ($1, 'development', $2, 'e', 30, $3::bigint + 2 * $4 + 540000) returning *)
    insert into events (log_id, "offset", application_id, environment, topic, id, type, source, payload, created_at)
    select l.id, n, $1, 'development', $2, $1 || $2 || n, 'topic.event', 'api', to_json(n),
      $3::bigint + ((n - 1) / 10) * $4::bigint + ((n - 1) % 10) * 60000
    from log l, generate_series(1, 30) n`,
    [shop.applicationId, topic, origin, partitionMs]
  )
}

const timeOf = (offset: number) => origin + Math.floor((offset - 1) / 10) * partitionMs + ((offset - 1) % 10) * 60_000

/**
 * Subscribes, and returns the answer and the first events up to a marker that is published afterwards. Topics of a
 * pattern have no common order, so that the marker of one may overtake events of another: `count` waits for them.
 */
async function subscribe (
  client: Client, shop: Tenant, fields: { topic: string, since: number }, marker: string, count = 1
) {
  const before = client.events.length
  const answer = await client.request('subscribe', fields)
  const [{ offset: end } = { offset: NaN }] = await shop.publish(marker, 'now')
  // By its offset: the past may have markers of earlier calls.
  const isOver = () => client.events.slice(before).some(({ topic, offset }) => topic === marker && offset === end)
  while (!isOver() || client.events.length - before < count) await client.received(client.events.length + 1)
  await client.request('unsubscribe', { subscriptionId: answer.subscriptionId })
  return { answer, events: client.events.slice(before) }
}

for (const { name, connect } of transports) {
  await t.test(`${name}: a subscription starts with the first event at or after a time`, async t => {
    const shop = await tenant(app)
    const topic = await shop.topic('order.placed')
    await fill(shop, topic)
    const client = await connect(url, { token: shop.token() })
    let head = 30
    for (
      const [since, first] of [
        [timeOf(15), 15], [timeOf(15) - 1, 15], [timeOf(15) + 1, 16], [timeOf(10) + 1, 11], [timeOf(21), 21], [0, 1],
        [timeOf(1), 1]
      ] as const
    ) {
      const { answer, events } = await subscribe(client, shop, { topic, since }, topic)
      t.match(answer, { ok: true, offset: first - 1, recovered: true, epoch: 'e' }, String(since))
      t.strictSame(offsets(events), upTo(++head, first))
    }
    const { answer, events } = await subscribe(client, shop, { topic, since: Date.now() + 60_000 }, topic)
    t.match(answer, { offset: head, recovered: true }, 'a time in the future starts live')
    t.strictSame(offsets(events), [head + 1])
    client.close()
  })

  await t.test(`${name}: a pattern starts every topic at the time`, async t => {
    const shop = await tenant(app)
    for (const topic of ['order.placed', 'order.paid']) await fill(shop, await shop.topic(topic))
    await shop.publish(await shop.topic('order.late'), 1)
    const client = await connect(url, { token: shop.token() })
    const { answer, events } = await subscribe(client, shop, { topic: 'order.*', since: timeOf(29) }, 'order.late', 6)
    t.match(answer, {
      ok: true, recovered: true, offsets: { 'order.placed': 28, 'order.paid': 28, 'order.late': 0 }
    })
    t.strictSame(
      ['order.placed', 'order.paid', 'order.late'].map(of => offsets(events.filter(({ topic }) => topic === of))),
      [[29, 30], [29, 30], [1, 2]]
    )
    client.close()
  })

  await t.test(`${name}: since is refused beside another start, and for anything that is no time`, async t => {
    const shop = await tenant(app)
    const topic = await shop.topic('order.placed')
    const client = await connect(url, { token: shop.token() })
    for (
      const fields of [
        { topic, since: 1, after: 0 }, { topic, since: 1, rewind: 1 }, { topic: 'order.*', since: 1, rewind: 1 },
        { topic: 'order.*', since: 1, after: { [topic]: 0 } }, { topic, since: -1 }, { topic, since: 1.5 },
        { topic, since: '1' }, { topic, since: null }, { topic, since: 2 ** 53 }
      ]
    ) {
      t.match(await client.request('subscribe', fields), {
        ok: false, error: 'ValidationError', message: /\/since/, details: [{ path: '/since' }]
      }, JSON.stringify(fields))
    }
    t.match(await client.request('subscribe', { topic, since: 1 }), { ok: true, offset: 0, recovered: true })
    client.close()
  })
}

await t.test('a log whose last event has an unknown time is not recovered', async t => {
  const shop = await tenant(app)
  const [topic, empty] = [await shop.topic('order.placed'), await shop.topic('stock.moved')]
  await fill(shop, topic)
  await app.pool.query('delete from events where application_id = $1', [shop.applicationId])
  // The state after migration 0023, if retention had dropped all events before it.
  await app.pool.query('update topic_logs set head_at = 0 where application_id = $1', [shop.applicationId])
  for (const { name, connect } of transports) {
    const client = await connect(url, { token: shop.token() })
    for (const since of [0, 1, timeOf(5), Date.now() + 60_000]) {
      const what = `${name}, ${since}`
      t.match(await client.request('subscribe', { topic, since }), { offset: 30, recovered: false }, what)
      t.match(await client.request('subscribe', { topic: 'order.*', since }), { recovered: false }, what)
      t.match(await client.request('subscribe', { topic: empty, since }), { offset: 0, recovered: true }, what)
    }
    client.close()
  }
  await shop.publish(topic, 31)
  for (const { name, connect } of transports) {
    const client = await connect(url, { token: shop.token() })
    t.match(await client.request('subscribe', { topic, since: timeOf(5) }), { offset: 30, recovered: false }, name)
    t.match(
      await client.request('subscribe', { topic, since: Date.now() + 60_000 }), { offset: 31, recovered: true }, name
    )
    client.close()
  }
})

await t.test('a time before the oldest retained event starts there, and is not recovered', async t => {
  const shop = await tenant(app)
  const topic = await shop.topic('order.placed')
  await fill(shop, topic)
  await dropExpiredPartitions(app.pool, origin + partitionMs, 0)
  for (const { name, connect } of transports) {
    const client = await connect(url, { token: shop.token() })
    for (const since of [timeOf(5), timeOf(11)]) {
      t.match(await client.request('subscribe', { topic, since }), { offset: 10, recovered: false }, name)
      t.match(await client.request('subscribe', { topic: 'order.*', since }), { recovered: false }, name)
    }
    t.match(await client.request('subscribe', { topic, since: timeOf(11) + 1 }), { offset: 11, recovered: true }, name)
    client.close()
  }
  await app.pool.query('delete from events where application_id = $1', [shop.applicationId])
  for (const { name, connect } of transports) {
    const client = await connect(url, { token: shop.token() })
    t.match(await client.request('subscribe', { topic, since: timeOf(30) }), { offset: 30, recovered: false }, name)
    t.match(
      await client.request('subscribe', { topic, since: timeOf(30) + 1 }), { offset: 30, recovered: true },
      'the log has no later event'
    )
    client.close()
  }
})
