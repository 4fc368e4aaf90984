import { Redis } from 'ioredis'
import pg from 'pg'
import { pino } from 'pino'
import t from 'tap'
import { readDatabaseIdentity } from '../../src/foundation/database-identity.ts'
import { build, listen } from '../support/build.ts'
import { transports } from '../support/clients.ts'
import { createDatabase, withDatabase } from '../support/database.ts'
import { startRedis } from '../support/redis.ts'
import type { Teardown } from '../support/teardown.ts'
import { tenant } from '../support/tenant.ts'
import { until } from '../support/waiting.ts'

/*
 * Production and a staging copy of its database on one Redis: the same applications, topics, epochs and signing keys.
 */

const redis = await startRedis(t)
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)

async function query<T extends pg.QueryResultRow> (url: string, text: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<T>(text)).rows
  } finally {
    await client.end()
  }
}

/** Copies a database within its server. The original must have no connections. */
async function copyDatabase (t: Teardown, url: string): Promise<string> {
  const original = new URL(url).pathname.slice(1)
  const copy = `${original}_copy`
  await query(withDatabase(url, 'postgres'), `create database ${copy} template ${original}`)
  t.teardown(async () => { await query(withDatabase(url, 'postgres'), `drop database ${copy} with (force)`) })
  return withDatabase(url, copy)
}

/** Collects the lines that an app logs. */
function logLines () {
  const lines: Record<string, unknown>[] = []
  return { lines, logger: pino({ level: 'info' }, { write: (line: string) => { lines.push(JSON.parse(line)) } }) }
}

t.test('two deployments on one Redis', { skip: redis === undefined && 'redis-server is not installed' }, async t => {
  if (redis === undefined) return
  const productionUrl = await createDatabase(t)
  const seeding = await build(t, { databaseUrl: productionUrl })
  const shop = await tenant(seeding.app)
  const topic = await shop.topic('order.placed')
  await shop.publish(topic, { n: 1 })
  await seeding.app.close()
  const stagingUrl = await copyDatabase(t, productionUrl)

  const { lines, logger } = logLines()
  // One node of staging uses another database number, which publish and subscribe ignore.
  const variables = { RATE_LIMIT_MAX: '20' }
  const { app: production } = await build(t, {
    databaseUrl: productionUrl, logger, variables: { ...variables, REDIS_URL: redis.url }
  })
  const { app: other } = await build(t, {
    databaseUrl: productionUrl, variables: { ...variables, REDIS_URL: redis.url }
  })
  const { app: staging } = await build(t, {
    databaseUrl: stagingUrl,
    variables: { ...variables, REDIS_URL: `${redis.url}/1` }
  })
  await build(t, { databaseUrl: stagingUrl, variables: { ...variables, REDIS_URL: redis.url } })
  const url = await listen(production)
  const token = shop.token()
  const publish = (app: typeof production, n: number, to = topic) =>
    app.inject({
      method: 'POST',
      url: `/api/topics/${to}/events`,
      headers: { authorization: `Bearer ${token}` },
      payload: { payload: { n } }
    })

  await t.test('an event of staging never reaches a subscriber of production', async t => {
    for (const { name, connect } of transports) {
      const client = await connect(url, { token })
      const { offset } = await client.request('subscribe', { topic })
      const pattern = await connect(url, { token })
      await pattern.request('subscribe', { topic: '**' })
      t.match((await publish(staging, -1)).statusCode, 201)
      t.match((await publish(other, 1)).statusCode, 201)
      for (const one of [client, pattern]) {
        const [first] = await one.received(1)
        t.match(first, { offset: offset + 1, payload: { n: 1 } }, `${name}: production's own event`)
        one.close()
      }
    }
  })

  await t.test('each deployment has its own nodes, rate limits and invalidations', async t => {
    const others = () => [production, staging].map(({ cluster }) => cluster.peers.count)
    await until(() => others().every(count => count > 0), 'the other node of each')
    t.same(others(), [1, 1], 'each has two nodes, staging whatever the number of its Redis database')
    const statuses = await Promise.all(
      upTo(21).map(() => staging.inject({ url: '/api/topics', headers: { authorization: `Bearer ${token}` } }))
    )
    t.ok(statuses.some(({ statusCode }) => statusCode === 429), 'staging has used up its budget')
    t.equal(
      (await production.inject({ url: '/api/topics', headers: { authorization: `Bearer ${token}` } })).statusCode,
      200
    )
  })

  await t.test('every key and channel carries the identity of the database', async t => {
    const client = new Redis(redis.url)
    t.teardown(() => client.disconnect())
    const names = [...await client.keys('*'), ...await client.pubsub('CHANNELS') as string[]].filter(name =>
      name !== 'realtime:deployments'
    )
    const identities = await Promise.all([production.pool, staging.pool].map(readDatabaseIdentity))
    t.ok(names.length > 4, 'keys and channels exist')
    for (const name of names) t.ok(identities.some(identity => name.startsWith(`realtime:${identity}:`)), name)
  })

  await t.test('the other deployment is logged, once', async t => {
    const heard = () => lines.filter(({ msg }) => msg === 'cluster.foreign_deployment')
    await until(() => heard().length > 0)
    t.match(heard(), [{
      level: 40, foreign: await readDatabaseIdentity(staging.pool),
      deployment: await readDatabaseIdentity(production.pool)
    }])
    t.equal(heard().length, 1)
  })
})

t.test('every name begins with REDIS_PREFIX, which keeps clones of a database apart', {
  skip: redis === undefined && 'redis-server is not installed'
}, async t => {
  if (redis === undefined) return
  const databaseUrl = await createDatabase(t)
  const [blue, green] = await Promise.all(
    ['blue:', 'green:'].map(REDIS_PREFIX =>
      build(t, { databaseUrl, variables: { REDIS_URL: redis.url, REDIS_PREFIX } })
    )
  )
  if (blue === undefined || green === undefined) throw new Error('no nodes')
  t.equal(blue.app.cluster.peers.count, 0)
  t.equal(green.app.cluster.peers.count, 0)
  const client = new Redis(redis.url)
  t.teardown(() => client.disconnect())
  const names = await client.pubsub('CHANNELS') as string[]
  t.ok(names.some(name => name.startsWith('blue:realtime:')))
  t.ok(names.every(name => /^(blue|green):realtime:/.test(name)), names.join())
})

t.test('the identity of a database', async t => {
  const url = await createDatabase(t)

  await t.test('is the system identifier and the oid of the database', async t => {
    const pool = new pg.Pool({ connectionString: url, max: 1 })
    t.match(await readDatabaseIdentity(pool), /^\d{15,20}\.\d+$/)
    await pool.end()
  })

  await t.test('without permission to read the system identifier it is stable, and differs for copies', async t => {
    const role = `restricted_${process.pid}`
    await query(url, `
      create role ${role} login password 'x';
      revoke execute on function pg_control_system() from public;
      grant select on epoch_seed to ${role}`
    )
    const asRole = new pg.Pool({
      connectionString: Object.assign(new URL(url), { username: role, password: 'x' }).href, max: 1
    })
    const identity = await readDatabaseIdentity(asRole)
    t.match(identity, /^[0-9a-f]{24}$/)
    await query(url, 'vacuum (full, freeze) epoch_seed')
    t.equal(await readDatabaseIdentity(asRole), identity, 'VACUUM does not change it')
    // Restoring a dump creates the table and inserts the row again.
    await query(url, `
      create table restored (like epoch_seed including all); insert into restored select * from epoch_seed;
      grant select on restored to ${role};
      alter table epoch_seed rename to original; alter table restored rename to epoch_seed`)
    t.not(await readDatabaseIdentity(asRole), identity)
    await query(url, 'drop table epoch_seed; alter table original rename to epoch_seed')
    t.equal(await readDatabaseIdentity(asRole), identity)
    await asRole.end()
    const copyUrl = await copyDatabase(t, url)
    await query(copyUrl, 'revoke execute on function pg_control_system() from public')
    const ofCopy = new pg.Pool({
      connectionString: Object.assign(new URL(copyUrl), { username: role, password: 'x' }).href, max: 1
    })
    t.not(await readDatabaseIdentity(ofCopy), identity)
    await ofCopy.end()
    for (const one of [url, copyUrl]) await query(one, `drop owned by ${role}`)
    await query(url, `drop role ${role}`)
  })
})
