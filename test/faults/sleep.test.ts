import t from 'tap'
import type { DatabaseConnection } from '../../schemas/database.ts'
import type { RealtimeEvent } from '../../schemas/events.ts'
import type { Readiness } from '../../schemas/health.ts'
import { createDatabase } from '../support/database.ts'
import { startNodeProcesses } from '../support/node-processes.ts'
import { Publisher } from '../support/publisher.ts'
import { startRedis } from '../support/redis.ts'
import { call, made } from '../support/rest.ts'
import { openShop } from '../support/shop.ts'
import { createSource } from '../support/source-database.ts'
import { arrived, Subscriber } from '../support/subscriber.ts'
import { elapse, pace, until } from '../support/waiting.ts'
import { receiver } from '../support/webhook-receiver.ts'

/*
 * A node that reads a database and sends webhooks is stopped (SIGSTOP) for longer than all its leases, then continues.
 * SLEEP_SECONDS=30 is the long form.
 */

// The longest lease is that of a webhook: twice its timeout plus five seconds.
const seconds = Number(process.env['SLEEP_SECONDS'] ?? 12)
t.setTimeout(180_000 + seconds * 1000)

const rowTopic = 'item.changed'
const keys = 8
const redis = await startRedis(t)

t.test(`a node that sleeps for ${seconds} s does none of the work again that others took over`, {
  skip: redis === undefined && 'redis-server is not installed'
}, async t => {
  if (redis === undefined) return
  const source = await createSource(t)
  await source.sql('create table items (id bigint primary key)')
  const endpoint = await receiver(t, (_received, response) => { setTimeout(() => response.writeHead(200).end(), 3) })
  const nodes = await startNodeProcesses(t, 2, {
    databaseUrl: await createDatabase(t),
    redisUrl: redis.url,
    variables: {
      WEBHOOK_ALLOW_PRIVATE: 'true', WEBHOOK_TIMEOUT_MS: '2500', WEBHOOK_RETRY_SCHEDULE: '100ms,100ms,100ms'
    }
  })
  const shop = await openShop(nodes[0].url)
  const { token, topic } = shop
  const [first] = nodes
  await made(
    call('POST', `${first.url}/api/topics`, { token, body: { name: rowTopic, description: 'Rows', owner: 'tests' } })
  )
  await made(call('PUT', `${first.url}/api/database/connection`, { token, body: { connectionString: source.url } }))
  await until(
    async () =>
      (await made<DatabaseConnection>(call('GET', `${first.url}/api/database/connection`, { token }))).state ===
        'streaming',
    'the stream'
  )
  const { id: mappingId } = await made<{ id: string }>(
    call('POST', `${first.url}/api/database/mappings`, {
      token,
      body: { table: 'items', topic: rowTopic, events: ['insert'], payload: { n: '$row.id', at: 0 } }
    })
  )
  await made(call('POST', `${first.url}/api/database/subscriptions`, { token, body: { mappingId } }))
  await made(
    call('POST', `${first.url}/api/webhooks`, {
      token,
      body: { url: endpoint.url, events: ['topic.event'], topics: [topic], ordering: 'key' }
    })
  )

  const readersOf = async (node: typeof first) =>
    ((await call('GET', `${node.url}/health/ready`)).body as Readiness).components['cdc']?.depth ?? 0
  const sleeper = await readersOf(nodes[0]) === 1 ? nodes[0] : nodes[1]
  const other = sleeper === nodes[0] ? nodes[1] : nodes[0]
  const subscribers = await Promise.all(
    nodes.flatMap(({ url }) => [topic, rowTopic].map(topic => new Subscriber({ token, topic }, () => url).start()))
  )
  t.teardown(() => {
    for (const subscriber of subscribers) subscriber.stop()
  })

  const over = new AbortController()
  t.teardown(() => over.abort())
  let rows = 0
  const inserting = (async () => {
    while (!over.signal.aborted) {
      await source.sql('insert into items values ($1)', [rows + 1])
      rows++
      await pace(5)
    }
  })()
  const events = async (topic: string, after = 0) =>
    await made<RealtimeEvent[]>(
      call('GET', `${other.url}/api/topics/${topic}/events?limit=1000&after=${after}`, { token })
    )
  const publisher = new Publisher(shop, () => other.url).start({ atOnce: 4, pauseMs: 10, keys })
  await endpoint.came(100)
  await until(() => rows > 100, 'rows')

  sleeper.server.kill('SIGSTOP')
  const stoppedAt = performance.now()
  const [received, seen] = [endpoint.received.length, rows]
  await until(async () => (await events(rowTopic, seen + 50)).length > 0, 'the other node to read the database', 60_000)
  const readAfterMs = Math.round(performance.now() - stoppedAt)
  await until(
    () => new Set(endpoint.received.slice(received).map(({ body }) => body.data.key)).size === keys,
    'every key to go on', 60_000
  )
  const keysAfterMs = Math.round(performance.now() - stoppedAt)
  await elapse(Math.max(0, seconds * 1000 - (performance.now() - stoppedAt)))
  const resumedFrom = endpoint.received.length
  sleeper.server.kill('SIGCONT')
  await endpoint.came(resumedFrom + 100)
  await until(async () => await readersOf(sleeper) + await readersOf(other) === 1, 'one to read')
  const [acknowledged, inserted] = [publisher.acknowledged, rows]
  await until(() => publisher.acknowledged >= acknowledged + 100 && rows >= inserted + 100, 'work of both nodes')
  over.abort()
  await inserting
  await publisher.stop()

  await arrived(t, subscribers.filter((_, i) => i % 2 === 0), publisher.acknowledged)
  await arrived(t, subscribers.filter((_, i) => i % 2 === 1), rows)
  const changes: RealtimeEvent[] = []
  while (changes.length < rows) changes.push(...await events(rowTopic, changes.length))
  t.same(
    changes.map(({ payload }) => (payload as { n: number }).n),
    Array.from({ length: rows }, (_, i) => i + 1),
    `each of ${rows} rows is in the log once, in order`
  )

  await until(
    () => new Set(endpoint.received.map(({ id }) => id)).size === publisher.acknowledged, 'every webhook', 60_000
  )
  const lanes = new Map<string, number[]>()
  for (const { body } of endpoint.received) {
    lanes.set(String(body.data.key), [...lanes.get(String(body.data.key)) ?? [], body.data.offset])
  }
  t.same(
    [...lanes.values()].filter(offsets => offsets.some((offset, i) => i > 0 && offset < (offsets[i - 1] as number))),
    [], 'within a key nothing arrives after a later event'
  )
  const ids = endpoint.received.map(({ id }) => id)
  const before = new Set(ids.slice(0, resumedFrom))
  t.same(ids.slice(resumedFrom).filter(id => before.has(id)), [], 'work that was taken over is not repeated')
  // Up to one per lane in flight at the stop, and one more if this process, the endpoint, responded too late.
  t.ok(
    ids.length - new Set(ids).size <= 2 * keys,
    `${ids.length - new Set(ids).size} of ${ids.length} webhooks were sent twice: those in flight at the stop`
  )
  t.comment(
    `stopped for ${seconds} s: the other node read on after ${readAfterMs} ms ` +
      `and had sent for every key after ${keysAfterMs} ms; ${publisher.acknowledged} events, ${rows} rows`
  )
})
