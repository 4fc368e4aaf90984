import { lazy, Suspense } from 'react'
import type { ChartProps } from './u-plot.tsx'

export type { ChartProps, Series } from './u-plot.tsx'

const Plot = lazy(async () => ({ default: (await import('./u-plot.tsx')).UPlotChart }))

/** A chart of series over time, loaded when it is first shown. Its place is reserved, so nothing moves. */
export function Chart (props: ChartProps) {
  return (
    <Suspense
      fallback={
        <div style={{ height: (props.height ?? 160) + 40 }} role='status' aria-label={`Loading ${props.title}`} />
      }
    >
      <Plot {...props} />
    </Suspense>
  )
}
