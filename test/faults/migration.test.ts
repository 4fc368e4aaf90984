import { Migrator } from 'kysely'
import t from 'tap'
import { createKysely, createPool } from '../../db/connection.ts'
import { migrations } from '../../db/migrations/index.ts'
import { ensurePartitions } from '../../src/events/partitions.ts'
import { testKey } from '../support/build.ts'
import { createDatabase } from '../support/database.ts'
import { call, made } from '../support/rest.ts'
import { dataFolder, start } from '../support/server-process.ts'
import { administrator } from '../support/shop.ts'
import { steadyPort } from '../support/steady-port.ts'
import type { Teardown } from '../support/teardown.ts'
import { elapse, pace } from '../support/waiting.ts'

/*
 * Several nodes start at once on an empty database, or on the filled database of an older version, while requests
 * arrive. MIGRATION_EVENTS sets the length.
 */

t.setTimeout(600_000)

const eventsCount = Number(process.env['MIGRATION_EVENTS'] ?? 20_000)
const older = '0004-topic-log-ids'
const applicationId = 'app_older'
/** The key that Kysely's migrator locks, as text: a double cannot represent it. */
const kyselyLock = '3853314791062309107'

/** Returns an empty database. */
async function emptyDatabase (t: Teardown): Promise<{ url: string, pool: ReturnType<typeof createPool> }> {
  const url = await createDatabase(t)
  const pool = createPool({ connectionString: url, max: 2 })
  t.teardown(() => pool.end())
  await pool.query('drop schema public cascade; create schema public')
  return { url, pool }
}

/**
 * Starts that many nodes at once and sends them requests until they are ready. Returns their addresses and every
 * status received.
 */
async function startUnderRequests (
  t: Teardown, databaseUrl: string, count: number
): Promise<{ urls: string[], statuses: Map<string, number> }> {
  const ports = await Promise.all(Array.from({ length: count }, () => steadyPort()))
  const statuses = new Map<string, number>()
  const over = new AbortController()
  const asking = Promise.all(
    ports.flatMap(port =>
      ['/health', '/health/ready', '/api/auth/setup-status', '/.well-known/jwks.json'].map(async path => {
        while (!over.signal.aborted) {
          const status = await call('GET', `http://127.0.0.1:${port}${path}`).then(answer =>
            String(answer.status), () =>
            'no connection')
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
          await pace(10)
        }
      })
    )
  )
  try {
    const servers = await Promise.all(ports.map(async port =>
      await start(t, {
        dataDir: await dataFolder(t),
        variables: { DATABASE_URL: databaseUrl, ENCRYPTION_KEY: testKey, PORT: String(port), LOG_LEVEL: 'warn' }
      })
    ))
    return { urls: servers.map(({ address }) => address), statuses }
  } finally {
    over.abort()
    await asking
  }
}

const unexpected = (statuses: Map<string, number>) =>
  [...statuses.keys()].filter(status => !['200', '503', 'no connection'].includes(status))

t.test('three nodes start at once on an empty database', async t => {
  const { url, pool } = await emptyDatabase(t)
  const { urls, statuses } = await startUnderRequests(t, url, 3)
  t.same(unexpected(statuses), [], `each request got a response or 503: ${JSON.stringify([...statuses])}`)
  const { rows } = await pool.query<{ name: string }>('select name from kysely_migration order by name')
  t.same(rows.map(({ name }) => name), Object.keys(migrations), 'each migration ran once')
  t.equal((await pool.query('select 1 from signing_keys')).rowCount, 1, 'they share one signing key')
  for (const url of urls) t.match(await call('GET', `${url}/health/ready`), { status: 200 })
})

t.test('two nodes migrate an older, filled database at the same time', async t => {
  const { url, pool } = await emptyDatabase(t)
  const { error } = await new Migrator({ db: createKysely(pool), provider: { getMigrations: async () => migrations } })
    .migrateTo(older)
  t.equal(error, undefined)
  const now = Date.now()
  await ensurePartitions(pool, now)
  await pool.query(
    "insert into applications (id, name, description, created_at, updated_at) values ($1, $1, '', $2, $2)",
    [applicationId, now]
  )
  await pool.query(
    `insert into topics (application_id, environment, name, description, owner, created_at)
    select $1, 'development', 'old.t' || n, 'd', 'o', $2 from generate_series(1, 500) n`,
    [applicationId, now]
  )
  const { rows: [log] } = await pool.query<{ id: number }>(
    `insert into topic_logs (application_id, environment, topic, epoch, head_offset)
    values ($1, 'development', 'old.t1', 'e', $2) returning id`,
    [applicationId, eventsCount]
  )
  await pool.query(
    `insert into events (log_id, "offset", application_id, environment, topic, id, type, source, payload, created_at)
    select $1, n, $2, 'development', 'old.t1', 'evt_old' || n, 'topic.event', 'api', json_build_object('n', n),
      $3 from generate_series(1, $4::bigint) n`,
    [log?.id, applicationId, now, eventsCount]
  )
  await pool.query("insert into services (application_id, name, created_at, updated_at) values ($1, 'cart', $2, $2)", [
    applicationId, now
  ])
  await pool.query(
    `insert into documents (application_id, environment, service, id, revision, data, deleted, created_at, updated_at)
    select $1, 'development', 'cart', 'd' || n, 3, json_build_object('n', n), false, $2, $2
      from generate_series(1, $3::bigint) n`,
    [applicationId, now, eventsCount]
  )

  const { urls, statuses } = await startUnderRequests(t, url, 2)
  t.same(unexpected(statuses), [], `each request got a response or 503: ${JSON.stringify([...statuses])}`)
  const [one, two] = urls as [string, string]
  const { sessionToken } = await made<{ sessionToken: string }>(
    call('POST', `${one}/api/auth/setup`, { body: administrator })
  )
  const { token } = await made<{ token: string }>(
    call('POST', `${two}/auth/token`, { token: sessionToken, body: { applicationId, permissions: ['admin'] } })
  )
  t.match(await call('GET', `${two}/api/topics/old.t1/events?after=${eventsCount - 1}`, { token }), {
    status: 200,
    body: [{ id: `evt_old${eventsCount}`, offset: eventsCount, payload: { n: eventsCount } }]
  }, 'existing events are there')
  t.match(await call('GET', `${one}/api/sync/cart/documents/d${eventsCount}`, { token }), {
    status: 200,
    body: { revision: 3, data: { n: eventsCount } }
  })
  t.match(await call('POST', `${one}/api/topics/old.t1/events`, { token, body: { payload: 'new' } }), {
    status: 201,
    body: { offset: eventsCount + 1, epoch: 'e' }
  }, 'and the log continues')
  t.match(await call('PATCH', `${two}/api/sync/cart/documents/d1/merge`, { token, body: { data: { m: 1 } } }), {
    status: 200,
    body: { revision: 4, data: { n: 1, m: 1 } }
  })
  t.equal(((await call('GET', `${two}/api/topics?limit=1000`, { token })).body as unknown[]).length, 500)
})

t.test('a node waits for another one to migrate, without a limit', async t => {
  const { url, pool } = await emptyDatabase(t)
  const migrating = await pool.connect()
  await migrating.query('select pg_advisory_lock($1)', [kyselyLock])
  const server = start(t, {
    dataDir: await dataFolder(t), variables: { DATABASE_URL: url, ENCRYPTION_KEY: testKey, LOG_LEVEL: 'warn' }
  })
  const state = { isOver: false }
  void server.then(() => { state.isOver = true }, () => { state.isOver = true })
  // Longer than the statement timeout and Fastify's plugin timeout.
  await elapse(17_000)
  t.notOk(state.isOver, 'it waits')
  await migrating.query('select pg_advisory_unlock($1)', [kyselyLock])
  migrating.release()
  t.match(await call('GET', `${(await server).address}/health/ready`), { status: 200 })
})
