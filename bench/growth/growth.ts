import type { Cast } from '../row.ts'

/** Measures what one operation costs as a quantity grows. */
export interface Growth {
  name: string
  what: string
  /** The quantity that grows. */
  of: string
  unit: string
  sizes: number[]
  /** The expected growth of the cost, in words. */
  claim: string
  /** Grows from one size to the next, and returns the cost at each. */
  prepare (cast: Cast): Promise<(size: number) => Promise<number>>
}

export interface Grown { growth: Growth, costs: number[] }

/** Returns a Markdown table with one row per growth: the cost at each size, and the ratio of the last to the first. */
export function toGrowthTable (measured: readonly Grown[]): string {
  const lines = measured.map(({ growth, costs }) => {
    const points = costs.map((cost, i) =>
      `${(growth.sizes[i] ?? 0).toLocaleString('en')}: ${
        cost >= 100 ? Math.round(cost).toLocaleString('en') : cost.toPrecision(3)
      }`
    )
    const [first, last] = [costs[0] ?? NaN, costs.at(-1) ?? NaN]
    return `| ${growth.name} | ${growth.what}, by ${growth.of} | ${growth.unit} | ${points.join(' · ')} | ${
      (last / first).toFixed(2)
    }× | ${growth.claim} |`
  })
  return ['| | cost | unit | at | last / first | expected |', '|---|---|---|---|---|---|', ...lines, ''].join('\n')
}
