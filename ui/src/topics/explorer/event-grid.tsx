import { ArrowUp } from 'lucide-react'
import { useEffect, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import { useObserved } from '../../app/observed.ts'
import { density, timeMode } from '../../app/preferences.ts'
import { Button } from '../../components/button.tsx'
import { formatCount } from '../../components/number.ts'
import { dayOf, leastWidth, type EventColumn } from './columns.ts'
import { rowAt, type EventLog, type LogSnapshot, type Row } from './event-log.ts'
import { EventRow, GapRow } from './event-row.tsx'
import { useStatuses } from './statuses.ts'

const overscan = 6
const pill = 'absolute top-9 left-1/2 z-20 -translate-x-1/2 rounded-full! shadow-over'

interface EventGridProps {
  topic: string
  log: EventLog
  snapshot: LogSnapshot
  columns: readonly EventColumn[]
  openOffset: number | undefined
  hrefOf: (offset: number) => string
  onOpen: (offset: number) => void
  isPaused: boolean
  onPause: () => void
  /** Whether the user may read traces. */
  hasStatuses: boolean
  onSlash: () => void
  empty: ReactNode
}

/**
 * The rows of the log. All have one height, so the place of each follows from its index, and only those in sight are
 * in the DOM. While the reader is elsewhere than at the top, nothing above moves what is in sight.
 */
export function EventGrid (props: EventGridProps) {
  const { topic, log, snapshot, columns, openOffset, hrefOf, onOpen, isPaused, onPause, hasStatuses, empty } = props
  const scroller = useRef<HTMLDivElement>(null)
  const height = useObserved(density) === 'compact' ? 32 : 40
  const mode = useObserved(timeMode)
  const [scrollTop, setScrollTop] = useState(0)
  const [viewport, setViewport] = useState(600)
  const [current, setCurrent] = useState<number | undefined>(undefined)
  const { above, count, inserted, hasOlder, hasNewer, isLoadingOlder, pending } = snapshot
  const total = above + count
  const loadNewer = () => {
    void log.loadNewer()
  }
  const isAtTop = scrollTop < 4

  useEffect(() => {
    log.setFollowing(isAtTop && !isPaused)
  }, [log, isAtTop, isPaused])

  useEffect(() => {
    const element = scroller.current
    if (element === null) return
    const observer = new ResizeObserver(() => setViewport(element.clientHeight))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])

  // Rows that were put above the shown ones push them down: the list follows them.
  const lastInserted = useRef(inserted)
  useLayoutEffect(() => {
    const added = inserted - lastInserted.current
    lastInserted.current = inserted
    if (added > 0 && scroller.current !== null) scroller.current.scrollTop += added * height
  }, [inserted, height])

  const first = Math.max(Math.floor(scrollTop / height) - overscan, 0)
  const end = Math.min(Math.ceil((scrollTop + viewport) / height) + overscan, total)
  useEffect(() => {
    if (hasOlder && !isLoadingOlder && !snapshot.isSearchPaused && !snapshot.isLoading && end >= total - 40) {
      void log.loadOlder()
    }
  }, [log, hasOlder, isLoadingOlder, snapshot, end, total])
  useEffect(() => {
    if (above > 0 && first < above && !isLoadingOlder) {
      void log.loadNewer()
    }
  }, [log, above, first, isLoadingOlder])

  const shown: (readonly [number, Row])[] = []
  for (let i = Math.max(first, above); i < end; i++) {
    const row = rowAt(snapshot, i)
    if (row !== undefined) shown.push([i, row])
  }
  const visible = shown.flatMap(([, row]) => (row.kind === 'event' ? [row.event] : []))
  const statuses = useStatuses(topic, visible, hasStatuses && columns.some(({ id }) => id === 'status'))
  const tracks = useMemo(() => ['4rem', '7.5rem', ...columns.map(({ width }) => width)], [columns])
  const grid = tracks.join(' ')
  const minWidth = leastWidth(tracks)
  const today = dayOf(Date.now(), mode)

  function moveTo (step: number | 'first' | 'last'): void {
    const at = shown.find(([, row]) => row.kind === 'event' && row.event.offset === current)?.[0]
    const start = Math.ceil(scrollTop / height) - (step === 1 ? 1 : 0)
    let next = step === 'first' ? 0 : step === 'last' ? total - 1 : (at ?? start) + step
    if (rowAt(snapshot, next)?.kind === 'gap') next += step === -1 || step === 'last' ? -1 : 1
    const row = rowAt(snapshot, next)
    if (row?.kind !== 'event') return
    setCurrent(row.event.offset)
    const element = scroller.current
    if (element === null) return
    element.focus({ preventScroll: true })
    const header = 30
    // A gap may follow the last event.
    if (step === 'last') element.scrollTop = element.scrollHeight
    else if (next * height < element.scrollTop) element.scrollTop = next * height
    else if ((next + 1) * height + header > element.scrollTop + element.clientHeight) {
      element.scrollTop = (next + 1) * height + header - element.clientHeight
    }
  }

  function onKeyDown (event: KeyboardEvent): void {
    if (event.metaKey || event.ctrlKey || event.altKey || event.target !== scroller.current) return
    const actions: Record<string, () => void> = {
      j: () => moveTo(1),
      ArrowDown: () => moveTo(1),
      k: () => moveTo(-1),
      ArrowUp: () => moveTo(-1),
      Home: () => moveTo('first'),
      End: () => moveTo('last'),
      Enter: () => {
        if (current !== undefined) onOpen(current)
      },
      e: () => {
        const at = visible.findIndex(({ offset }) => offset === current)
        const failed = visible.find(({ id }, i) => i > at && isFailed(statuses.get(id)))
        if (failed !== undefined) setCurrent(failed.offset)
      },
      ' ': onPause,
      '/': props.onSlash
    }
    const act = actions[event.key]
    if (act === undefined) return
    event.preventDefault()
    act()
  }

  if (!snapshot.isLoading && total === 0 && !hasOlder && pending === 0) { return <div className='overflow-auto'>{empty}</div> }
  return (
    <div className='relative flex min-h-0 flex-1 flex-col'>
      {hasNewer && isAtTop && (
        <Button icon={<ArrowUp size={14} aria-hidden />} className={pill} onClick={loadNewer}>
          Show newer events
        </Button>
      )}
      {pending > 0 && (
        <Button
          kind='primary'
          icon={<ArrowUp size={14} aria-hidden />}
          className={pill}
          onClick={() => {
            if (scroller.current !== null) scroller.current.scrollTop = 0
            setScrollTop(0)
            log.toLatest()
            if (isPaused) onPause()
          }}
        >
          {formatCount(pending)} new
        </Button>
      )}
      <div
        ref={scroller}
        role='grid'
        aria-label='Events'
        aria-rowcount={hasOlder ? -1 : total + 1}
        tabIndex={0}
        className='min-h-0 flex-1 overflow-auto [overflow-anchor:none]'
        onScroll={event => setScrollTop(event.currentTarget.scrollTop)}
        onKeyDown={onKeyDown}
        onClick={event => {
          const row = event.target instanceof Element ? event.target.closest('[data-offset]') : null
          const offset = Number(row?.getAttribute('data-offset'))
          if (row === null || event.metaKey || event.ctrlKey || event.shiftKey) return
          event.preventDefault()
          if (getSelection()?.toString() !== '') return
          setCurrent(offset)
          onOpen(offset)
        }}
      >
        <div role='rowgroup' className='sticky top-0 z-10 border-b border-line bg-page' style={{ minWidth }}>
          <div role='row' className='grid items-center gap-x-3 px-4 md:px-6' style={{ gridTemplateColumns: grid }}>
            <Header isRight>Offset</Header>
            <Header>Time</Header>
            {columns.map(({ id, header }) => (
              <Header key={id}>{header}</Header>
            ))}
          </div>
        </div>
        <div role='rowgroup' className='relative' style={{ height: total * height, minWidth }}>
          <div
            className='absolute inset-x-0'
            style={{ transform: `translateY(${Math.max(first, above) * height}px)` }}
          >
            {shown.map(([index, row]) =>
              row.kind === 'gap'
                ? (
                  <GapRow key={`gap-${row.from}-${row.reason}`} gap={row} height={height} index={index} />
                  )
                : (
                  <EventRow
                    key={row.event.id}
                    event={row.event}
                    columns={columns}
                    grid={grid}
                    height={height}
                    index={index}
                    href={hrefOf(row.event.offset)}
                    mode={mode}
                    today={today}
                    isOpen={row.event.offset === openOffset}
                    isCurrent={row.event.offset === current}
                    trace={statuses.get(row.event.id)}
                  />
                  )
            )}
          </div>
        </div>
        <Foot snapshot={snapshot} log={log} />
      </div>
    </div>
  )
}

const isFailed = (trace: { status: string } | null | undefined): boolean =>
  trace?.status === 'failed' || trace?.status === 'rejected'

const Header = ({ children, isRight = false }: { children: ReactNode; isRight?: boolean }) => (
  <div
    role='columnheader'
    className={`truncate py-1.5 text-xs font-medium text-muted ${isRight ? 'text-right' : ''}`}
  >
    {children}
  </div>
)

function Foot ({ snapshot, log }: { snapshot: LogSnapshot; log: EventLog }) {
  const { hasOlder, isLoadingOlder, isLoading, isSearchPaused, searchedTo, count } = snapshot
  const loadOlder = () => {
    void log.loadOlder()
  }
  if (isLoading) {
    return (
      <div className='late grid gap-4 px-4 py-2 md:px-6' role='status' aria-label='Loading'>
        {Array.from({ length: 8 }, (_, i) => (
          <div key={i} className='h-4 w-2/3 rounded-sm bg-hover' />
        ))}
      </div>
    )
  }
  if (hasOlder && isSearchPaused) {
    return (
      <p className='flex items-center gap-3 px-4 py-2 text-muted md:px-6'>
        Searched down to offset {formatCount(searchedTo ?? 0)}.
        <Button onClick={loadOlder}>Search further</Button>
      </p>
    )
  }
  if (isLoadingOlder || hasOlder) {
    return (
      <p className='px-4 py-2 text-muted md:px-6' role='status'>
        {searchedTo === undefined ? 'Loading older events…' : `Searching below offset ${formatCount(searchedTo)}…`}
      </p>
    )
  }
  return count > 0 ? <p className='px-4 py-2 text-xs text-muted md:px-6'>This is the beginning of the log.</p> : null
}
