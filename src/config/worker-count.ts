import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

const workersMax = 128

/**
 * Returns the number of workers, or adds to `problems` why the text is none. `auto` is one per core, one less if
 * PostgreSQL is started with the server and so needs a core as well.
 */
export function workerCount (wanted: string, isWithDatabase: boolean, cores: number, problems: string[]): number {
  if (wanted === 'auto') return Math.min(workersMax, Math.max(1, isWithDatabase ? cores - 1 : cores))
  const count = /^\d{1,3}$/.test(wanted) ? Number(wanted) : 0
  if (count >= 1 && count <= workersMax) return count
  problems.push(`WORKERS must be \`auto\` or a whole number from 1 to ${workersMax} (it is ${JSON.stringify(wanted)})`)
  return 1
}

/** Returns the cores that this process may use: those of the machine, or the limit of the container if it is lower. */
export function coresOf (quota = containerQuota()): number {
  const [limit = NaN, period = NaN] = quota.split(' ').map(Number)
  const cores = availableParallelism()
  return limit > 0 && period > 0 ? Math.max(1, Math.min(cores, Math.floor(limit / period))) : cores
}

/** Returns the CPU quota of control groups, `max 100000` without a limit; empty where there are none. */
function containerQuota (): string {
  try {
    return readFileSync('/sys/fs/cgroup/cpu.max', 'utf8')
  } catch {
    return ''
  }
}
