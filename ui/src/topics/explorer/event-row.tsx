import type { RealtimeEvent } from '@realtime-platform/client'
import { clsx } from 'clsx'
import { memo } from 'react'
import type { TimeMode } from '../../app/preferences.ts'
import { formatCount } from '../../components/number.ts'
import { formatTime } from '../../components/time.tsx'
import { eventTime, type EventColumn } from './columns.ts'
import type { Row } from './event-log.ts'
import { StatusCell } from './status-cell.tsx'
import type { TraceSummary } from './statuses.ts'

interface EventRowProps {
  event: RealtimeEvent
  columns: readonly EventColumn[]
  grid: string
  height: number
  index: number
  href: string
  mode: TimeMode
  today: string
  isOpen: boolean
  isCurrent: boolean
  trace: TraceSummary | null | undefined
}

/** A row of the explorer. It has no state and no subscriptions, so that many can appear in one frame. */
export const EventRow = memo(function EventRow ({
  event,
  columns,
  grid,
  height,
  index,
  href,
  mode,
  today,
  isOpen,
  isCurrent,
  trace
}: EventRowProps) {
  return (
    <div
      role='row'
      aria-rowindex={index + 2}
      aria-selected={isOpen}
      data-offset={event.offset}
      data-current={isCurrent || undefined}
      className={clsx(
        'grid cursor-pointer items-center gap-x-3 border-b border-line/60 px-4 hover:bg-hover md:px-6',
        isOpen && 'bg-selected',
        'data-[current]:shadow-[inset_2px_0_0_var(--accent)]'
      )}
      style={{ height, gridTemplateColumns: grid }}
    >
      <div role='gridcell' className='truncate text-right font-mono text-xs'>
        <a href={href} className='text-text hover:underline'>
          {formatCount(event.offset)}
        </a>
      </div>
      <div
        role='gridcell'
        className='truncate font-mono text-xs text-muted'
        title={`${formatTime(event.timestamp, 'local')} · ${formatTime(event.timestamp, 'utc')}`}
      >
        {eventTime(event.timestamp, mode, today)}
      </div>
      {columns.map(column => (
        <div
          key={column.id}
          role='gridcell'
          className={clsx(
            'truncate',
            column.id !== 'status' && 'font-mono text-xs',
            column.id === 'payload' && 'text-muted'
          )}
        >
          {column.id === 'status' ? <StatusCell trace={trace} /> : column.text(event)}
        </div>
      ))}
    </div>
  )
})

const reasons: Record<string, string> = {
  RETENTION_PASSED: 'removed by retention',
  EPOCH_CHANGED: 'the log was restarted here',
  LOG_SHORTENED: 'the log is shorter than it was, as after a restored backup',
  TOPIC_UNAVAILABLE: 'the topic was deleted',
  PERMISSION_DENIED: 'you may not read them',
  SINCE_UNCERTAIN: 'earlier events may have been removed'
}

export function gapText ({ from, to, reason }: Extract<Row, { kind: 'gap' }>): string {
  const words = reasons[reason] ?? reason
  if (reason === 'EPOCH_CHANGED') return words
  return `${formatCount(from)}${to === null ? ' and later' : to === from ? '' : `–${formatCount(to)}`} ${words}`
}

interface GapRowProps {
  gap: Extract<Row, { kind: 'gap' }>
  height: number
  index: number
}

/** The place of events that are missing. */
export const GapRow = ({ gap, height, index }: GapRowProps) => (
  <div role='row' aria-rowindex={index + 2} className='px-4 md:px-6' style={{ height }}>
    <div role='gridcell' className='flex h-full items-center gap-3 text-xs text-warning'>
      <span className='h-px w-10 bg-warning/50' aria-hidden />
      {gapText(gap)}
      <span className='h-px flex-1 bg-warning/50' aria-hidden />
    </div>
  </div>
)
