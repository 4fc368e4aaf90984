import { loadavg } from 'node:os'
import type { Cast, Context } from '../row.ts'
import { postmasterOf, treeCpuSeconds } from './processes.ts'
import type { Program } from './program.ts'
import { toSpeed, type Contest, type Entry, type Sample } from './results.ts'

/** One side of a contest. The first entrant is the reference of the ratios. */
export interface Entrant extends Omit<Entry, 'speed' | 'losses'> {
  round (): Promise<Sample>
}

/** Who takes part, and who cannot because a program is not installed. */
export class Field {
  readonly entrants: Entrant[] = []
  readonly skipped: Contest['skipped'] = []

  /** Starts a program and keeps it until the cast is stopped. Without it, the entrant is skipped. */
  async start (cast: Cast, name: string, start: () => Promise<Program | undefined>): Promise<Program | undefined> {
    const program = await start()
    if (program === undefined) {
      this.skipped.push({ name, reason: 'its program is not installed' })
      process.stderr.write(`  ${name}: skipped, its program is not installed\n`)
      return undefined
    }
    cast.own(program)
    return program
  }
}

/** Runs every entrant in each round, beginning with another one each time, after a round that does not count. */
export async function inTurns (entrants: readonly Entrant[], rounds: number): Promise<Entry[]> {
  const samples = entrants.map((): Sample[] => [])
  for (const { round } of entrants) await round()
  for (let i = 0; i < rounds; i++) {
    for (let j = 0; j < entrants.length; j++) {
      const turn = (i + j) % entrants.length
      samples[turn]?.push(await (entrants[turn] as Entrant).round())
    }
  }
  const [reference = []] = samples
  return entrants.map(({ round: _, ...entry }, i) => ({ ...entry, speed: toSpeed(samples[i] ?? [], reference) }))
}

/** Adds the time of the contest and the load of the machine. */
export async function recorded (
  contest: Pick<Contest, 'id' | 'title' | 'unit' | 'rounds'>,
  measure: () => Promise<Pick<Contest, 'entries' | 'skipped'>>
): Promise<Contest> {
  process.stderr.write(`${contest.id} …\n`)
  const minute = () => Number((loadavg()[0] ?? NaN).toFixed(2))
  const loadBefore = minute()
  const measured = await measure()
  return { ...contest, ...measured, measuredAt: new Date().toISOString(), loadBefore, loadAfter: minute() }
}

/** Returns a function that measures what a piece of work costs the given servers. */
export const meter = (cpuSeconds: () => Promise<number> | number) =>
  async (work: () => Promise<{ count: number, seconds: number }>): Promise<Sample> => {
    const before = await cpuSeconds()
    const { count, seconds } = await work()
    return { count, seconds, cpuSeconds: await cpuSeconds() - before }
  }

/** Returns a function that reads the CPU seconds of PostgreSQL. */
export async function databaseCpu ({ databaseUrl }: Context): Promise<() => number> {
  const pid = await postmasterOf(databaseUrl)
  return () => treeCpuSeconds(pid)
}
