import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import closeWithGrace from 'close-with-grace'
import type { Logger } from 'pino'
import { buildApp } from './app.ts'
import { banner } from './banner.ts'
import { ConfigError, createConfig, readEnvironment, type Config } from './config.ts'
import { EmbeddedDatabase } from './embedded-database.ts'
import { limitHeapGrowth } from './heap.ts'
import { createLogger } from './logger.ts'

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

interface Part { close (): Promise<unknown> }

/** Starts in order: configuration, PostgreSQL, the app. Stops in reverse, also when it is told to while it starts, or cannot. */
async function main (): Promise<void> {
  limitHeapGrowth()
  const config = createConfig(readEnvironment())
  const logger = createLogger(config)
  const started: Part[] = []
  const stop = async () => { for (const part of started.splice(0).reverse()) await part.close() }
  let isStopping = false

  const { close } = closeWithGrace({ delay: config.shutdownTimeoutMs, logger, skip: [...stopSignals] }, async ({ err }) => {
    isStopping = true
    if (err !== undefined) logger.fatal({ err }, 'server.crashed')
    await stop()
  })
  // Not by close-with-grace, which ends the process in disorder at a second signal: one Ctrl-C comes twice under npm, from
  // the terminal and passed on.
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
    // What stops has been pulled from under what was starting.
    if (isStopping) return
    await stop()
    throw error
  }
}

async function start (config: Config, logger: Logger, started: Part[]): Promise<void> {
  if (config.encryptionKeys.length === 0) config.encryptionKeys = [await developmentKey(config.database.dataDir)]
  if (config.database.url === undefined) {
    const database = new EmbeddedDatabase({
      dataDir: config.database.dataDir,
      databases: ['realtime', 'demo'],
      log: (level, message, { err, ...fields } = {}) => logger[level]({ postgres: fields, ...(err !== undefined && { err }) }, message)
    })
    started.push(database)
    config.database.url = (await database.start()).connectionString('realtime')
  }
  const app = await buildApp({ config, logger })
  started.push({
    async close () {
      await app.moveAway()
      await app.close()
    }
  })
  await app.listen({ host: config.http.host, port: config.http.port })
  process.stdout.write(await banner(app))
}

/** Made once and kept: secrets stored in development stay readable after a restart. */
async function developmentKey (dataDir: string): Promise<Buffer> {
  const file = join(dataDir, 'encryption-key')
  await mkdir(dataDir, { recursive: true })
  try {
    await writeFile(file, randomBytes(32).toString('base64'), { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return Buffer.from(await readFile(file, 'utf8'), 'base64')
}

main().catch((error: unknown) => {
  const message = error instanceof ConfigError ? error.message : error instanceof Error ? error.stack : String(error)
  process.stderr.write(`${message}\n`)
  process.exit(1)
})
