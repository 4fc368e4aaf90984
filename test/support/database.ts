import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { migrateToLatest } from '../../db/migrate.ts'
import { migrations } from '../../db/migrations/index.ts'
import { startTestPostgres } from './postgres.ts'
import type { Teardown } from './teardown.ts'

/**
 * Creates a migrated database, which is dropped after the test: after all later teardowns, because tap runs them in
 * reverse.
 */
export async function createDatabase (t: Teardown): Promise<string> {
  const server = await serverUrl(t)
  const template = await ensureTemplate(server)
  const name = `rt_test_${process.pid}_${randomBytes(4).toString('hex')}`
  await withClient(server, client => client.query(`create database ${name} template ${template}`))
  t.teardown(() => withClient(server, client => client.query(`drop database if exists ${name} with (force)`)))
  return withDatabase(server, name)
}

/** Returns a view of a pool that calls `onQuery` before each query. The query rejects with what `onQuery` throws. */
export function watched (pool: pg.Pool, onQuery: () => void): pg.Pool {
  const query = async (...values: unknown[]): Promise<unknown> => {
    onQuery()
    return await Reflect.apply(pool.query, pool, values)
  }
  return new Proxy(pool, { get: (target, name) => name === 'query' ? query : Reflect.get(target, name) })
}

export function withDatabase (serverUrl: string, database: string): string {
  const url = new URL(serverUrl)
  url.pathname = `/${database}`
  return url.href
}

async function withClient<T> (url: string, work: (client: pg.Client) => Promise<T>): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}

let ownServer: Promise<string> | undefined

/** Returns the server that `npm test` started for all files; a file that runs alone starts one. */
function serverUrl (t: Teardown): Promise<string> {
  const given = process.env['TEST_DATABASE_URL']
  if (given !== undefined) return Promise.resolve(given)
  ownServer ??= startServer(t)
  return ownServer
}

async function startServer (t: Teardown): Promise<string> {
  const server = await startTestPostgres()
  // A file may build several apps one after the other, so the server ends with the process.
  let users = 0
  t.teardown(() => { if (users++ === 0) process.once('beforeExit', () => { void server.stop() }) })
  return server.url
}

let template: Promise<string> | undefined

/** Returns the template for the current migrations, created by its first user. */
function ensureTemplate (server: string): Promise<string> {
  template ??= createTemplate(server)
  return template
}

async function createTemplate (server: string): Promise<string> {
  const name = `rt_template_${Object.keys(migrations).length}_${process.env['TEST_RUN'] ?? process.pid}`
  await withClient(server, async client => {
    await client.query('select pg_advisory_lock(7331)')
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [name])
    if (rowCount !== 0) return
    await client.query(`create database ${name}_new`)
    await migrateToLatest(withDatabase(server, `${name}_new`))
    await client.query(`alter database ${name}_new rename to ${name}`)
  })
  return name
}
