import { Badge } from '../components/badge.tsx'
import type { Column } from '../components/data-list.tsx'
import { formatDuration, Time } from '../components/time.tsx'
import { statusWords, type TraceSummary } from './words.ts'

const number = (value: number | null) => (value === null ? <span className='text-muted'>–</span> : value)

/** The columns of the list of traces. */
export const traceColumns: Column<TraceSummary>[] = [
  {
    id: 'topic',
    header: 'Topic',
    cell: trace => trace.topic,
    value: trace => trace.topic,
    width: 'minmax(12rem, 2fr)'
  },
  {
    id: 'offset',
    header: 'Offset',
    cell: trace => <span className='font-mono text-xs'>{number(trace.offset)}</span>,
    value: trace => trace.offset,
    align: 'right',
    width: '5rem'
  },
  {
    id: 'status',
    header: 'Outcome',
    cell: trace => (
      <Badge tone={statusWords[trace.status].tone} title={statusWords[trace.status].explanation}>
        {statusWords[trace.status].word}
      </Badge>
    ),
    value: trace => trace.status,
    width: '9rem'
  },
  {
    id: 'delivered',
    header: 'Subscribers',
    cell: ({ matched, delivered }) =>
      matched === null || matched === 0 ? number(null) : `${delivered ?? 0} of ${matched}`,
    value: trace => trace.delivered,
    align: 'right',
    width: '6.5rem'
  },
  {
    id: 'webhooks',
    header: 'Webhooks',
    cell: trace => <WebhookCounts trace={trace} />,
    value: trace => trace.webhooks,
    width: '10rem'
  },
  {
    id: 'latency',
    header: 'Latency',
    cell: trace => (trace.lastLatencyMs === null ? number(null) : formatDuration(trace.lastLatencyMs)),
    value: trace => trace.lastLatencyMs,
    align: 'right',
    width: '5rem'
  },
  { id: 'source', header: 'Source', cell: trace => trace.source, value: trace => trace.source, width: '5.5rem' },
  {
    id: 'error',
    header: 'Error',
    cell: trace => trace.error?.message,
    value: trace => trace.error?.message,
    width: 'minmax(8rem, 1fr)'
  },
  {
    id: 'time',
    header: 'Time',
    cell: trace => <Time at={trace.timestamp} />,
    value: trace => trace.timestamp,
    width: '8rem'
  },
  {
    id: 'eventId',
    header: 'Event ID',
    cell: trace => <span className='font-mono text-xs'>{trace.eventId}</span>,
    value: trace => trace.eventId,
    isHidden: true,
    width: '15rem'
  }
]

function WebhookCounts ({ trace: { webhooks } }: { trace: TraceSummary }) {
  if (webhooks === null) return number(null)
  const { pending, delivered, dead } = webhooks
  const parts = [
    dead > 0 && `${dead} dead`,
    pending > 0 && `${pending} pending`,
    delivered > 0 && `${delivered} delivered`
  ].filter(part => part !== false)
  return (
    <span className={dead > 0 ? 'text-critical' : ''}>{parts.length === 0 ? number(null) : parts.join(', ')}</span>
  )
}
