import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import type { DatabaseConnection } from '../../schemas/database.ts'
import type { RealtimeEvent } from '../../schemas/events.ts'
import { testKey } from '../support/build.ts'
import { withDatabase } from '../support/database.ts'
import { startTestPostgres } from '../support/postgres.ts'
import { call, made } from '../support/rest.ts'
import { dataFolder, postmasterPid, start } from '../support/server-process.ts'
import { setUp } from '../support/shop.ts'
import { elapse, pace, until } from '../support/waiting.ts'

/*
 * Each mapped change is in the log exactly once, in the order of commits, whichever process is killed meanwhile. A
 * trigger on the tables records the expected changes. CDC_KILLS, CDC_CONNECTIONS and CDC_TRANSACTIONS set the length.
 */

const kills = Number(process.env['CDC_KILLS'] ?? 1)
const connections = Number(process.env['CDC_CONNECTIONS'] ?? 6)
const transactions = Number(process.env['CDC_TRANSACTIONS'] ?? 400)

t.setTimeout(300_000 + kills * 90_000)

const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)
const topic = 'item.changed'

/** A change as recorded by the trigger or an event. */
interface Change {
  how: string
  id: number
  n: number
}
const keyOf = ({ how, id, n }: Change) => `${how} ${id} ${n}`

const tables = `
  create table items (id bigint primary key, n bigint not null, wanted boolean not null);
  alter table items replica identity full;
  create sequence numbers;
  create table witnessed (how text, id bigint, n bigint);
  create function witness () returns trigger language plpgsql as $$
  begin
    if tg_op = 'DELETE' then
      if old.wanted then insert into witnessed values ('delete', old.id, old.n); end if;
    elsif new.wanted then
      insert into witnessed values (lower(tg_op), new.id, new.n);
    end if;
    return null;
  end $$;
  create trigger witness after insert or update or delete on items for each row execute function witness();`

async function openClient (url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  client.on('error', () => {})
  await client.connect()
  return client
}

async function query<T extends pg.QueryResultRow> (url: string, text: string): Promise<T[]> {
  const client = await openClient(url)
  try {
    return (await client.query<T>(text)).rows
  } finally {
    await client.end()
  }
}

/**
 * Runs mixed transactions on that many connections, until `isOver` and the number is reached. Reopens lost connections
 * until `ended`.
 */
async function load (
  url: string, { isOver, ended }: { isOver: () => boolean, ended: AbortSignal }
): Promise<{ committed: number, broken: number }> {
  const done = { committed: 0, broken: 0 }
  await Promise.all(
    upTo(connections).map(async own => {
      let client: pg.Client | undefined
      let last = own * 10_000_000
      for (let i = 0; !isOver() || (done.committed < transactions && !ended.aborted); i++) {
        try {
          client ??= await openClient(url)
          await client.query('begin')
          for (let step = Math.floor(Math.random() * 3); step >= 0; step--) {
            const kind = Math.random()
            const id = own * 10_000_000 + Math.floor(Math.random() * (last - own * 10_000_000 + 1))
            if (kind < 0.5) {
              await client.query("insert into items values ($1, nextval('numbers'), $2)", [++last, Math.random() < 0.8])
            } else if (kind < 0.85) {
              await client.query("update items set n = nextval('numbers') where id = $1", [id])
            } else await client.query('delete from items where id = $1', [id])
          }
          const isCommitted = i % 10 !== 9
          await client.query(isCommitted ? 'commit' : 'rollback')
          if (isCommitted) { done.committed++ }
          // Slow enough that the kill hits live writes instead of a backlog.
          await pace(connections * 4)
        } catch (error) {
          // The database was killed: whether the last transaction was committed is unknown.
          if ((error as { code?: string }).code === '23505') throw error
          done.broken++
          await client?.end().catch(() => {})
          client = undefined
          await pace(50)
        }
      }
      await client?.end()
    })
  )
  return done
}

/** Resolves when that many more changes were recorded. The database may be unavailable meanwhile. */
async function moreWitnessed (url: string, count: number): Promise<void> {
  const read = () =>
    query<{ count: string }>(url, 'select count(*) from witnessed').then(([row]) => Number(row?.count), () => undefined)
  let before: number | undefined
  await until(
    async () => {
      const now = await read()
      before ??= now
      return now !== undefined && now >= (before ?? now) + count
    },
    `${count} more changes`,
    60_000
  )
}

async function connect (url: string, token: string, connectionString: string): Promise<void> {
  await made(call('POST', `${url}/api/topics`, { token, body: { name: topic, description: 'A test', owner: 'tests' } }))
  await made(call('PUT', `${url}/api/database/connection`, { token, body: { connectionString } }))
  await until(
    async () =>
      (await made<DatabaseConnection>(call('GET', `${url}/api/database/connection`, { token }))).state === 'streaming',
    'the stream'
  )
  const mapping = {
    table: 'items', topic, events: ['insert', 'update', 'delete'],
    payload: { how: '$event.operation', id: '$row.id', n: '$row.n' }, when: { eq: { wanted: true } }
  }
  const { id: mappingId } = await made<{ id: string }>(
    call('POST', `${url}/api/database/mappings`, { token, body: mapping })
  )
  await made(call('POST', `${url}/api/database/subscriptions`, { token, body: { mappingId } }))
}

/** Returns the topic's log once it has the expected number of events. */
async function readLog (url: string, token: string, count: number): Promise<RealtimeEvent[]> {
  const events: RealtimeEvent[] = []
  await until(
    async () => {
      for (;;) {
        const page = await call(
          'GET',
          `${url}/api/topics/${topic}/events?limit=1000&after=${events.at(-1)?.offset ?? 0}`,
          { token }
        )
        if (page.status !== 200) return false
        events.push(...page.body as RealtimeEvent[])
        if ((page.body as RealtimeEvent[]).length < 1000) return events.length >= count
      }
    },
    () => `${count} events; ${events.length} came`,
    90_000
  )
  return events
}

async function verify (t: Tap, { url, token, source }: { url: string, token: string, source: string }): Promise<void> {
  const witnessed = (await query<{ how: string, id: string, n: string }>(source, 'select how, id, n from witnessed'))
    .map(({ how, id, n }) => ({ how, id: Number(id), n: Number(n) }))
  const events = await readLog(url, token, witnessed.length)
  const changes = events.map(event => event.payload as Change)
  const lsns = events.map(event =>
    (event.meta as { lsn: string }).lsn.split('/').map(part => part.padStart(8, '0')).join('/')
  )
  t.same(changes.map(keyOf).sort(), witnessed.map(keyOf).sort(), `each of ${witnessed.length} changes once`)
  t.same(lsns.findIndex((lsn, i) => i > 0 && lsn < (lsns[i - 1] as string)), -1, 'in the order of commits')
  const lastOf = new Map<number, number>()
  t.same(
    changes.filter(({ id, n, how }) => {
      const isBack = n < (lastOf.get(id) ?? 0) || (how === 'update' && n === lastOf.get(id))
      lastOf.set(id, n)
      return isBack
    }),
    [],
    'and the changes of a row in their order'
  )
  t.same(events.map(event => event.offset), upTo(events.length))
  await until(
    async () => (await made<DatabaseConnection>(call('GET', `${url}/api/database/connection`, { token }))).lagMs === 0,
    'no lag'
  )
}
type Tap = Pick<typeof t, 'same'>

t.test('the server is killed repeatedly', async t => {
  const postgres = await startTestPostgres({ isDurable: true })
  t.teardown(() => postgres.stop())
  await query(postgres.url, 'create database source')
  const source = withDatabase(postgres.url, 'source')
  await query(source, tables)
  const dataDir = await dataFolder(t)
  const options = { dataDir, variables: { DATABASE_URL: postgres.url, ENCRYPTION_KEY: testKey } }
  let startedAt = Date.now()
  let server = await start(t, options)
  const { token } = await setUp(server.address)
  await connect(server.address, token, source)

  let isOver = false
  const ending = new AbortController()
  const loading = load(source, { isOver: () => isOver, ended: ending.signal })
  // Stops the writers however the test ends.
  t.teardown(() => {
    isOver = true
    ending.abort()
  })
  for (let round = 0; round < kills; round++) {
    await moreWitnessed(source, 50 + Math.floor(Math.random() * 100))
    // Waits until this server streams: the last status of the previous one, whose lease still runs, does not count.
    await until(
      async () => {
        const { state, since } = await made<DatabaseConnection>(
          call('GET', `${server.address}/api/database/connection`, { token })
        )
        return state === 'streaming' && since >= startedAt
      },
      'the stream',
      60_000
    )
    await elapse(Math.random() * 300)
    server.kill('SIGKILL')
    await server.exit
    startedAt = Date.now()
    server = await start(t, options)
  }
  isOver = true
  const { committed, broken } = await loading
  t.equal(broken, 0)
  t.ok(committed >= transactions, `${committed} transactions, ${kills} kills, ${connections} connections`)
  await verify(t, { url: server.address, token, source })
})

t.test('PostgreSQL, which is platform database and source in one, is killed', async t => {
  const dataDir = await dataFolder(t)
  const server = await start(t, { dataDir })
  const { token } = await setUp(server.address)
  const source = await demoUrl(dataDir)
  await query(source, tables)
  await connect(server.address, token, source)
  let isOver = false
  const ending = new AbortController()
  const loading = load(source, { isOver: () => isOver, ended: ending.signal })
  // Stops the writers however the test ends.
  t.teardown(() => {
    isOver = true
    ending.abort()
  })
  for (let round = 0; round < Math.max(1, Math.floor(kills / 2)); round++) {
    await moreWitnessed(source, 100)
    const pid = await postmasterPid(dataDir)
    process.kill(pid as number, 'SIGKILL')
    await until(async () => (await postmasterPid(dataDir) ?? pid) !== pid, 'another postmaster')
  }
  isOver = true
  const { committed, broken } = await loading
  t.ok(broken > 0, `${committed} transactions, ${broken} broken connections`)
  t.ok(server.isRunning)
  await verify(t, { url: server.address, token, source })
})

/** Creates the source in a second database of the embedded server. */
async function demoUrl (dataDir: string): Promise<string> {
  const [password, pidFile] = await Promise.all([
    readFile(join(dataDir, 'postgres-password'), 'utf8'), readFile(join(dataDir, 'postgres/postmaster.pid'), 'utf8')
  ])
  return `postgres://postgres:${password.trim()}@127.0.0.1:${pidFile.split('\n')[3] as string}/demo`
}
