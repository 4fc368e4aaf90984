import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import type { DataOf } from '../app/api.ts'
import { useScopedLink } from '../app/scoped-link.ts'
import { formatCount, formatMeasure, formatShare } from '../components/number.ts'
import { Section } from '../components/page.tsx'
import { Sparkline } from '../components/stat.tsx'
import { formatDuration } from '../components/time.tsx'
import { pointsOf, useMinute, useSeries, type Metric } from '../monitoring/series.ts'

type Numbers = DataOf<'/api/metrics/dashboard'>
type Tone = 'critical' | 'warning' | undefined

interface FigureProps {
  name: ReactNode
  value: string
  unit?: string
  tone?: Tone
  metric: Metric
  note?: string
}

const hourMs = 3_600_000

/** A live number, and the line of its last hour. */
function Figure ({ name, value, unit, tone, metric, note }: FigureProps) {
  const minute = useMinute()
  const series = useSeries(metric, { from: minute - hourMs, to: minute })
  const colour = tone === 'critical' ? 'text-critical' : tone === 'warning' ? 'text-warning' : ''
  return (
    <div className='grid min-w-0 grid-cols-[minmax(0,1fr)_6rem] items-center gap-x-3 border-b border-line/60 px-3 py-2'>
      <div className='min-w-0'>
        <p className='truncate text-muted'>{name}</p>
        <p className={`text-lg font-semibold whitespace-nowrap ${colour}`}>
          {value}
          {unit !== undefined && <span className='ml-1 text-xs font-normal text-muted'>{unit}</span>}
          {note !== undefined && <span className='ml-2 text-xs font-normal text-muted'>{note}</span>}
        </p>
      </div>
      <div className='h-8'>
        {series.data !== undefined && (
          <Sparkline label={`${metric}, the last hour`} values={pointsOf(series.data).map(([, value]) => value)} />
        )}
      </div>
    </div>
  )
}

/** A duration with the unit that fits, such as `4 min`. */
function durationOf (ms: number): Pick<FigureProps, 'value' | 'unit'> {
  const [value = '', unit = ''] = ms === 0 ? ['0', 'ms'] : formatDuration(ms).split(' ')
  return { value, unit }
}

const raised = (isRaised: boolean, tone: Tone = 'warning'): Tone => (isRaised ? tone : undefined)

/** The live figures in three groups. Rates are those of the node that answers. */
export function Figures ({ numbers: { delivery, pipeline, reliability } }: { numbers: Numbers }) {
  const link = useScopedLink()
  return (
    <div className='grid gap-4 lg:grid-cols-3'>
      <Section title='Delivery' isPlain>
        <Figure
          name='Connections'
          metric='activeConnections'
          value={formatCount(delivery.activeConnections)}
          unit='open'
        />
        <Figure
          name='Events in'
          metric='eventsInPerSec'
          value={formatMeasure(delivery.eventsInPerSec)}
          unit='events/s'
        />
        <Figure
          name='Events out'
          metric='eventsOutPerSec'
          value={formatMeasure(delivery.eventsOutPerSec)}
          unit='events/s'
        />
        <Figure
          name='Fan-out latency, p95'
          metric='fanoutLatencyP95'
          value={formatMeasure(delivery.fanoutLatencyP95)}
          unit='ms'
          note={`p50 ${formatMeasure(delivery.fanoutLatencyP50)} · p99 ${formatMeasure(delivery.fanoutLatencyP99)}`}
        />
        <Figure name='Reconnects' metric='reconnectRate' value={formatMeasure(delivery.reconnectRate)} unit='/s' />
      </Section>
      <Section title='Pipeline' isPlain>
        <Figure
          name='Database lag'
          metric='cdcLag'
          {...durationOf(pipeline.cdcLag)}
          tone={raised(pipeline.cdcLag >= 60_000)}
        />
        <Figure
          name='Row changes captured'
          metric='eventsCapturedPerSec'
          value={formatMeasure(pipeline.eventsCapturedPerSec)}
          unit='events/s'
        />
        <Figure
          name='Events routed'
          metric='eventsRoutedPerSec'
          value={formatMeasure(pipeline.eventsRoutedPerSec)}
          unit='events/s'
        />
        <Figure
          name='Mapping failures'
          metric='mappingFailures'
          value={formatCount(pipeline.mappingFailures)}
          unit='in a minute'
          tone={raised(pipeline.mappingFailures > 0)}
        />
        <Figure
          name='Schema violations'
          metric='schemaValidationFailures'
          value={formatCount(pipeline.schemaValidationFailures)}
          unit='in a minute'
          tone={raised(pipeline.schemaValidationFailures > 0)}
        />
      </Section>
      <Section title='Reliability' isPlain>
        <Figure name='Queue depth' metric='queueDepth' value={formatCount(reliability.queueDepth)} unit='waiting' />
        <Figure
          name='Webhook queue wait'
          metric='outboxLag'
          {...durationOf(pipeline.outboxLag)}
          tone={raised(pipeline.outboxLag >= 60_000)}
        />
        <Figure
          name='Retrying deliveries'
          metric='retryCount'
          value={formatCount(reliability.retryCount)}
          tone={raised(reliability.retryCount > 0)}
        />
        <Figure
          name={
            <Link
              {...link('/deliveries', { search: { state: 'dead' } })}
              className='hover:text-text hover:underline'
            >
              Dead deliveries
            </Link>
          }
          metric='dlqSize'
          value={formatCount(reliability.dlqSize)}
          tone={raised(reliability.dlqSize > 0, 'critical')}
        />
        <Figure
          name='Webhook success'
          metric='webhookSuccessRate'
          value={formatShare(reliability.webhookSuccessRate)}
          unit='of the last hour'
          tone={raised(
            reliability.webhookSuccessRate < 0.95,
            reliability.webhookSuccessRate < 0.5 ? 'critical' : 'warning'
          )}
        />
      </Section>
    </div>
  )
}
