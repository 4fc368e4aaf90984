import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Platform {
  url: string
  /** Whether the demo started the platform, and stops it at the end. */
  isOurs: boolean
  /** A PostgreSQL database to change rows in; undefined without one. */
  databaseUrl: string | undefined
}

/** Registers work to be done at the end, in any case. */
export type Undo = (work: () => Promise<unknown>) => void

// Generous, for a busy machine.
const startTimeoutMs = 120_000
const stopTimeoutMs = 60_000

/** Uses the platform that PLATFORM_URL or DEMO_EMAIL asks for. Without them, starts one that the demo deletes. */
export async function findOrStart (undo: Undo): Promise<Platform> {
  const { PLATFORM_URL: namedUrl, DEMO_EMAIL: email, DEMO_DATABASE_URL: databaseUrl } = process.env
  if (namedUrl === undefined && email === undefined) return { ...await start(undo), isOurs: true }
  const url = namedUrl ?? 'http://127.0.0.1:3000'
  if (!await isHealthy(url)) throw new Error(`No platform responds at ${url}. Start it, or set PLATFORM_URL`)
  return { url, isOurs: false, databaseUrl }
}

const isHealthy = (url: string): Promise<boolean> =>
  fetch(`${url}/health`).then(response => response.ok, () => false)

/**
 * Starts a server with an embedded PostgreSQL in a temporary folder. It runs in that folder, so that it reads no other
 * `.env`.
 */
async function start (undo: Undo): Promise<{ url: string, databaseUrl: string }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'realtime-demo-'))
  undo(() => rm(dataDir, { recursive: true, force: true }))
  const port = await freePort()
  const server = spawn(process.execPath, [fileURLToPath(new URL('../src/server.js', import.meta.url))], {
    cwd: dataDir,
    env: { PATH: process.env['PATH'], PORT: String(port), DATA_DIR: dataDir },
    stdio: ['ignore', 'ignore', 'inherit'],
    // In a separate process group: Ctrl-C only reaches the demo, which then stops the server.
    detached: true
  })
  undo(() => end(server))
  const url = `http://127.0.0.1:${port}`
  await answers(url, server)
  return { url, databaseUrl: await embeddedUrl(dataDir) }
}

/** An embedded PostgreSQL has a database `demo` beside the platform's own. */
async function embeddedUrl (dataDir: string): Promise<string> {
  const [password, pidFile] = await Promise.all([
    readFile(join(dataDir, 'postgres-password'), 'utf8'), readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8')
  ])
  return `postgres://postgres:${password.trim()}@127.0.0.1:${pidFile.split('\n')[3] ?? ''}/demo`
}

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** The server listens once its database exists and is migrated. */
async function answers (url: string, server: ChildProcess): Promise<void> {
  const deadline = Date.now() + startTimeoutMs
  while (!hasEnded(server) && Date.now() < deadline) {
    if (await isHealthy(url)) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error(
    hasEnded(server)
      ? 'The server ended during its start'
      : `The server did not respond within ${startTimeoutMs / 1000} s`
  )
}

const hasEnded = (server: ChildProcess): boolean => server.exitCode !== null || server.signalCode !== null

/** On SIGTERM the server closes its sockets, completes its writes and stops PostgreSQL. */
async function end (server: ChildProcess): Promise<void> {
  if (hasEnded(server)) return
  const ended = once(server, 'exit')
  server.kill('SIGTERM')
  const force = setTimeout(() => server.kill('SIGKILL'), stopTimeoutMs)
  await ended
  clearTimeout(force)
}
