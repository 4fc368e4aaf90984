import { readdirSync, readFileSync } from 'node:fs'
import pg from 'pg'

/* CPU time of other programs, as Linux counts it in /proc. */

const ticksPerSecond = 100

interface ProcessTimes { parent: number, seconds: number }

/** Returns the user and system time of a process, its living descendants, and those that ended and were waited for. */
export function treeCpuSeconds (pid: number): number {
  const all = allProcesses()
  const isBelow = (one: number | undefined): boolean =>
    one !== undefined && (one === pid || isBelow(all.get(one)?.parent))
  return [...all].reduce((sum, [one, { seconds }]) => isBelow(one) ? sum + seconds : sum, 0)
}

/** Returns the process of the PostgreSQL server at this address, which must run on this machine. */
export async function postmasterOf (databaseUrl: string): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const { rows: [row] } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  const parent = row === undefined ? undefined : allProcesses().get(row.pid)?.parent
  await client.end()
  if (parent === undefined) throw new Error('PostgreSQL does not run on this machine')
  return parent
}

function allProcesses (): Map<number, ProcessTimes> {
  const found = new Map<number, ProcessTimes>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    const times = Number.isInteger(pid) ? timesOf(pid) : undefined
    if (times !== undefined) found.set(pid, times)
  }
  return found
}

/** Returns undefined if the process has ended meanwhile. */
function timesOf (pid: number): ProcessTimes | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name, in parentheses, may contain anything. After it: state, parent, …, utime, stime, cutime, cstime.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ').map(Number)
    const ticks = fields.slice(11, 15).reduce((sum, value) => sum + value, 0)
    return { parent: fields[1] ?? 0, seconds: ticks / ticksPerSecond }
  } catch {
    return undefined
  }
}
