import { useNavigate } from '@tanstack/react-router'
import { Pause, Play } from 'lucide-react'
import { useCallback, useEffect, useMemo, useState } from 'react'
import { useList } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs, toCurl } from '../components/copy-as.tsx'
import { DataList } from '../components/data-list.tsx'
import { Select } from '../components/field.tsx'
import { RangePicker, timesOf } from '../components/range-picker.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { DebuggerFrame } from './debugger-frame.tsx'
import { useLiveTraces, type LiveTraces } from './live-traces.ts'
import { tracesRoute, type TracesSearch } from './routes.ts'
import { SamplingButton } from './sampling.tsx'
import { traceColumns } from './trace-columns.tsx'
import { sources, statusWords, traceStatuses } from './words.ts'

/** Shows the traces of the events of the environment, newest first, as they arrive. */
export function TracesPage () {
  const search = tracesRoute.useSearch()
  const navigate = useNavigate({ from: tracesRoute.fullPath })
  const scope = usePageScope()
  const [isPaused, setPaused] = useState(false)
  const [isAtTop, setAtTop] = useState(true)
  const [openedAt] = useState(() => Date.now())
  const { topic, status, source } = search
  const hasRange = search.range !== undefined || search.from !== undefined
  const { from, to } = timesOf(search, '24h', openedAt)
  const query = {
    topic,
    status,
    source,
    ...(hasRange && { from }),
    ...(search.to !== undefined && { to })
  }
  const list = useList('/api/debugger/traces', { query })
  const known = useMemo(() => new Set((list.items ?? []).map(({ eventId }) => eventId)), [list.items])
  const live = useLiveTraces(
    scope,
    { topic, status, source },
    { isEnabled: search.to === undefined, isHeld: isPaused || !isAtTop, known }
  )
  const rows = useMemo(
    () =>
      list.items === undefined
        ? undefined
        : [
            ...live.rows.filter(({ eventId }) => !known.has(eventId)),
            ...list.items.map(trace => live.updates.get(trace.eventId) ?? trace)
          ],
    [list.items, live, known]
  )
  const change = useCallback(
    (changes: TracesSearch) => {
      void navigate({ search: { ...search, ...changes }, replace: true })
    },
    [navigate, search]
  )
  useSpace(() => setPaused(isPaused => !isPaused))
  const isFiltered = Object.values(search).some(value => value !== undefined)
  return (
    <DebuggerFrame
      isFilled
      actions={
        <>
          {search.to === undefined && <StreamBadge live={live} isPaused={isPaused} />}
          <Button
            icon={isPaused ? <Play size={14} aria-hidden /> : <Pause size={14} aria-hidden />}
            title='Space'
            onClick={() => setPaused(!isPaused)}
          >
            {isPaused ? 'Resume' : 'Pause'}
          </Button>
          <CopyAs request={{ method: 'GET', path: '/api/debugger/traces', query }} />
          <SamplingButton />
        </>
      }
    >
      <div
        className='relative flex min-h-0 flex-1 flex-col'
        onScrollCapture={event => {
          if (event.target instanceof HTMLElement) setAtTop(event.target.scrollTop < 8)
        }}
      >
        {live.waiting > 0 && (
          <button
            type='button'
            className='absolute bottom-4 left-1/2 z-20 -translate-x-1/2 rounded-full bg-accent px-3 py-1 text-on-accent shadow-over'
            onClick={() => {
              setPaused(false)
              document.querySelector('[data-scroll-restoration-id="list-traces"]')?.scrollTo({ top: 0 })
              setAtTop(true)
            }}
          >
            {live.waiting} new
          </button>
        )}
        {live.dropped > 0 && (
          <p className='px-6 py-1 text-warning' role='status'>
            {live.dropped} traces are missing, because the server could not keep up.
          </p>
        )}
        <DataList
          name='traces'
          label='Traces'
          rows={rows}
          columns={traceColumns}
          rowKey={trace => trace.eventId}
          link={({ eventId }) => ({
            to: `${scopePath}/debugger/traces/$eventId`,
            params: { ...scope, eventId }
          })}
          isFailure={({ status }) => status === 'failed' || status === 'rejected'}
          error={list.error}
          onRetry={list.reload}
          hasMore={list.hasMore}
          isLoadingMore={list.isLoadingMore}
          loadMore={list.loadMore}
          toolbar={<Toolbar search={search} onChange={change} />}
          empty={
            isFiltered
              ? (
                <Empty
                  title='No trace matches the filter'
                  action={<Button onClick={() => { void navigate({ search: {} }) }}>Clear the filter</Button>}
                />
                )
              : (
                <NoTraces />
                )
          }
        />
      </div>
    </DebuggerFrame>
  )
}

function Toolbar ({ search, onChange }: { search: TracesSearch; onChange: (changes: TracesSearch) => void }) {
  return (
    <>
      <SearchInput value={search.topic} label='Topic or pattern' onChange={topic => onChange({ topic })} />
      <Select
        aria-label='Outcome'
        className='w-auto!'
        choices={[
          { value: 'all', label: 'All outcomes' },
          ...traceStatuses.map(value => ({ value, label: statusWords[value].word }))
        ]}
        value={search.status ?? 'all'}
        onChange={status => onChange({ status: status === 'all' ? undefined : status })}
      />
      <Select
        aria-label='Source'
        className='w-auto!'
        choices={[{ value: 'all', label: 'All sources' }, ...sources.map(value => ({ value, label: value }))]}
        value={search.source ?? 'all'}
        onChange={source => onChange({ source: source === 'all' ? undefined : source })}
      />
      <RangePicker value={search} fallback='24h' onChange={onChange} />
    </>
  )
}

function StreamBadge ({ live, isPaused }: { live: LiveTraces; isPaused: boolean }) {
  if (isPaused) return <Badge tone='warning'>Paused</Badge>
  if (live.state === 'live') return <Badge tone='ok'>Live</Badge>
  return (
    <Badge tone='warning'>
      {live.state === 'connecting'
        ? (
            'Connecting'
          )
        : (
          <>
            Reconnecting since <Time at={live.since} isExact />
          </>
          )}
    </Badge>
  )
}

/** Calls a function when the space bar is pressed outside of fields and buttons. */
function useSpace (act: () => void): void {
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const isOnControl =
        event.target instanceof Element &&
        event.target.closest('input, textarea, select, button, a, summary') !== null
      if (event.key !== ' ' || isOnControl || document.querySelector('[role="dialog"]') !== null) return
      event.preventDefault()
      act()
    }
    addEventListener('keydown', onKeyDown)
    return () => removeEventListener('keydown', onKeyDown)
  })
}

function NoTraces () {
  const scope = usePageScope()
  const request = {
    method: 'POST',
    path: '/api/topics/{name}/events',
    params: { name: 'order.placed' },
    body: { events: [{ payload: { total: 142 } }] }
  } as const
  return (
    <Empty title='There are no traces yet'>
      <p className='mb-3'>Every event leaves a trace, also one that is rejected. Publish one to see its way:</p>
      <CodeBlock text={toCurl(request, scope)} className='text-left' />
    </Empty>
  )
}
