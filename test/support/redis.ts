import { Redis } from 'ioredis'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { steadyPort } from './steady-port.ts'
import type { Teardown } from './teardown.ts'

/* A Redis for tests, if one is installed. It can be killed, suspended, and started again at its address. */

export interface RedisServer {
  readonly url: string
  readonly pid: number
  kill (): Promise<void>
  start (): Promise<void>
}

/** Returns undefined if `redis-server` is not installed: the test is then skipped. In CI, it throws instead. */
export async function startRedis (t: Teardown): Promise<RedisServer | undefined> {
  const dir = await mkdtemp(join(tmpdir(), 'realtime-redis-'))
  const port = await steadyPort()
  const url = `redis://127.0.0.1:${port}`
  let child: ChildProcess | undefined

  async function launch (): Promise<boolean> {
    const process = spawn('redis-server', [
      '--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir
    ], { stdio: 'ignore' })
    const started = await Promise.race([
      once(process, 'spawn').then(() => true), once(process, 'error').then(() => false)
    ])
    if (!started) return false
    child = process
    const client = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 20 })
    client.on('error', () => {})
    await client.ping()
    client.disconnect()
    return true
  }
  async function kill (): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  t.teardown(async () => {
    await kill()
    await rm(dir, { recursive: true, force: true })
  })
  if (!await launch()) {
    if (process.env['CI'] !== undefined) throw new Error('redis-server is not installed')
    return undefined
  }
  return {
    url,
    get pid () { return child?.pid as number },
    kill,
    async start () { await launch() }
  }
}
