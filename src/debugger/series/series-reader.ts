import type pg from 'pg'
import type { Series, SeriesMetric, SeriesQuery } from '../../../schemas/metric-series.ts'
import { bucketsCount, percentilesOf } from '../../foundation/observability/latency-buckets.ts'
import { definitions, nothing, type Sums } from './series-metrics.ts'
import { parentOf, totals, type PartOf, type SeriesAsker } from './series-part.ts'
import { selectLatencies, selectPeriods, selectSums, type Selection } from './series-rows.ts'
import { windowOf, type Window } from './series-window.ts'

export interface SeriesReaderOptions {
  pool: pg.Pool
  partOf: PartOf
  /** The clock that all nodes share. */
  now: () => number
}

const rounded = (value: number): number => Math.round(value * 1000) / 1000

/** Reads the history of metrics, over all nodes. */
export function createSeriesReader ({ pool, partOf, now }: SeriesReaderOptions) {
  /** Returns a function that computes the value of a period. */
  async function valuesOf (
    metric: SeriesMetric, sums: ReadonlyMap<number, Sums>, selection: Selection, { stepMs, completeTo }: Window
  ): Promise<(period: number) => number> {
    const { value } = definitions[metric]
    if (typeof value === 'function') {
      return period => {
        const coveredMs = Math.min(period + stepMs, completeTo) - period
        return rounded(value(sums.get(period) ?? nothing, coveredMs / 1000))
      }
    }
    const latencies = new Map<number, Float64Array>()
    for (const { period, bucket, count } of await selectLatencies(pool, selection)) {
      const counts = latencies.get(period) ?? new Float64Array(bucketsCount)
      counts[bucket] = count
      latencies.set(period, counts)
    }
    const none = new Float64Array(bucketsCount)
    return period => percentilesOf(latencies.get(period) ?? none, [value.percentile])[0] ?? 0
  }

  return {
    /**
     * Returns the points of a metric, oldest first. Throws ValidationError `SERIES_TOO_LONG` or `VALIDATION_FAILED` for
     * a range without an end, and as `partOf` does.
     */
    async read (query: SeriesQuery, asker: SeriesAsker): Promise<Series> {
      const { metric } = query
      const { unit, isSampled } = definitions[metric]
      const window = windowOf(query, now())
      const { from, to, stepMs } = window
      const part = await partOf(query, asker)
      const selection = { ...part, from, to, stepMs }
      const parent = parentOf(part)
      const [sums, reported, parents] = await Promise.all([
        selectSums(pool, selection),
        selectPeriods(pool, { ...selection, ...totals }),
        parent === undefined ? undefined : selectPeriods(pool, { ...selection, ...parent })
      ])
      /** No node reported, or the node that did had no room for a row of its own. */
      const isUnknown = (period: number): boolean => {
        const node = reported.get(period)
        if (node === undefined || (isSampled === true && !node.is_sampled)) return true
        return !sums.has(period) && (node.is_cut || parents?.get(period)?.is_cut === true)
      }
      const valueOf = await valuesOf(metric, sums, selection, window)
      const points: Series['points'] = []
      for (let period = from; period < to; period += stepMs) {
        points.push([period, isUnknown(period) ? null : valueOf(period)])
      }
      return { metric, unit, step: stepMs / 1000, points }
    }
  }
}
export type SeriesReader = ReturnType<typeof createSeriesReader>
