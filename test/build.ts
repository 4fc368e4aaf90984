import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import pg from 'pg'
import { pino } from 'pino'
import { startEmbeddedPostgres } from '../db/embedded-postgres.ts'
import { migrateToLatest } from '../db/migrate.ts'
import { migrations } from '../db/migrations/index.ts'
import { buildApp } from '../src/app.ts'
import { createConfig, type Config } from '../src/config.ts'

// @fastify/autoload rejects TypeScript files under `node --import tsx` unless this variable is set.
if (import.meta.filename.endsWith('.ts')) process.env['FASTIFY_AUTOLOAD_TYPESCRIPT'] = '1'

/** The part of tap's test object that clean-up requires. */
export interface Teardown { teardown (work: () => Promise<void> | void): void }

export interface BuildOptions {
  variables?: Record<string, string>
  /** Changes settings that have no variable. */
  adapt?: (config: Config) => void
  /** An existing database, so that several apps can share it. */
  databaseUrl?: string
  logger?: FastifyBaseLogger
}

/** `TEST_LOG=debug` shows the app's log. */
const testLogger = process.env['TEST_LOG'] === undefined ? undefined : pino({ level: process.env['TEST_LOG'] })

export const testKey = Buffer.alloc(32, 7).toString('base64')

/**
 * Builds an app with its own database, copied from a migrated template. One hook closes the app and drops the database.
 */
export async function build (
  t: Teardown, { variables = {}, adapt, databaseUrl, logger = testLogger }: BuildOptions = {}
) {
  const url = databaseUrl ?? await createDatabase(t)
  const config = createConfig({
    DATABASE_URL: url,
    ENCRYPTION_KEY: testKey,
    PORT: '0',
    RATE_LIMIT_MAX: '0',
    RATE_LIMIT_UNAUTHORIZED_MAX: '0',
    CONNECTIONS_PER_ADDRESS_MAX: '0',
    LOG_LEVEL: 'silent',
    ...variables
  })
  // Tests send faster than the limits allow; tests of the limits set their own.
  Object.assign(config.delivery, { requestsPerSecond: 0, bytesPerSecond: 0 })
  // Tests share a process with the server, so memory limits are off; tests of the limits set their own.
  Object.assign(config.http, { heapUsedBytesMax: Infinity, rssBytesMax: Infinity, externalBytesMax: Infinity })
  // Webhooks of tests must not leave the machine: only names that a test defines resolve.
  config.webhooks.resolve = async hostname => { throw new Error(`no test has defined an address for ${hostname}`) }
  adapt?.(config)
  const app = await buildApp({ config, ...(logger !== undefined && { logger }) })
  t.teardown(() => app.close())
  await app.ready()
  return { app, databaseUrl: url }
}

/** Starts to listen and returns the URL. */
export async function listen (app: FastifyInstance): Promise<string> {
  return await app.listen({ host: '127.0.0.1', port: 0 })
}

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

/** Starts a cluster in a temporary folder. Tests that kill it keep it durable. */
export async function startTestPostgres (
  { isDurable = false, settings = {} }: { isDurable?: boolean, settings?: Record<string, string> } = {}
) {
  const dataDir = await mkdtemp(join(tmpdir(), 'realtime-test-'))
  await chmod(dataDir, 0o755)
  const server = await startEmbeddedPostgres({
    dataDir,
    databases: ['realtime'],
    log: () => {},
    settings: { ...(!isDurable && { fsync: 'off', full_page_writes: 'off', synchronous_commit: 'off' }), ...settings }
  })
  return {
    url: server.connectionString('realtime'),
    async stop () {
      await server.stop()
      await rm(dataDir, { recursive: true, force: true })
    }
  }
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
