import { keepPreviousData } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import type { DataOf, Parameters } from '../app/api.ts'
import { useGet } from '../app/queries.ts'

export type SeriesData = DataOf<'/api/metrics/series'>
export type Metric = SeriesData['metric']
export type Point = readonly [at: number, value: number | null]

interface Times {
  from: number
  to: number
}

/** The start of the current minute. It moves on while the page is visible. */
export function useMinute (everyMs = 60_000): number {
  const floor = () => Math.floor(Date.now() / everyMs) * everyMs
  const [minute, setMinute] = useState(floor)
  useEffect(() => {
    const update = () => {
      if (document.visibilityState === 'visible') setMinute(floor())
    }
    // Nodes store a minute some seconds after its end.
    const timer = setInterval(update, 10_000)
    document.addEventListener('visibilitychange', update)
    return () => {
      clearInterval(timer)
      document.removeEventListener('visibilitychange', update)
    }
  })
  return minute
}

/** Reads the history of a metric. While another range loads, the last one stays. */
export function useSeries (
  metric: Metric,
  { from, to }: Times,
  more: { topic?: string; webhookId?: string } = {},
  enabled = true
) {
  const query: Parameters<'/api/metrics/series'>['query'] = { metric, from, to, ...more }
  return useGet('/api/metrics/series', { query }, { staleTime: 60_000, placeholderData: keepPreviousData, enabled })
}

/** The points as pairs. A missing time, which the type allows, is left out. */
export const pointsOf = (series: SeriesData | undefined, factor = 1): Point[] =>
  (series?.points ?? []).flatMap(([at, value]) =>
    typeof at === 'number' ? [[at, typeof value === 'number' ? value * factor : null] as const] : []
  )
