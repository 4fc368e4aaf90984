import { median } from '../measure.ts'

/* What `npm run bench -- peers` writes into bench/results/peers.json. Tables and charts are made of it alone. */

/** One turn of an entrant. */
export interface Sample { count: number, seconds: number, cpuSeconds: number }

/** Relative to the platform in the same round: median, lowest and highest of the rounds. */
export interface Spread { median: number, lowest: number, highest: number }

export interface Speed {
  perSecond: number
  perCpuSecond: number
  ratio: Spread
  cpuRatio: Spread
}

/** How many events or deliveries a consumer missed or received twice, over all runs. */
export interface Losses {
  expected: number
  lost: number
  doubled: number
  /** Received after one with a higher number for the first time. */
  reordered: number
  /** How often the consumer learned that something may be missing. */
  announced: number
  /** After the last cut or kill, until the last event arrived. */
  lastAfterMs?: number
}

export interface Entry {
  name: string
  version: string
  /** The promise of an acknowledgement or a delivery. */
  promise: string
  isOurs: boolean
  speed?: Speed
  losses?: Losses
}

export interface Contest {
  id: string
  title: string
  unit: string
  rounds: number
  entries: Entry[]
  skipped: { name: string, reason: string }[]
  measuredAt: string
  /** Processes that wanted a core, averaged over a minute, before and after: the contest's own included. */
  loadBefore: number
  loadAfter: number
}

export interface Results {
  machine: { cores: number, model: string, memoryGiB: number, system: string, node: string }
  contests: Contest[]
}

/** Compares the samples of an entrant with those of the reference, round by round. */
export function toSpeed (own: readonly Sample[], reference: readonly Sample[]): Speed {
  const perSecond = ({ count, seconds }: Sample) => count / seconds
  const perCpuSecond = ({ count, cpuSeconds }: Sample) => count / cpuSeconds
  return {
    perSecond: round(median(own.map(perSecond))),
    perCpuSecond: round(median(own.map(perCpuSecond))),
    ratio: toSpread(own.map(perSecond), reference.map(perSecond)),
    cpuRatio: toSpread(own.map(perCpuSecond), reference.map(perCpuSecond))
  }
}

function toSpread (own: readonly number[], reference: readonly number[]): Spread {
  const ratios = own.map((value, i) => value / (reference[i] ?? NaN))
  return {
    median: round(median(ratios)), lowest: round(Math.min(...ratios)), highest: round(Math.max(...ratios))
  }
}

const round = (value: number) => Number(value.toPrecision(4))

/** Replaces the contests that were measured again, and keeps the others. */
export function merge (before: Results | undefined, now: Results): Results {
  const kept = before?.contests ?? []
  const fresh = now.contests.filter(({ id }) => !kept.some(other => other.id === id))
  return {
    ...now, contests: [...kept.map(old => now.contests.find(({ id }) => id === old.id) ?? old), ...fresh]
  }
}
