import { ParentLink } from '../cluster/ipc/parent-link.ts'
import { ConfigError, createConfig, readEnvironment } from '../config.ts'
import { createLogger } from '../foundation/observability/logger.ts'
import { announcementOf } from './banner.ts'
import { onPassed, passOn } from './pass-connection.ts'
import { startApp } from './start-app.ts'
import { StartError } from './start-failure.ts'
import { untilStopped } from './until-stopped.ts'
import { openLink, type Beginning, type StartFailure } from './worker-protocol.ts'

const parentAnswerMs = 60_000

/** Runs one of the processes of WORKERS. Its parent starts the database and makes the secrets of a first run. */
export async function runWorker (): Promise<void> {
  const parent = new ParentLink(openLink())
  try {
    await run(parent)
  } catch (error) {
    await parent.ask('failed', JSON.stringify(failureOf(error)), parentAnswerMs)
    process.exit(1)
  }
}

async function run (parent: ParentLink): Promise<void> {
  const answer = await parent.ask('begin', '', parentAnswerMs)
  if (answer === undefined) throw new StartError('The parent process of this worker does not answer.')
  const { worker: name, databaseUrl, encryptionKeys, poolMax, setupToken, shutdownTimeoutMs, folder } = JSON.parse(
    answer
  ) as Beginning
  const config = createConfig(readEnvironment())
  Object.assign(config.database, { url: databaseUrl, poolMax })
  config.encryptionKeys = encryptionKeys.map(key => Buffer.from(key, 'base64'))
  config.auth.setupToken = setupToken
  config.shutdownTimeoutMs = shutdownTimeoutMs
  const logger = createLogger(config).child({ worker: name })
  let stoppingToo = 0

  // The terminal sends Ctrl-C to the workers as well. The parent then stops them in order.
  await untilStopped({ shutdownTimeoutMs, logger, ignored: ['SIGINT', 'SIGHUP'] }, async ({ started, stop }) => {
    parent.on('stop', others => {
      stoppingToo = Number(others)
      stop()
      return ''
    })
    const app = await startApp({
      config, logger, started, stoppingToo: () => stoppingToo,
      worker: { name, parent, folder, passOn, onPassed }
    })
    logger.info({ nodeId: app.node.id }, 'worker.ready')
    await parent.ask('ready', JSON.stringify(await announcementOf(app)), parentAnswerMs)
  })
}

function failureOf (error: unknown): StartFailure {
  const isExplained = error instanceof StartError || error instanceof ConfigError
  const { message, stack = message } = error instanceof Error ? error : new Error(String(error))
  return { reason: isExplained ? message : stack, isExplained }
}
