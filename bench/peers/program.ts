import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { treeCpuSeconds } from './processes.ts'

/* A server of a peer, with its data in a temporary folder on the disk of the benchmark's PostgreSQL. */

export interface Program {
  url: string
  /** The version that the program prints. */
  version: string
  /** The promise that an acknowledgement of this server makes with its settings. */
  promise: string
  cpuSeconds (): number
  stop (): Promise<void>
}

export interface Launch {
  command: string
  argv: string[]
  env?: Record<string, string>
  /** The server is ready when it accepts connections here. */
  port: number
}

/** RabbitMQ takes minutes on a machine that is busy otherwise. */
const startTimeoutMs = 300_000

/** Creates a folder for the data of a peer. */
export const dataFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'realtime-peer-'))

export const removeFolder = (folder: string): Promise<void> =>
  rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })

/** Starts a program. Returns undefined if it is not installed, and throws with its output if it ends at once. */
export async function launch ({ command, argv, env = {}, port }: Launch) {
  const child = spawn(command, argv, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => { output = (output + text).slice(-5000) })
  }
  const isInstalled = await Promise.race([
    once(child, 'spawn').then(() => true), once(child, 'error').then(() => false)
  ])
  if (!isInstalled) return undefined
  const isRunning = () => child.exitCode === null && child.signalCode === null
  const stop = async () => {
    if (!isRunning()) return
    const gone = once(child, 'exit')
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), 20_000)
    await gone
    clearTimeout(timer)
  }
  const end = Date.now() + startTimeoutMs
  while (!await accepts(port)) {
    if (!isRunning() || Date.now() > end) {
      await stop()
      throw new Error(`${command} did not start:\n${output}`)
    }
    await sleep(50)
  }
  return { pid: child.pid as number, stop, cpuSeconds: () => treeCpuSeconds(child.pid as number) }
}

/** Returns the first version number that a program prints. */
export async function versionOf (command: string, argv: string[]): Promise<string> {
  const child = spawn(command, argv, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => { output += chunk.toString() })
  }
  await Promise.race([once(child, 'close'), once(child, 'error')])
  return /\d+\.\d+(?:\.\d+)?/.exec(output)?.[0] ?? 'unknown'
}

function accepts (port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => { socket.destroy(); resolve(true) })
    socket.on('error', () => resolve(false))
  })
}
