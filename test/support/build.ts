import { join } from 'node:path'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { buildApp } from '../../src/app.ts'
import type { WorkerContext } from '../../src/cluster/ipc/worker-context.ts'
import { createConfig, type Config } from '../../src/config.ts'
import { createDatabase } from './database.ts'
import type { Teardown } from './teardown.ts'

// @fastify/autoload rejects TypeScript files under `node --import tsx` unless this variable is set.
if (import.meta.filename.endsWith('.ts')) process.env['FASTIFY_AUTOLOAD_TYPESCRIPT'] = '1'

export interface BuildOptions {
  variables?: Record<string, string>
  /** Changes settings that have no variable. */
  adapt?: (config: Config) => void
  /** An existing database, so that several apps can share it. */
  databaseUrl?: string
  logger?: FastifyBaseLogger
  /** Given if the app is a worker. */
  worker?: WorkerContext
}

/** `TEST_LOG=debug` shows the app's log. */
const testLogger = process.env['TEST_LOG'] === undefined ? undefined : pino({ level: process.env['TEST_LOG'] })

/** Disables pings: a client that does not read does not answer them, and one on a busy machine answers too late. */
export const unpinged = { pingIntervalMs: 600_000, pongTimeoutMs: 600_000 }

export const testKey = Buffer.alloc(32, 7).toString('base64')

/**
 * Builds an app with its own database, copied from a migrated template. One hook closes the app and drops the database.
 */
export async function build (
  t: Teardown, { variables = {}, adapt, databaseUrl, logger = testLogger, worker }: BuildOptions = {}
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
    // Without the console, even where it is built. Tests of it set the folder.
    CONSOLE_DIR: join(import.meta.dirname, 'no-console'),
    ...variables
  })
  // Tests send faster than the limits allow; tests of the limits set their own.
  Object.assign(config.delivery, { requestsPerSecond: 0, bytesPerSecond: 0 })
  // Tests share a process with the server, so memory limits are off; tests of the limits set their own.
  Object.assign(config.http, { heapUsedBytesMax: Infinity, rssBytesMax: Infinity, externalBytesMax: Infinity })
  // Alerts would be events that other tests do not expect; tests of alerts set a short interval.
  config.alerts.intervalMs = 3_600_000
  // Webhooks of tests must not leave the machine: only names that a test defines resolve.
  config.webhooks.resolve = async hostname => { throw new Error(`no test has defined an address for ${hostname}`) }
  adapt?.(config)
  const app = await buildApp({
    config, ...(logger !== undefined && { logger }), ...(worker !== undefined && { worker })
  })
  t.teardown(() => app.close())
  await app.ready()
  return { app, databaseUrl: url }
}

/** Starts to listen and returns the URL. */
export async function listen (app: FastifyInstance): Promise<string> {
  return await app.listen({ host: '127.0.0.1', port: 0 })
}
