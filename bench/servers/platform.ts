import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { buildApp } from '../../src/app.ts'
import { limitHeapGrowth } from '../../src/cli/heap-growth.ts'
import { createConfig } from '../../src/config.ts'
import { system } from '../../src/identity/audit/origin.ts'
import { createLogger } from '../../src/foundation/observability/logger.ts'
import { tenant, type Tenant } from '../../test/support/tenant.ts'
import { answerCalls } from '../children.ts'
import { cpuSeconds, memoryBytes, vitals } from './usage.ts'

/*
 * The platform as deployed, with authentication, tenancy and metrics. Only the limits of requests and connections are
 * disabled.
 */

let app: FastifyInstance
let own: Tenant

limitHeapGrowth()

async function start (
  databaseUrl: string, variables: Record<string, string> = {}
): Promise<{ url: string, token: string, applicationId: string }> {
  const config = createConfig({
    DATABASE_URL: databaseUrl,
    ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
    RATE_LIMIT_MAX: '0',
    CONNECTIONS_PER_ADDRESS_MAX: '0',
    LOG_LEVEL: 'error',
    WEBHOOK_ALLOW_PRIVATE: 'true',
    ...variables
  })
  config.database.poolMax = 10
  config.delivery.requestsPerSecond = 0
  config.delivery.bytesPerSecond = 0
  app = await buildApp({ config, logger: createLogger(config) })
  // Minimal routes, with and without authentication.
  for (const permission of ['public', 'authenticated'] as const) {
    app.get(
      `/bench/${permission === 'public' ? 'open' : 'guarded'}`,
      { config: { permission } },
      async () => ({ status: 'ok' })
    )
  }
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  own = await tenant(app)
  return { url, token: own.token(), applicationId: own.applicationId }
}

/** Documents `d0`, `d1`, … of the service `bench`. */
async function seedDocuments (count: number, data: Record<string, unknown>): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, i) => app.documents.create(own.scope, 'bench', { id: `d${i}`, data }))
  )
}

/**
 * Adds documents from `d<from>` to below `d<to>` directly to the table, because millions would take hours through the
 * API.
 */
async function growDocuments (from: number, to: number): Promise<void> {
  if (from === 0) await app.documents.create(own.scope, 'bench', { id: 'first', data: {} })
  await inSteps(from, to, (first, last) =>
    app.pool.query({
      text:
        `insert into documents (application_id, environment, service, id, revision, data, deleted, created_at,
        updated_at)
      select $1, $2, 'bench', 'd' || n, 1, $3, false, $4, $4 from generate_series($5::bigint, $6::bigint) n`,
      values: [own.applicationId, own.scope.environment, documentText, Date.now(), first, last]
    }))
  await app.pool.query('analyze documents')
}

const documentText = JSON.stringify({
  status: 'active', participants: 4, title: 'The quick brown fox jumps over the lazy dog', tags: ['a', 'b', 'c'],
  owner: { id: 'usr_0123456789abcdef' }
})

/** The time of the first grown event, and the pause between two: 20 million spread over less than one partition. */
const grownFrom = Date.now() - 5 * 3_600_000
const grownEveryMs = 0.8

/** Fills a topic's log up to at least that many events, directly in the table. Returns the time of the middle one. */
async function growLog (topic: string, to: number): Promise<number> {
  const { head } = await app.eventLog.position(own.scope, topic)
  const key = [own.applicationId, own.scope.environment, topic]
  await app.pool.query(
    'insert into topic_logs (application_id, environment, topic, epoch, head_offset) values ($1, $2, $3, $4, 0) on ' +
      'conflict do nothing',
    [...key, app.epochOf(own.scope, topic)]
  )
  await inSteps(head + 1, to + 1, (first, last) =>
    app.pool.query({
      text:
        `insert into events (log_id, "offset", application_id, environment, topic, id, type, source, payload,
        created_at)
      select l.id, n, $1, $2, $3, 'evt_grown' || n, 'topic.event', 'api', $4, $5 + floor(n * $8::float8)::bigint
      from topic_logs l, generate_series($6::bigint, $7::bigint) n
      where l.application_id = $1 and l.environment = $2 and l.topic = $3`,
      values: [...key, documentText, grownFrom, first, last, grownEveryMs]
    }))
  await app.pool.query(
    'update topic_logs set head_offset = greatest(head_offset, $4) where application_id = $1 and environment = $2 ' +
      'and topic = $3',
    [...key, to]
  )
  await app.pool.query('analyze events')
  return grownFrom + Math.floor(to / 2 * grownEveryMs)
}

/** A statement has a limit of 15 s. */
async function inSteps (
  from: number, to: number, insert: (first: number, last: number) => Promise<unknown>
): Promise<void> {
  const step = 100_000
  for (let first = from; first < to; first += step) await insert(first, Math.min(first + step, to) - 1)
}

/** Returns the counts that prove that no event was lost. */
async function documentTotals (): Promise<
  { revisions: number, updates: number, distinctOffsets: number, head: number }
> {
  const { rows: [documents] } = await app.pool.query<{ revisions: number }>(
    'select sum(revision) - count(*) as revisions from documents where application_id = $1', [own.applicationId])
  const log = await logTotals('sync.bench.updated')
  return { revisions: documents?.revisions ?? NaN, updates: log.events, ...log }
}

async function logTotals (topic: string): Promise<{ events: number, distinctOffsets: number, head: number }> {
  const { rows: [log] } = await app.pool.query<{ events: number, distinctOffsets: number, head: number }>(`
    select count(*)::float as events, count(distinct e."offset")::float as "distinctOffsets",
      max(l.head_offset)::float as head
    from topic_logs l join events e on e.log_id = l.id and e."offset" between 1 and l.head_offset
    where l.application_id = $1 and l.topic = $2`, [own.applicationId, topic])
  return log ?? { events: NaN, distinctOffsets: NaN, head: NaN }
}

/** Returns the number of traced events, after pending traces are stored. */
async function tracedEvents (topic: string): Promise<number> {
  await app.tracing.recorder.flush()
  const { rows: [traces] } = await app.pool.query<{ events: number }>(
    'select coalesce(sum(events), 0)::float as events from event_traces ' +
      "where application_id = $1 and topic = $2 and outcome = 'stored'",
    [own.applicationId, topic]
  )
  return traces?.events ?? NaN
}

/** Waits for work that a round left after its last response, so that it does not run in the next round. */
async function settle (): Promise<void> {
  while (app.eventWriter.health().depth > 0) await sleep(1)
  await app.tracing.recorder.flush()
  await sleep(5)
}

/** Stops this server's readers, as if another node held their leases. Resolves when they have stopped. */
async function holdReaders (isHeld: boolean): Promise<void> {
  await app.pool.query(isHeld
    ? "update cdc_positions set lease_owner = 'bench', lease_expires_at = 'infinity', fence = fence + 1"
    : "update cdc_positions set lease_owner = null where lease_owner = 'bench'")
  const slots = 'select count(*) = 0 as is_over from pg_replication_slots where active and slot_name like \'realtime%\''
  for (let isOver = !isHeld; !isOver;) {
    isOver = (await app.pool.query<{ is_over: boolean }>(slots)).rows[0]?.is_over === true
    await sleep(10)
  }
}

const headSql =
  'select coalesce(max(head_offset), 0)::float as head from topic_logs where application_id = $1 and topic = $2'

/** Resolves when the topic has that many events. */
async function reached (topic: string, head: number): Promise<void> {
  while ((await app.pool.query<{ head: number }>(headSql, [own.applicationId, topic])).rows[0]?.head !== head) {
    await sleep(20)
  }
}

/** The share of each reading's time in which this process's main thread was busy. */
const busyShares: number[] = []

/**
 * Starts the readers, and returns how many of the last `total` events were stored per second, from the first to the
 * last.
 */
async function readingRate (topic: string, head: number, total: number): Promise<number> {
  const before = performance.eventLoopUtilization()
  await holdReaders(false)
  await reached(topic, head)
  busyShares.push(performance.eventLoopUtilization(before).utilization)
  const { rows: [row] } = await app.pool.query<{ ms: number, later: number }>(`
    select (max(created_at) - min(created_at))::float as ms,
      (count(*) filter (where created_at > first))::float as later
    from (select created_at, min(created_at) over () as first from events e join topic_logs l on l.id = e.log_id
      where l.application_id = $1 and l.topic = $2 and e."offset" > $3) e`, [own.applicationId, topic, head - total])
  return row === undefined ? NaN : row.later / row.ms * 1000
}

/** Creates webhooks for one topic. */
async function makeWebhooks (urls: string[], topic: string): Promise<void> {
  for (const url of urls) {
    await app.webhooks.endpoints.create(
      own.scope, { url, events: ['topic.event'], topics: [topic] }, undefined, system, undefined
    )
  }
}

/** Disables webhooks without notifying the writer, which continues to write deliveries, so that a backlog builds up. */
async function holdWebhooks (isHeld: boolean): Promise<void> {
  await app.pool.query('update webhooks set active = $1 where application_id = $2', [!isHeld, own.applicationId])
  if (!isHeld) app.webhooks.dispatcher.wake()
}

async function publishMany (topic: string, payload: unknown, count: number): Promise<void> {
  for (let left = count; left > 0; left -= 500) {
    await app.publisher.publish(own.scope, topic, {
      events: Array.from({ length: Math.min(left, 500) }, () => ({ payload }))
    })
  }
}

/** Publishes events at an interval, each with its send time. */
async function publishPaced (topic: string, count: number, everyMs: number): Promise<void> {
  const start = performance.now()
  const published: Promise<unknown>[] = []
  for (let i = 0; i < count; i++) {
    while (performance.now() < start + i * everyMs) await sleep(1)
    published.push(app.publisher.publish(own.scope, topic, { payload: { sentAt: Date.now() } }))
  }
  await Promise.all(published)
}

async function webhookTotals (): Promise<{ delivered: number, attempts: number, open: number }> {
  const { rows: [totals] } = await app.pool.query<{ delivered: number, attempts: number, open: number }>(`select
    (select count(*) from webhook_deliveries where application_id = $1 and state = 'delivered') as delivered,
    (select count(*) from webhook_attempts where application_id = $1) as attempts,
    (select count(*) from webhook_deliveries where application_id = $1 and state = 'pending') +
      (select count(*) from webhook_outbox) as open`,
  [own.applicationId]
  )
  return totals ?? { delivered: NaN, attempts: NaN, open: NaN }
}

async function webhooksSettled (): Promise<void> {
  while ((await webhookTotals()).open > 0) await sleep(20)
}

/** Stores the counts of the metric series, as at the end of a minute. */
const storeSeries = () => app.metricSeries.recorder.flush()

/** Returns the number of events that the metric series has counted. */
async function seriesTotal (): Promise<number> {
  const { rows: [row] } = await app.pool.query<{ total: number }>(
    `select coalesce(sum(received), 0) as total from metric_minutes
    where application_id = $1 and environment = $2 and kind = 'topic'`,
    [own.applicationId, own.scope.environment]
  )
  return row?.total ?? NaN
}

/** Creates another application with a topic, and a quota of events per second if one is given. Returns its token. */
async function makeNeighbour (topic: string, publishesPerSecond: number | null): Promise<string> {
  const neighbour = await tenant(app)
  await neighbour.topic(topic)
  await app.pool.query('insert into application_quotas (application_id, publishes_per_second) values ($1, $2)', [
    neighbour.applicationId, publishesPerSecond
  ])
  await app.quotas.limits.refresh()
  return neighbour.token()
}

const stopDispatcher = () => app.webhooks.dispatcher.close()

const methods = {
  holdReaders,
  reached,
  readingRate,
  busyShares: () => busyShares,
  makeNeighbour,
  makeWebhooks,
  holdWebhooks,
  publishMany,
  publishPaced,
  webhookTotals,
  webhooksSettled,
  stopDispatcher,
  storeSeries,
  seriesTotal,
  start,
  seedDocuments,
  growDocuments,
  growLog,
  documentTotals,
  logTotals,
  tracedEvents,
  settle,
  cpuSeconds,
  memoryBytes,
  vitals,
  registerTopic: async (name: string) => own.topic(name)
}
export type PlatformServer = typeof methods
answerCalls(methods, async () => { await app.close() })
