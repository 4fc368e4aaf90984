import { useNavigate } from '@tanstack/react-router'
import type { DataOf } from '../app/api.ts'
import { useGlobal } from '../app/queries.ts'
import { Chart } from '../components/chart.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { Select } from '../components/field.tsx'
import { formatBytes, formatCount } from '../components/number.ts'
import { Empty, Loaded } from '../components/states.tsx'
import { formatTime } from '../components/time.tsx'
import { applicationRoute, applicationUsageRoute } from './routes.ts'

type Period = DataOf<'/api/applications/{id}/usage'>[number]

const count = (id: keyof Period, header: string, format = formatCount, width = '5.5rem'): Column<Period> => ({
  id,
  header,
  align: 'right',
  width,
  cell: period => format(period[id]),
  value: period => period[id]
})

const columns: Column<Period>[] = [
  {
    id: 'from',
    header: 'From (UTC)',
    width: '9rem',
    cell: ({ from }) => formatTime(from, 'utc').slice(0, 16),
    value: ({ from }) => new Date(from).toISOString()
  },
  count('publishes', 'Events'),
  count('bytesWritten', 'Written', formatBytes),
  count('deliveries', 'Deliveries'),
  count('socketsPeak', 'Peak sockets'),
  count('subscriptionsPeak', 'Peak subscriptions', formatCount, '8.5rem'),
  count('bytesStored', 'Stored', formatBytes),
  count('documents', 'Documents'),
  count('webhooks', 'Webhooks')
]

const lengths = { day: 86_400_000, hour: 3_600_000 }

/** The usage of an application by day or by hour, over all nodes and environments. */
export function Usage () {
  const { id } = applicationRoute.useParams()
  const { by = 'day' } = applicationUsageRoute.useSearch()
  const navigate = useNavigate({ from: applicationUsageRoute.fullPath })
  const usage = useGlobal('/api/applications/{id}/usage', { path: { id }, query: { by } })
  const to = Math.ceil(Date.now() / lengths[by]) * lengths[by]
  const from = to - lengths[by] * (by === 'day' ? 31 : 25)
  return (
    <Loaded query={usage}>
      {periods =>
        periods.length === 0
          ? (
            <Empty title='Nothing was used yet'>Usage appears here once events are published.</Empty>
            )
          : (
            <div className='grid gap-4'>
              <div className='grid gap-4 lg:grid-cols-2'>
                {(['publishes', 'deliveries'] as const).map(name => (
                  <Chart
                    key={name}
                    title={name === 'publishes' ? 'Events' : 'Deliveries'}
                    unit={`per ${by}`}
                    from={from}
                    to={to}
                    group='usage'
                    series={[{ name, points: pointsOf(periods, name, from, to, lengths[by]) }]}
                  />
                ))}
              </div>
              <div className='flex h-96 flex-col rounded border border-line bg-surface'>
                <DataList
                  name='usage'
                  label='Usage'
                  rows={periods.toReversed()}
                  columns={columns}
                  rowKey={({ from }) => String(from)}
                  empty={null}
                  toolbar={
                    <>
                      <Select
                        aria-label='Period'
                        value={by}
                        className='w-32!'
                        choices={[
                          { value: 'day', label: 'By day' },
                          { value: 'hour', label: 'By hour' }
                        ]}
                        onChange={by => {
                          void navigate({ search: { by }, replace: true })
                        }}
                      />
                      <CopyAs
                        request={{ method: 'GET', path: '/api/applications/{id}/usage', params: { id }, query: { by } }}
                      />
                    </>
                }
                />
              </div>
            </div>
            )}
    </Loaded>
  )
}

/** A period without any use is absent from the answer, and counts as zero. */
function pointsOf (
  periods: readonly Period[],
  name: 'publishes' | 'deliveries',
  from: number,
  to: number,
  step: number
) {
  const byTime = new Map(periods.map(period => [period.from, period[name]]))
  const points: [number, number][] = []
  for (let at = from; at < to; at += step) points.push([at, byTime.get(at) ?? 0])
  return points
}
