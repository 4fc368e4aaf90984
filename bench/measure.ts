/** One row of the table. */
export interface Measurement {
  row: string
  what: string
  unit: string
  platform: number
  bare: number | undefined
  /** The median of the rounds' ratios: a disturbance affects both sides of its round. */
  ratio: number | undefined
  /** The goal of §10 of the design: for the ratio, or for the platform's value if there is no counterpart. */
  goal: { ratio: number, isMost?: true } | { most: number }
  note?: string
}

export function median (values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? sorted[middle] as number
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

/** Returns the value below which the given share of the sorted values lies. */
export const percentile = (sorted: ArrayLike<number>, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN

export interface Pair { platform: number, bare: number, ratio: number, lowest: number, highest: number }

/** Measures both sides in turn, alternating the first, after a warm-up of each that does not count. */
export async function alternate (
  rounds: number, platform: () => Promise<number>, bare: () => Promise<number>, warmUps = 1
): Promise<Pair> {
  for (let i = 0; i < warmUps; i++) {
    await platform()
    await bare()
  }
  const pairs: { platform: number, bare: number }[] = []
  for (let i = 0; i < rounds; i++) {
    if (i % 2 === 0) pairs.push({ platform: await platform(), bare: await bare() })
    else {
      const bareFirst = await bare()
      pairs.push({ platform: await platform(), bare: bareFirst })
    }
  }
  const ratios = pairs.map(pair => pair.platform / pair.bare)
  return {
    platform: median(pairs.map(pair => pair.platform)),
    bare: median(pairs.map(pair => pair.bare)),
    ratio: median(ratios),
    lowest: Math.min(...ratios),
    highest: Math.max(...ratios)
  }
}

export const spread = ({ lowest, highest }: Pair): string => `${lowest.toFixed(2)}–${highest.toFixed(2)}`
