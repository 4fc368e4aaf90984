import { keepPreviousData, useQueries } from '@tanstack/react-query'
import { useMemo } from 'react'
import { get } from '../app/queries.ts'
import { usePageScope } from '../app/scope.ts'
import { Chart } from '../components/chart.tsx'
import { ErrorState } from '../components/states.tsx'
import type { ChartSpec } from './charts.ts'
import { pointsOf } from './series.ts'

/** A chart of one or several metrics, which share the crosshair of the page. */
export function SeriesChart ({
  spec: { title, unit, lines, by, factor = 1 },
  from,
  to,
  topic,
  webhookId
}: {
  spec: ChartSpec
  from: number
  to: number
  topic: string | undefined
  webhookId: string | undefined
}) {
  const scope = usePageScope()
  const subject = {
    ...(by === 'topic' && topic !== undefined && { topic }),
    ...(by === 'webhook' && webhookId !== undefined && { webhookId })
  }
  const results = useQueries({
    queries: lines.map(({ metric }) => ({
      ...get(scope, '/api/metrics/series', { query: { metric, from, to, ...subject } }),
      staleTime: 60_000,
      placeholderData: keepPreviousData
    }))
  })
  const data = results.map(result => result.data)
  const series = useMemo(
    () => lines.map(({ name }, i) => ({ name, points: pointsOf(data[i], factor) })),
    [lines, factor, ...data]
  )
  const error = results.find(result => result.error !== null && result.data === undefined)?.error
  const narrowed = subject.topic ?? (subject.webhookId === undefined ? undefined : 'one webhook')
  return (
    <div className='min-w-0 rounded border border-line bg-surface p-3'>
      {error === undefined || error === null
        ? (
          <Chart
            title={narrowed === undefined ? title : `${title}, ${narrowed}`}
            unit={unit}
            series={series}
            from={from}
            to={to}
            height={140}
            group='monitoring'
          />
          )
        : (
          <>
            <p className='font-medium'>{title}</p>
            <ErrorState error={error} />
          </>
          )}
    </div>
  )
}
