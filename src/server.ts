import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { dirname, join, resolve } from 'node:path'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { buildApp } from './app.ts'
import { banner, listeningUrl } from './cli/banner.ts'
import { createConfig, readEnvironment, type Config } from './config.ts'
import { EmbeddedDatabase } from './cli/embedded-database.ts'
import { limitHeapGrowth } from './cli/heap-growth.ts'
import { createLogger } from './foundation/observability/logger.ts'
import { misspelledVariables } from './cli/misspelled-variables.ts'
import { dataDirFailure, databaseFailure, listenFailure, reportStartFailure } from './cli/start-failure.ts'
import { version } from './foundation/version.ts'

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

interface Part { close (): Promise<unknown> }

/**
 * Starts the configuration, PostgreSQL and the app in this order. Stops them in reverse, also when a signal arrives
 * during the start or the start fails.
 */
async function main (): Promise<void> {
  limitHeapGrowth()
  const variables = readEnvironment()
  const config = createConfig(variables)
  const logger = createLogger(config)
  for (const { variable, meant } of misspelledVariables(Object.keys(variables))) {
    logger.warn({ variable, meant }, `config.unknown_variable: ${variable} is not read. Did you mean ${meant}?`)
  }
  const started: Part[] = []
  const stop = async () => { for (const part of started.splice(0).reverse()) await part.close() }
  let isStopping = false

  const { close } = closeWithGrace(
    { delay: config.shutdownTimeoutMs, logger, skip: [...stopSignals] },
    async ({ err }) => {
      isStopping = true
      if (err !== undefined) logger.fatal({ err }, 'server.crashed')
      await stop()
    }
  )
  // Signals are handled here because close-with-grace kills the process at the second one, and npm passes a Ctrl-C on
  // that the terminal has already sent.
  for (const signal of stopSignals) {
    process.on(signal, () => {
      if (isStopping) return
      isStopping = true
      logger.info({ signal }, 'server.stopping')
      void close()
    })
  }
  try {
    await start(config, logger, started)
  } catch (error) {
    // A stop during the start makes the start fail: that is no error.
    if (isStopping) return
    await stop()
    throw error
  }
}

async function start (config: Config, logger: Logger, started: Part[]): Promise<void> {
  await startInDataDir(config, logger, started)
  const app = await prepare(config, logger)
  started.push({
    async close () {
      await app.moveAway()
      await app.close()
    }
  })
  await listen(app)
  await announce(app, logger)
}

/** Builds the app, which migrates the database. */
async function prepare (config: Config, logger: Logger): Promise<FastifyInstance> {
  try {
    return await buildApp({ config, logger })
  } catch (error) {
    throw databaseFailure(error, config.database.url ?? '')
  }
}

async function listen (app: FastifyInstance): Promise<void> {
  const { http } = app.config
  try {
    await app.listen({ host: http.host, port: http.port })
  } catch (error) {
    throw listenFailure(error, http)
  }
}

/**
 * Prepares what DATA_DIR holds: the development key and the embedded PostgreSQL, each unless a variable replaces it.
 */
async function startInDataDir (config: Config, logger: Logger, started: Part[]): Promise<void> {
  const { dataDir, url } = config.database
  try {
    if (url === undefined || config.encryptionKeys.length === 0) await makeFolder(resolve(dataDir))
    if (config.encryptionKeys.length === 0) config.encryptionKeys = [await developmentKey(dataDir)]
    if (url !== undefined) return
    const database = new EmbeddedDatabase({
      dataDir,
      databases: ['realtime', 'demo'],
      log: (level, message, { err, ...fields } = {}) =>
        logger[level]({ postgres: fields, ...(err !== undefined && { err }) }, message)
    })
    started.push(database)
    config.database.url = (await database.start()).connectionString('realtime')
  } catch (error) {
    throw dataDirFailure(error, dataDir)
  }
}

/** Prints a banner at a terminal; otherwise writes one log line, at any level but `silent`. */
async function announce (app: FastifyInstance, logger: Logger): Promise<void> {
  if (process.stdout.isTTY && !app.config.isProduction) {
    process.stdout.write(await banner(app))
    return
  }
  if (logger.level === 'silent') return
  const { setup } = app
  const setupToken = await setup.isRequired() ? setup.token : undefined
  logger.child({}, { level: 'info' }).info({
    version,
    node: process.versions.node,
    nodeId: app.node.id,
    url: listeningUrl(app),
    embeddedDatabase: app.config.database.embedded,
    ...(setupToken !== undefined && { setupToken })
  }, 'server.ready')
}

/**
 * Creates a folder with its parents, one by one: `mkdir` with `recursive` never returns where the file system refuses a
 * folder with ENOENT, such as below /proc.
 */
async function makeFolder (path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory() === true) return
  if (found === undefined && dirname(path) !== path) await makeFolder(dirname(path))
  await mkdir(path).catch(async (error: unknown) => {
    // Another process may have been faster.
    if ((await stat(path).catch(() => undefined))?.isDirectory() !== true) throw error
  })
}

/**
 * Returns the development key, which is generated once and kept, so that stored secrets stay readable after a restart.
 */
async function developmentKey (dataDir: string): Promise<Buffer> {
  const file = join(dataDir, 'encryption-key')
  try {
    await writeFile(file, randomBytes(32).toString('base64'), { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return Buffer.from(await readFile(file, 'utf8'), 'base64')
}

main().catch((error: unknown) => {
  reportStartFailure(error)
  process.exit(1)
})
