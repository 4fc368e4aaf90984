import cluster from 'node:cluster'
import type { Logger } from 'pino'
import { announcementOf, banner } from './cli/banner.ts'
import { limitHeapGrowth } from './cli/heap-growth.ts'
import { misspelledVariables } from './cli/misspelled-variables.ts'
import { startInDataDir } from './cli/start-in-data-dir.ts'
import { reportStartFailure } from './cli/start-failure.ts'
import { untilStopped, type Running } from './cli/until-stopped.ts'
import type { Announcement } from './cli/worker-protocol.ts'
import { createConfig, readEnvironment, type Config } from './config.ts'
import { createLogger } from './foundation/observability/logger.ts'
import { version } from './foundation/version.ts'

/**
 * Starts the configuration, PostgreSQL and the app, or the workers that run it, in this order. Stops them in reverse,
 * also when a signal arrives during the start or the start fails.
 */
async function main (): Promise<void> {
  limitHeapGrowth()
  if (cluster.isWorker) return (await import('./cli/worker.ts')).runWorker()
  const variables = readEnvironment()
  const config = createConfig(variables)
  const logger = createLogger(config)
  for (const { variable, meant } of misspelledVariables(Object.keys(variables))) {
    logger.warn({ variable, meant }, `config.unknown_variable: ${variable} is not read. Did you mean ${meant}?`)
  }
  await untilStopped({ shutdownTimeoutMs: config.shutdownTimeoutMs, logger }, async running => {
    await startInDataDir(config, logger, running.started)
    const start = config.workers.count === 1 ? startAlone : startWithWorkers
    await start(config, logger, running)
  })
}

// Imported when they are needed: the parent of workers does not load the app.

async function startAlone (config: Config, logger: Logger, { started }: Running): Promise<void> {
  const { startApp } = await import('./cli/start-app.ts')
  const app = await startApp({ config, logger, started })
  announce(config, logger, await announcementOf(app), { nodeId: app.node.id })
}

async function startWithWorkers (config: Config, logger: Logger, { started, fail }: Running): Promise<void> {
  const { startWorkers } = await import('./cli/workers.ts')
  const announcement = await startWorkers({
    config, logger, started,
    onGivenUp () {
      fail(new Error('No worker runs, and none of their replacements starts. The log has the reason of each.'))
    }
  })
  announce(config, logger, announcement, { workers: config.workers.count })
}

/** Prints a banner at a terminal; otherwise writes one log line, at any level but `silent`. */
function announce (config: Config, logger: Logger, announcement: Announcement, fields: object): void {
  if (process.stdout.isTTY && !config.isProduction) {
    process.stdout.write(banner(config, announcement))
    return
  }
  if (logger.level === 'silent') return
  const { url, setupToken } = announcement
  logger.child({}, { level: 'info' }).info({
    version,
    node: process.versions.node,
    ...fields,
    url,
    embeddedDatabase: config.database.embedded,
    ...(setupToken !== undefined && { setupToken })
  }, 'server.ready')
  const { count, cores } = config.workers
  if (count === 1 && cores > 1) {
    logger.info({ cores }, `server.one_process: one process uses one core of ${cores}. WORKERS=${cores} uses them all.`)
  }
}

main().catch((error: unknown) => {
  reportStartFailure(error)
  process.exit(1)
})
