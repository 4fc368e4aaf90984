import { useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useGet } from '../app/queries.ts'
import { Chart } from '../components/chart.tsx'
import { Section } from '../components/page.tsx'
import { RangePicker, timesOf } from '../components/range-picker.tsx'
import { Loaded } from '../components/states.tsx'
import { connectionRoute } from './routes.ts'

/** The lag between commits in the database and their events. */
export function LagChart () {
  const { range, from, to } = connectionRoute.useSearch()
  const navigate = useNavigate({ from: connectionRoute.fullPath })
  const minute = Math.floor(Date.now() / 60_000)
  const times = useMemo(() => timesOf({ range, from, to }, '1h', (minute + 1) * 60_000), [range, from, to, minute])
  const series = useGet(
    '/api/metrics/series',
    { query: { metric: 'cdcLag', ...times } },
    { refetchInterval: 60_000, placeholderData: previous => previous }
  )
  return (
    <Section
      title='History'
      actions={
        <RangePicker
          value={{ range, from, to }}
          onChange={times => {
            void navigate({ search: times, replace: true })
          }}
        />
      }
    >
      <Loaded query={series}>
        {({ points }) => (
          <Chart
            title='Lag'
            unit='ms'
            from={times.from}
            to={times.to}
            series={[
              { name: 'largest lag', points: points.map(([at, value]) => [Number(at), value ?? null] as const) }
            ]}
          />
        )}
      </Loaded>
    </Section>
  )
}
