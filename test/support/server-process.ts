import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { heapArguments } from './node-arguments.ts'
import type { Teardown } from './teardown.ts'
import { until } from './waiting.ts'

/* The platform as a separate process that tests can kill. Runs the same as `npm start`, from source or compiled. */

const isSource = import.meta.filename.endsWith('.ts')
const root = join(import.meta.dirname, '../..')
const command = [
  ...heapArguments,
  ...isSource ? ['--import', import.meta.resolve('tsx'), join(root, 'src/server.ts')] : [join(root, 'src/server.js')]
]

export interface Account { uid: number, gid: number }

export interface ServerOptions {
  dataDir: string
  variables?: Record<string, string>
  account?: Account | undefined
  /** Arguments for Node. */
  execArgv?: string[]
  /** Time limit for the server to respond. */
  startTimeoutMs?: number
}

export interface Exit { code: number | null, signal: NodeJS.Signals | null }

export type ServerProcess = ReturnType<typeof launch>

/** Runs the server and returns at once. It inherits only the given variables and those of every shell. */
export function launch ({ dataDir, variables = {}, account, execArgv = [] }: ServerOptions) {
  // tap adds a loader to NODE_OPTIONS of child processes. As another user the loader cannot write its files, and ends
  // the process with code 1.
  const child = spawn('/usr/bin/env', ['-u', 'NODE_OPTIONS', process.execPath, ...execArgv, ...command], {
    // Ignores the `.env` of the developer.
    cwd: dataDir,
    env: {
      PATH: process.env['PATH'],
      HOME: dataDir,
      ...(isSource && { FASTIFY_AUTOLOAD_TYPESCRIPT: '1' }),
      DATA_DIR: dataDir,
      PORT: '0',
      RATE_LIMIT_MAX: '0',
      ...variables
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...account
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const exit = once(child, 'close').then(([code, signal]) => ({ code, signal }) as Exit)
  return {
    /** Resolves when the process has ended and its output is complete. */
    exit,
    get pid () { return child.pid as number },
    get output () { return output },
    get isRunning () { return child.exitCode === null && child.signalCode === null },
    kill (signal: NodeJS.Signals) { child.kill(signal) },
    /** Resolves with the line that contains the address. Rejects if the process ends before. */
    async ready (timeoutMs = 180_000): Promise<{ url: string, setupToken?: string, embeddedDatabase: boolean }> {
      const line = () => /^\{.*"msg":"server\.ready".*\}$/m.exec(output)?.[0]
      await until(
        () => line() !== undefined || child.exitCode !== null,
        () => `the server to start:\n${output}`,
        timeoutMs
      )
      const found = line()
      if (found === undefined) throw new Error(`the server did not start:\n${output}`)
      return JSON.parse(found) as { url: string, setupToken?: string, embeddedDatabase: boolean }
    }
  }
}

/** Starts the server, waits until it responds, and stops it after the test. */
export async function start (t: Teardown, options: ServerOptions) {
  const server = launch(options)
  t.teardown(async () => {
    if (server.isRunning) server.kill('SIGTERM')
    await server.exit
    await endPostmaster(options.dataDir)
  })
  return Object.assign(server, { address: (await server.ready(options.startTimeoutMs)).url })
}

/** Creates a data folder in a place that any account may use. */
export async function dataFolder (t: Teardown, account?: Account): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'realtime-faults-'))
  await chmod(dataDir, 0o755)
  if (account !== undefined) await chown(dataDir, account.uid, account.gid)
  t.teardown(() => rm(dataDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 }))
  return dataDir
}

/** Returns the pid of the embedded server of the data folder; undefined when it is not running. */
export async function postmasterPid (dataDir: string): Promise<number | undefined> {
  const text = await readFile(join(dataDir, 'postgres/postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number.parseInt(text)
  return Number.isNaN(pid) || !isAlive(pid) ? undefined : pid
}

/** Stops the postmaster that a killed server leaves behind. */
async function endPostmaster (dataDir: string): Promise<void> {
  const pid = await postmasterPid(dataDir)
  if (pid === undefined) return
  process.kill(pid, 'SIGQUIT')
  await until(() => !isAlive(pid), 'the postmaster to end')
}

export function isAlive (pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
