import { testKey } from './build.ts'
import { dataFolder, launch, type ServerProcess } from './server-process.ts'
import { steadyPort } from './steady-port.ts'
import type { Teardown } from './teardown.ts'

/*
 * Nodes as separate processes on one database and one Redis, with publishers and subscribers that survive their
 * failures.
 */

export interface NodeOptions {
  databaseUrl: string
  redisUrl: string
  variables?: Record<string, string>
  execArgv?: string[]
}

/** A node with an address that stays the same across restarts. */
export class NodeProcess {
  readonly url: string
  readonly #options: NodeOptions & { dataDir: string, port: number }
  #server: ServerProcess | undefined
  #isUp = false

  constructor (options: NodeOptions & { dataDir: string, port: number }) {
    this.#options = options
    this.url = `http://127.0.0.1:${options.port}`
  }

  get server (): ServerProcess {
    if (this.#server === undefined) throw new Error('it has not been started')
    return this.#server
  }

  async start (): Promise<void> {
    this.#isUp = false
    const { databaseUrl, redisUrl, dataDir, port, variables, execArgv } = this.#options
    this.#server = launch({
      dataDir,
      variables: {
        DATABASE_URL: databaseUrl,
        REDIS_URL: redisUrl,
        ENCRYPTION_KEY: testKey,
        LOG_LEVEL: 'warn',
        PORT: String(port),
        ...variables
      },
      ...(execArgv !== undefined && { execArgv })
    })
    await this.#server.ready()
    this.#isUp = true
  }

  /** Whether it responded to the last check. */
  get isUp () { return this.#isUp && this.server.isRunning }

  async kill (): Promise<void> {
    this.#isUp = false
    this.server.kill('SIGKILL')
    await this.server.exit
  }

  async end (): Promise<void> {
    if (this.#server?.isRunning !== true) return
    // A paused process handles no other signal.
    this.#server.kill('SIGCONT')
    this.#server.kill('SIGTERM')
    const timer = setTimeout(() => this.#server?.kill('SIGKILL'), 15_000)
    await this.#server.exit
    clearTimeout(timer)
  }
}

export async function startNodeProcesses (
  t: Teardown, count: number, options: NodeOptions
): Promise<[NodeProcess, NodeProcess, ...NodeProcess[]]> {
  const nodes = await Promise.all(
    Array.from({ length: count }, async () =>
      new NodeProcess({ ...options, dataDir: await dataFolder(t), port: await steadyPort() }))
  )
  t.teardown(async () => {
    await Promise.all(nodes.map(node => node.end()))
  })
  // The first node migrates.
  for (const node of nodes) await node.start()
  return nodes as [NodeProcess, NodeProcess, ...NodeProcess[]]
}
