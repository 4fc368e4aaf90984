import { execFile } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface ProcessFacts {
  /** The command line, its arguments joined by spaces. */
  command: string
  /** Differs between processes that had the same pid at different times, also across reboots. */
  startedAt: string
}

/** Returns the facts of a live process, or undefined if there is none or only a zombie. */
export async function inspectProcess (
  pid: number, platform: string = process.platform
): Promise<ProcessFacts | undefined> {
  return platform === 'linux' ? await inspectByProc(pid) : await inspectByPs(pid)
}

/** Returns whether `pid` is a live PostgreSQL server of this data folder, and not another process with a reused pid. */
export async function isServerOf (
  clusterDir: string, pid: number, platform: string = process.platform
): Promise<boolean> {
  const facts = await inspectProcess(pid, platform)
  if (facts === undefined) return false
  if (`${facts.command} `.includes(`/postgres -D ${clusterDir} `)) return true
  // The working directory of a server is its data folder, even after the folder was renamed.
  return /^(\S*\/)?postgres( |$)/.test(facts.command) && await worksIn(clusterDir, pid)
}

async function inspectByProc (pid: number): Promise<ProcessFacts | undefined> {
  const [stat, command, boot] = await Promise.all([
    textOf(`/proc/${pid}/stat`), textOf(`/proc/${pid}/cmdline`), textOf('/proc/sys/kernel/random/boot_id')
  ])
  // The name in parentheses may contain anything. After it comes the state (field 3).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const startTicks = fields[19]
  if (startTicks === undefined || fields[0] === 'Z' || fields[0] === 'X') return undefined
  return { command: command.split('\0').join(' ').trim(), startedAt: `${boot.trim()}:${startTicks}` }
}

async function inspectByPs (pid: number): Promise<ProcessFacts | undefined> {
  const { stdout } = await run('ps', ['-ww', '-o', 'stat=', '-o', 'lstart=', '-o', 'command=', '-p', String(pid)],
    { env: { ...process.env, LC_ALL: 'C' }, timeout: 5000 }).catch(() => ({ stdout: '' }))
  const [, state, startedAt, command] = /^(\S+)\s+(\S+\s+\S+\s+\S+\s+\S+\s+\d{4})\s+(.*)/.exec(stdout.trim()) ?? []
  if (state === undefined || startedAt === undefined || command === undefined || state.startsWith('Z')) return undefined
  return { command, startedAt }
}

async function worksIn (folder: string, pid: number): Promise<boolean> {
  const [here, there] = await Promise.all(
    [folder, `/proc/${pid}/cwd`].map(async (path) => await stat(path).catch(() => undefined))
  )
  return here !== undefined && there !== undefined && here.dev === there.dev && here.ino === there.ino
}

async function textOf (path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '')
}
