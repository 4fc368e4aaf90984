import { useNavigate } from '@tanstack/react-router'
import { useMay } from '../app/me.ts'
import { useGet } from '../app/queries.ts'
import { CopyAs } from '../components/copy-as.tsx'
import { Select } from '../components/field.tsx'
import { Page } from '../components/page.tsx'
import { ranges, RangePicker, timesOf } from '../components/range-picker.tsx'
import { Refused } from '../components/states.tsx'
import { chartGroups } from './charts.ts'
import { HotTopics } from './hot-topics.tsx'
import { Nodes } from './nodes.tsx'
import { monitoringRoute } from './routes.ts'
import { SeriesChart } from './series-chart.tsx'
import { useMinute } from './series.ts'

/** The history of every figure, and the state of the nodes. */
export function MonitoringPage () {
  const search = monitoringRoute.useSearch()
  const navigate = useNavigate({ from: monitoringRoute.fullPath })
  const may = useMay()
  const { topic, webhook } = search
  // A long range moves on in longer steps, so that its charts are not read every minute.
  const isLong = search.from === undefined && ranges[search.range ?? '1h'][1] > ranges['24h'][1]
  const minute = useMinute(isLong ? 900_000 : 60_000)
  const { from, to } = timesOf(search, '1h', minute)
  const change = (changes: Partial<typeof search>) => {
    void navigate({ search: { ...search, ...changes } })
  }
  return (
    <Page
      title='Monitoring'
      actions={
        <>
          <TopicSelect value={topic} onChange={topic => change({ topic })} />
          {may('webhooks:read') && <WebhookSelect value={webhook} onChange={webhook => change({ webhook })} />}
          <RangePicker value={search} onChange={change} />
          <CopyAs
            request={{
              method: 'GET',
              path: '/api/metrics/series',
              query: { metric: 'eventsInPerSec', from, to, topic }
            }}
          />
        </>
      }
    >
      {may('metrics:read')
        ? (
          <div className='grid grid-cols-[minmax(0,1fr)] gap-6'>
            <Nodes />
            {chartGroups.map(({ title, charts }) => (
              <section key={title} className='min-w-0'>
                <h2 className='mb-2 font-semibold'>{title}</h2>
                <div className='grid grid-cols-[minmax(0,1fr)] gap-3 md:grid-cols-2'>
                  {charts.map(spec => (
                    <SeriesChart key={spec.title} spec={spec} from={from} to={to} topic={topic} webhookId={webhook} />
                  ))}
                </div>
              </section>
            ))}
            <HotTopics limit={20} />
          </div>
          )
        : (
          <Refused message='Permission required: metrics:read' />
          )}
    </Page>
  )
}

interface SubjectSelectProps {
  value: string | undefined
  onChange: (value: string | undefined) => void
}

function TopicSelect ({ value, onChange }: SubjectSelectProps) {
  const may = useMay()
  const topics = useGet(
    '/api/topics',
    { query: { limit: 1000, sort: 'name' } },
    {
      enabled: may('topics:read'),
      staleTime: 60_000
    }
  )
  const names = topics.data?.map(({ name }) => name) ?? []
  return (
    <Select
      aria-label='Topic'
      className='w-44!'
      value={value ?? ''}
      choices={[
        { value: '', label: 'All topics' },
        ...(value === undefined || names.includes(value) ? names : [value, ...names]).map(name => ({
          value: name,
          label: name
        }))
      ]}
      onChange={name => onChange(name === '' ? undefined : name)}
    />
  )
}

function WebhookSelect ({ value, onChange }: SubjectSelectProps) {
  const webhooks = useGet('/api/webhooks', { query: { limit: 1000 } }, { staleTime: 60_000 })
  return (
    <Select
      aria-label='Webhook'
      className='w-44!'
      value={value ?? ''}
      choices={[
        { value: '', label: 'All webhooks' },
        ...(webhooks.data ?? []).map(({ id, url, description }) => ({ value: id, label: description ?? url })),
        ...(value === undefined || webhooks.data?.some(({ id }) => id === value) !== false
          ? []
          : [{ value, label: value }])
      ]}
      onChange={id => onChange(id === '' ? undefined : id)}
    />
  )
}
