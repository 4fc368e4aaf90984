import { Download, Pause, Play, Radio, RotateCw } from 'lucide-react'
import type { Ref } from 'react'
import { useLive, useLiveState } from '../../app/live.ts'
import { Badge } from '../../components/badge.tsx'
import { Button, IconButton } from '../../components/button.tsx'
import { CopyAs } from '../../components/copy-as.tsx'
import { exportRows } from '../../components/export.ts'
import { Menu, MenuItem, MenuLabel } from '../../components/menu.tsx'
import { formatCount } from '../../components/number.ts'
import { formatTime } from '../../components/time.tsx'
import type { ExplorerSearch } from '../routes.ts'
import { ColumnsMenu } from './columns-menu.tsx'
import type { EventColumn } from './columns.ts'
import { ringSize, type LogSnapshot } from './event-log.ts'
import { FilterBar } from './filter-bar.tsx'
import { Seek } from './seek.tsx'
import { ViewsMenu } from './views-menu.tsx'

/** The height of a chip. */
const small = 'h-7! px-2!'

interface ToolbarProps {
  topic: string
  search: ExplorerSearch
  /** The ids of the shown columns, and the columns. */
  ids: readonly string[]
  columns: readonly EventColumn[]
  paths: readonly string[]
  snapshot: LogSnapshot
  isLive: boolean
  isPaused: boolean
  onPause: () => void
  onChange: (changes: Partial<ExplorerSearch>, isStep?: boolean) => void
  onColumns: (ids: string[]) => void
  onReload: () => void
  addRef: Ref<HTMLButtonElement>
}

/** The filter, the place in the log, live or not, columns and views. */
export function Toolbar (props: ToolbarProps) {
  const { topic, search, ids, columns, paths, snapshot, isLive, isPaused, onPause, onChange, onColumns } = props
  const { filter, key, at, to, live } = search
  const isSeeking = at !== undefined || to !== undefined
  return (
    <div className='flex flex-wrap items-center gap-x-3 gap-y-1.5 border-b border-line px-4 py-2 md:px-6'>
      <FilterBar
        filter={filter}
        eventKey={key}
        paths={paths}
        error={snapshot.error}
        addRef={props.addRef}
        onChange={changes => onChange(changes, true)}
      />
      <StatusLine snapshot={snapshot} isLive={isLive} isPaused={isPaused} isSeeking={isSeeking} />
      <div className='ml-auto flex flex-wrap items-center gap-1'>
        <Seek at={at} to={to} onSeek={place => onChange({ ...place, event: undefined }, true)} />
        {isLive
          ? (
            <Button
              icon={isPaused ? <Play size={13} aria-hidden /> : <Pause size={13} aria-hidden />}
              title='Space, while the list has the focus'
              className={small}
              onClick={onPause}
            >
              {isPaused ? 'Resume' : 'Pause'}
            </Button>
            )
          : (
            <Button icon={<RotateCw size={13} aria-hidden />} className={small} onClick={props.onReload}>
              Read again
            </Button>
            )}
        {!isSeeking && (
          <Button
            aria-pressed={live !== 'off'}
            title={live === 'off' ? 'Receive new events' : 'Stop receiving new events'}
            icon={<Radio size={13} aria-hidden />}
            className={`${small} ${live === 'off' ? 'text-muted!' : 'bg-selected!'}`}
            onClick={() => onChange({ live: live === 'off' ? undefined : 'off' }, true)}
          >
            Live
          </Button>
        )}
        <ColumnsMenu shown={ids} paths={paths} onChange={onColumns} />
        <ViewsMenu
          topic={topic}
          current={{ filter, key, columns: [...ids] }}
          onApply={({ filter, key, columns }) => onChange({ filter, key, columns, event: undefined }, true)}
        />
        <CopyAs request={historyRequest(topic, search)} code={subscribeCode(topic, search)} />
        <ExportMenu topic={topic} columns={columns} snapshot={snapshot} />
      </div>
    </div>
  )
}

interface StatusLineProps {
  snapshot: LogSnapshot
  isLive: boolean
  isPaused: boolean
  isSeeking: boolean
}

function StatusLine ({ snapshot, isLive, isPaused, isSeeking }: StatusLineProps) {
  const { count, above, hasOlder, received, liveError, pending } = snapshot
  const kept = snapshot.rows.length
  return (
    <div className='flex flex-wrap items-center gap-x-3 gap-y-1 text-xs text-muted'>
      {isLive ? <LiveWord isPaused={isPaused} /> : <Badge>{isSeeking ? 'from the log' : 'not live'}</Badge>}
      <span data-testid='counters' data-received={received} data-kept={kept} data-pending={pending}>
        {formatCount(above + count)}
        {hasOlder ? '+' : ''} {count === 1 ? 'row' : 'rows'}
        {received > 0 && ` · ${formatCount(received)} received live`}
        {kept >= ringSize && ` · ${formatCount(ringSize)} are kept in memory`}
      </span>
      {liveError !== null && (
        <span className='text-critical' role='alert'>
          Not live: {liveError.message} ({liveError.code})
        </span>
      )}
    </div>
  )
}

function LiveWord ({ isPaused }: { isPaused: boolean }) {
  const live = useLiveState(useLive())
  if (isPaused) return <Badge tone='warning'>paused</Badge>
  if (live?.state === 'connected') return <Badge tone='ok'>live</Badge>
  const since = live === null ? '' : ` since ${formatTime(live.since, 'local').slice(11, 19)}`
  return <Badge tone='warning'>{(live?.state ?? 'connecting') + since}</Badge>
}

interface ExportMenuProps {
  topic: string
  columns: readonly EventColumn[]
  snapshot: LogSnapshot
}

function ExportMenu ({ topic, columns, snapshot }: ExportMenuProps) {
  const save = (format: 'csv' | 'ndjson') => {
    const events = snapshot.rows
      .slice(0, snapshot.count)
      .flatMap(row => (row.kind === 'event' ? [row.event] : []))
      .reverse()
    exportRows(topic, format, events, [
      { id: 'offset', header: 'Offset', cell: () => null, value: ({ offset }) => offset },
      {
        id: 'timestamp',
        header: 'Time',
        cell: () => null,
        value: ({ timestamp }) => new Date(timestamp).toISOString()
      },
      { id: 'id', header: 'ID', cell: () => null, value: ({ id }) => id },
      ...columns.filter(({ id }) => id !== 'status').map(column => ({ ...column, cell: () => null }))
    ])
  }
  return (
    <Menu trigger={<IconButton label='Export' icon={<Download size={15} />} />}>
      <MenuLabel>Export the rows that are loaded</MenuLabel>
      <MenuItem onSelect={() => save('csv')}>CSV</MenuItem>
      <MenuItem onSelect={() => save('ndjson')}>NDJSON</MenuItem>
    </Menu>
  )
}

const historyRequest = (topic: string, { filter, key, at, to }: ExplorerSearch) => ({
  method: 'GET' as const,
  path: '/api/topics/{name}/events',
  params: { name: topic },
  query: {
    order: 'desc',
    key,
    to,
    before: at === undefined ? undefined : at + 1,
    filter: filter && JSON.stringify(filter)
  }
})

function subscribeCode (topic: string, { filter, key, at, to }: ExplorerSearch): string {
  const name = `client.topic('${topic}')`
  const print = 'console.log(event.offset, event.payload)'
  if (at === undefined && to === undefined && key === undefined) {
    return `${name}.subscribe(event => ${print}${filter === undefined ? '' : `, ${JSON.stringify({ filter })}`})`
  }
  const options = { order: 'desc', filter, key, to, before: at === undefined ? undefined : at + 1 }
  return `for await (const event of ${name}.history(${JSON.stringify(options)})) {\n  ${print}\n}`
}
