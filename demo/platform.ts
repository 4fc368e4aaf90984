import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createApi } from './api.ts'

export interface Platform {
  url: string
  /** Whether the demo started the platform, and stops it at the end. */
  isOurs: boolean
  /** A PostgreSQL database to change rows in; undefined without one. */
  databaseUrl: string | undefined
}

/** Registers work to be done at the end, in any case. */
export type Undo = (work: () => Promise<unknown>) => void

const startTimeoutMs = 30_000
const stopTimeoutMs = 15_000

/** Returns the running platform, if the demo may use it, otherwise starts one. */
export async function findOrStart (undo: Undo): Promise<Platform> {
  const url = process.env['PLATFORM_URL'] ?? 'http://127.0.0.1:3000'
  return await mayUse(url)
    ? { url, isOurs: false, databaseUrl: process.env['DEMO_DATABASE_URL'] }
    : { ...await start(undo), isOurs: true }
}

/** A platform that is not set up yet, or one with credentials. */
async function mayUse (url: string): Promise<boolean> {
  try {
    const api = createApi(url)
    const { status } = await api<{ status: string }>('GET', '/health')
    if (status !== 'ok') return false
    const { setupRequired } = await api<{ setupRequired: boolean }>('GET', '/api/auth/setup-status')
    return setupRequired || (process.env['DEMO_EMAIL'] !== undefined && process.env['DEMO_PASSWORD'] !== undefined)
  } catch {
    return false
  }
}

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
    if (await fetch(`${url}/health`).then(response => response.ok, () => false)) return
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
