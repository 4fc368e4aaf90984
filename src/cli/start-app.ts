import type { Logger } from 'pino'
import { buildApp } from '../app.ts'
import type { WorkerContext } from '../cluster/ipc/worker-context.ts'
import type { Config } from '../config.ts'
import { databaseFailure, listenFailure } from './start-failure.ts'
import type { Part } from './until-stopped.ts'

export type App = Awaited<ReturnType<typeof buildApp>>

export interface StartAppOptions {
  config: Config
  logger: Logger
  started: Part[]
  worker?: WorkerContext
  /** Returns how many of the other nodes stop together with this one, so that clients cannot move to them. */
  stoppingToo? (): number
}

/** Builds the app, which migrates the database, and listens. */
export async function startApp (
  { config, logger, started, worker, stoppingToo = () => 0 }: StartAppOptions
): Promise<App> {
  const app = await build(config, logger, worker)
  started.push({
    async close () {
      await app.moveAway(stoppingToo())
      await app.close()
    }
  })
  const { host, port } = config.http
  try {
    await app.listen({ host, port })
  } catch (error) {
    throw listenFailure(error, config.http)
  }
  return app
}

async function build (config: Config, logger: Logger, worker: WorkerContext | undefined): Promise<App> {
  try {
    return await buildApp({ config, logger, ...(worker !== undefined && { worker }) })
  } catch (error) {
    throw databaseFailure(error, config.database.url ?? '')
  }
}
