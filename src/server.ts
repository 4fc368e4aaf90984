import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import closeWithGrace from 'close-with-grace'
import { startEmbeddedPostgres } from '../db/embedded-postgres.ts'
import { buildApp } from './app.ts'
import { banner } from './banner.ts'
import { ConfigError, createConfig, readEnvironment } from './config.ts'
import { createLogger } from './logger.ts'

/** Starts in order: configuration, PostgreSQL, the app. Stops in reverse. */
async function main (): Promise<void> {
  const config = createConfig(readEnvironment())
  const logger = createLogger(config)
  const started: { close (): Promise<unknown> }[] = []
  let isStopping = false

  closeWithGrace({ delay: config.shutdownTimeoutMs, logger }, async ({ signal, err }) => {
    isStopping = true
    if (err !== undefined) logger.fatal({ err }, 'server.crashed')
    logger.info({ signal }, 'server.stopping')
    for (const part of started.reverse()) await part.close()
  })

  if (config.encryptionKeys.length === 0) config.encryptionKeys = [await developmentKey(config.database.dataDir)]
  if (config.database.url === undefined) {
    const postgres = await startEmbeddedPostgres({
      dataDir: config.database.dataDir,
      databases: ['realtime', 'demo'],
      log: (level, message, fields) => logger[level]({ postgres: fields }, message),
      onExit: (code, exitSignal) => { if (!isStopping) logger.error({ code, signal: exitSignal }, 'postgres.exited') }
    })
    started.push({ close: () => postgres.stop() })
    config.database.url = postgres.connectionString('realtime')
  }
  const app = await buildApp({ config, logger })
  started.push(app)
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
