import { testKey } from './build.ts'
import { createDatabase } from './database.ts'
import { dataFolder, start } from './server-process.ts'
import { steadyPort } from './steady-port.ts'
import type { Teardown } from './teardown.ts'
import { until } from './waiting.ts'

export interface WorkersOptions {
  workers?: number
  databaseUrl?: string
  dataDir?: string
  port?: number
  variables?: Record<string, string>
  execArgv?: string[]
}

/** Starts the server with workers. */
export async function startWorkers (
  t: Teardown, { workers = 2, databaseUrl, dataDir, port, variables, execArgv }: WorkersOptions = {}
) {
  const server = await start(t, {
    dataDir: dataDir ?? await dataFolder(t),
    variables: {
      WORKERS: String(workers),
      DATABASE_URL: databaseUrl ?? await createDatabase(t),
      ENCRYPTION_KEY: testKey,
      PORT: String(port ?? await steadyPort()),
      ...variables
    },
    ...(execArgv !== undefined && { execArgv })
  })
  const lines = (message: string) =>
    server.output.split('\n').filter(line => line.includes(`"msg":"${message}"`))
      .map(line => JSON.parse(line) as { worker: string, pid: number, nodeId: string })
  // The lines of several processes arrive in any order.
  await until(() => lines('worker.ready').length >= workers, 'the lines of the workers')
  return Object.assign(server, {
    /** Lines of the log with this message. */
    lines,
    /** The running process that has this worker's place. */
    processOf (worker: string): number {
      const pid = lines('worker.ready').filter(line => line.worker === worker).at(-1)?.pid
      if (pid === undefined) throw new Error(`worker ${worker} has not started`)
      return pid
    }
  })
}
