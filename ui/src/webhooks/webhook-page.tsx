import { Link, useNavigate } from '@tanstack/react-router'
import { useGet, useList } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Chart } from '../components/chart.tsx'
import { ErrorNote } from '../components/error-note.tsx'
import { formatCount } from '../components/number.ts'
import { Section } from '../components/page.tsx'
import { RangePicker, timesOf } from '../components/range-picker.tsx'
import { Stat } from '../components/stat.tsx'
import { Time } from '../components/time.tsx'
import { HealthLine, shareOf, useCounts } from './health.tsx'
import { webhookRoute } from './routes.ts'
import { stateTones, statusOf, type Webhook } from './status.ts'
import { WebhookFrame } from './webhook-frame.tsx'
import { WebhookProperties } from './webhook-properties.tsx'

/** The health of a webhook, its rates over time, and its latest deliveries. */
export function WebhookPage () {
  const { id } = webhookRoute.useParams()
  const search = webhookRoute.useSearch()
  const navigate = useNavigate({ from: webhookRoute.fullPath })
  return (
    <WebhookFrame
      id={id}
      actions={
        <RangePicker
          value={search}
          fallback='24h'
          onChange={range => {
            void navigate({ search: range })
          }}
        />
      }
    >
      {webhook => <Overview webhook={webhook} />}
    </WebhookFrame>
  )
}

const minuteMs = 60_000

function Overview ({ webhook }: { webhook: Webhook }) {
  const search = webhookRoute.useSearch()
  // Whole minutes, so that a repeated render reads the same series.
  const times = timesOf(search, '24h', Math.floor(Date.now() / minuteMs) * minuteMs)
  const from = Math.floor(times.from)
  const to = Math.max(Math.floor(times.to), from + minuteMs)
  const counts = useCounts(webhook.id, from, to)
  const dead = useList('/api/webhooks/deliveries', {
    query: { webhookId: webhook.id, state: 'dead', limit: 100 }
  })
  const deadCount = dead.items?.length
  return (
    <div className='grid gap-4'>
      <p>
        <HealthLine webhook={webhook} />
      </p>
      <div className='grid grid-cols-2 gap-3 lg:grid-cols-4'>
        <Stat
          name='Success rate'
          value={counts === undefined ? '–' : (shareOf(counts) ?? '–')}
          {...(counts !== undefined && counts.failed > counts.succeeded && { tone: 'critical' as const })}
        />
        <Stat name='Requests' value={counts === undefined ? '–' : formatCount(counts.succeeded + counts.failed)} />
        <Stat
          name='Failed requests'
          value={counts === undefined ? '–' : formatCount(counts.failed)}
          {...(counts !== undefined && counts.failed > 0 && { tone: 'warning' as const })}
        />
        <Stat
          name='Dead deliveries'
          value={deadCount === undefined ? '–' : `${formatCount(deadCount)}${dead.hasMore ? '+' : ''}`}
          {...(deadCount !== undefined && deadCount > 0 && { tone: 'critical' as const })}
        />
      </div>
      <div className='grid gap-4 lg:grid-cols-2'>
        <Section title='Deliveries'>
          <MetricChart
            title='Requests'
            webhookId={webhook.id}
            metrics={[
              ['deliveries', 'succeeded'],
              ['deliveryFailures', 'failed']
            ]}
            from={from}
            to={to}
          />
        </Section>
        <Section title='Latency'>
          <MetricChart
            title='From the event to its acceptance'
            webhookId={webhook.id}
            metrics={[['deliveryLatencyP95', 'p95']]}
            from={from}
            to={to}
          />
        </Section>
      </div>
      <div className='grid items-start gap-4 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]'>
        <LatestDeliveries webhookId={webhook.id} />
        <Section title='Settings'>
          <WebhookProperties webhook={webhook} />
        </Section>
      </div>
    </div>
  )
}

type Metric = 'deliveries' | 'deliveryFailures' | 'deliveryLatencyP95' | 'webhookSuccessRate'

function MetricChart ({
  title,
  webhookId,
  metrics: [first, second],
  from,
  to
}: {
  title: string
  webhookId: string
  metrics: readonly [readonly [Metric, string], (readonly [Metric, string])?]
  from: number
  to: number
}) {
  const query = { webhookId, from, to }
  const one = useGet('/api/metrics/series', { query: { ...query, metric: first[0] } }, { staleTime: 60_000 })
  const two = useGet(
    '/api/metrics/series',
    { query: { ...query, metric: second?.[0] ?? first[0] } },
    { staleTime: 60_000 }
  )
  if (one.error !== null) return <ErrorNote error={one.error} />
  const series = [
    { name: first[1], points: pointsOf(one.data?.points) },
    ...(second === undefined ? [] : [{ name: second[1], points: pointsOf(two.data?.points) }])
  ]
  return (
    <Chart
      title={title}
      unit={one.data?.unit ?? ''}
      series={series}
      from={from}
      to={to}
      group={`webhook-${webhookId}`}
    />
  )
}

const pointsOf = (points: readonly (readonly (number | null)[])[] | undefined) =>
  (points ?? []).map(([at, value]) => [at ?? 0, value ?? null] as const)

function LatestDeliveries ({ webhookId }: { webhookId: string }) {
  const scope = usePageScope()
  const latest = useGet('/api/webhooks/deliveries', { query: { webhookId, limit: 15 } }, { refetchInterval: 5000 })
  return (
    <Section
      title='Latest deliveries'
      isPlain
      actions={
        <Link
          to={`${scopePath}/deliveries`}
          params={{ ...scope }}
          search={{ webhookId, allEnvironments: true as const }}
          className='text-accent hover:underline'
        >
          All deliveries
        </Link>
      }
    >
      {latest.error !== null && latest.data === undefined && <ErrorNote error={latest.error} />}
      {latest.data?.length === 0 && (
        <p className='p-3 text-muted'>No delivery yet. Publish an event that the webhook listens to.</p>
      )}
      <ul>
        {latest.data?.map(delivery => (
          <li key={delivery.id} className='border-b border-line last:border-0'>
            <Link
              to={`${scopePath}/deliveries/$deliveryId`}
              params={{ ...scope, deliveryId: delivery.id }}
              search={{ webhookId, allEnvironments: true as const }}
              className='grid grid-cols-[6rem_minmax(0,1fr)_auto_5rem] items-center gap-3 px-3 py-1.5 hover:bg-hover'
            >
              <span>
                <Badge tone={stateTones[delivery.state]}>{delivery.state}</Badge>
              </span>
              <span className='truncate'>
                {delivery.topic} <span className='font-mono text-xs text-muted'>#{delivery.offset}</span>
              </span>
              <span className='text-muted'>{delivery.attempts > 0 && statusOf(delivery).word}</span>
              <span className='text-right text-muted'>
                <Time at={delivery.createdAt} />
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </Section>
  )
}
