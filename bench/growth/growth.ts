import type { Cast } from '../row.ts'

/** What one thing costs as another grows. */
export interface Growth {
  name: string
  what: string
  /** What grows. */
  of: string
  unit: string
  sizes: number[]
  /** How the cost is to behave, in words. */
  claim: string
  /** Grows from one size to the next, and answers the cost at each. */
  prepare (cast: Cast): Promise<(size: number) => Promise<number>>
}

export interface Grown { growth: Growth, costs: number[] }

/** As Markdown, a row a growth: the cost at each size, and the last against the first. */
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
  return ['| | cost | unit | at | last / first | is to be |', '|---|---|---|---|---|---|', ...lines, ''].join('\n')
}
