import { useRouterState } from '@tanstack/react-router'
import { useMemo, useRef, useState } from 'react'
import { useMay } from '../../app/me.ts'
import { WithPanel } from '../../components/detail-panel.tsx'
import { ErrorState, Refused } from '../../components/states.tsx'
import type { ExplorerSearch } from '../routes.ts'
import { columnsOf, defaultColumns, payloadColumn } from './columns.ts'
import { EventGrid } from './event-grid.tsx'
import { EventPanel } from './event-panel.tsx'
import type { LogSnapshot } from './event-log.ts'
import { conditionsOf, filterOf, pathsOf } from './filter.ts'
import { NoEvents } from './no-events.tsx'
import { Toolbar } from './toolbar.tsx'
import { useEventLog } from './use-event-log.ts'
import { useRememberedColumns } from './views.ts'

interface ExplorerProps {
  topic: string
  isSystem: boolean
  search: ExplorerSearch
  /** Changes the URL. A step can be gone back from. */
  onChange: (changes: Partial<ExplorerSearch>, isStep?: boolean) => void
}

/** The log of a topic: live or at a place, filtered, with chosen columns, and the details of one event beside it. */
export function Explorer ({ topic, isSystem, search, onChange }: ExplorerProps) {
  const may = useMay()
  const { filter, key, at, to, event: openOffset } = search
  const isLive = search.live !== 'off' && at === undefined && to === undefined
  const [isPaused, setPaused] = useState(false)
  const { log, snapshot } = useEventLog({ topic, filter, key, at, to, isLive })
  const { remembered, rememberColumns } = useRememberedColumns(topic)
  const ids = search.columns ?? remembered ?? defaultColumns
  const columns = useMemo(
    () => columnsOf(ids).filter(({ id }) => id !== 'status' || may('debugger:read')),
    // The ids are compared by their text.
    [JSON.stringify(ids), may('debugger:read')]
  )
  const paths = usePaths(snapshot)
  const addRef = useRef<HTMLButtonElement>(null)
  const hrefOf = useHref()
  const setColumns = (next: string[]) => {
    rememberColumns(next)
    onChange({ columns: next })
  }
  const { error } = snapshot
  const isFilterRefused = error?.details?.some(({ path = '' }) => path.startsWith('/filter')) === true

  if (!may('events:read')) return <Refused message='Permission required: events:read' />
  return (
    <WithPanel
      panel={
        openOffset === undefined
          ? null
          : (
            <EventPanel
              topic={topic}
              offset={openOffset}
              snapshot={snapshot}
              columns={ids}
              onColumn={(path, isShown) => {
                const id = payloadColumn(path)
                setColumns(isShown ? [...ids, id] : ids.filter(known => known !== id))
              }}
              onFilter={(path, value) => {
                onChange({ filter: filterOf([...conditionsOf(filter), { path, operator: 'eq', value }]) }, true)
              }}
              onKey={key => onChange({ key }, true)}
              onClose={() => onChange({ event: undefined })}
            />
            )
      }
    >
      <Toolbar
        topic={topic}
        search={search}
        ids={ids}
        paths={paths}
        columns={columns}
        snapshot={snapshot}
        isLive={isLive}
        isPaused={isPaused}
        onPause={() => setPaused(!isPaused)}
        onChange={onChange}
        onColumns={setColumns}
        onReload={() => log.open()}
        addRef={addRef}
      />
      {error !== null && (snapshot.count === 0 || isFilterRefused)
        ? (
          <ErrorState error={error} onRetry={() => log.open()} />
          )
        : (
          <EventGrid
            topic={topic}
            log={log}
            snapshot={snapshot}
            columns={columns}
            openOffset={openOffset}
            hrefOf={hrefOf}
            onOpen={offset => onChange({ event: offset }, openOffset === undefined)}
            isPaused={isPaused}
            onPause={() => setPaused(!isPaused)}
            hasStatuses={may('debugger:read')}
            onSlash={() => addRef.current?.focus()}
            empty={
              <NoEvents topic={topic} isSystem={isSystem} isFiltered={filter !== undefined || key !== undefined} />
          }
          />
          )}
    </WithPanel>
  )
}

/** The paths of the newest payloads, read again when the log has grown noticeably. */
function usePaths (snapshot: LogSnapshot): string[] {
  const { rows, count } = snapshot
  const step = count < 20 ? count : 20 + Math.floor(count / 1000)
  return useMemo(() => {
    const newest = rows.slice(Math.max(count - 20, 0), count)
    return [...new Set(newest.flatMap(row => (row.kind === 'event' ? pathsOf(row.event.payload) : [])))].slice(0, 200)
    // The rows change with each flush; their paths hardly do.
  }, [step])
}

/** Returns the address of an event, for links that can be copied and opened in a tab. */
function useHref (): (offset: number) => string {
  const { pathname, searchStr } = useRouterState({
    select: ({ location: { pathname, searchStr } }) => ({ pathname, searchStr }),
    structuralSharing: true
  })
  return useMemo(() => {
    const search = new URLSearchParams(searchStr)
    return offset => {
      search.set('event', String(offset))
      return `${pathname}?${search}`
    }
  }, [pathname, searchStr])
}
