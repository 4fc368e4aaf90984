import { Link, useNavigate } from '@tanstack/react-router'
import { Plus } from 'lucide-react'
import type { ReactNode } from 'react'
import { useMay } from '../app/me.ts'
import { useList } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { buttonLook } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs, toCurl } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { Select } from '../components/field.tsx'
import { formatCount } from '../components/number.ts'
import { Person } from '../components/person.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { DebuggerFrame } from './debugger-frame.tsx'
import { replaysRoute } from './routes.ts'
import { replayStates, replayTones, targetWords, type Replay } from './words.ts'

const columns: Column<Replay>[] = [
  {
    id: 'topic',
    header: 'Events of',
    cell: replay => replay.topic ?? 'Chosen events',
    value: replay => replay.topic,
    width: 'minmax(10rem, 2fr)'
  },
  {
    id: 'state',
    header: 'State',
    cell: replay => <Badge tone={replayTones[replay.state] ?? 'neutral'}>{replay.state}</Badge>,
    value: replay => replay.state,
    width: '7rem'
  },
  {
    id: 'progress',
    header: 'Progress',
    cell: replay => `${formatCount(replay.done)} of ${formatCount(replay.total)}`,
    value: replay => replay.done,
    align: 'right',
    width: '9rem'
  },
  {
    id: 'target',
    header: 'To',
    cell: replay => (replay.webhookId === null ? targetWords[replay.target] : `Webhook ${replay.webhookId}`),
    value: replay => replay.target,
    width: 'minmax(10rem, 1fr)'
  },
  {
    id: 'rate',
    header: 'Events/s',
    cell: replay => formatCount(replay.ratePerSecond),
    value: replay => replay.ratePerSecond,
    align: 'right',
    width: '6rem'
  },
  {
    id: 'requestedBy',
    header: 'Requested by',
    cell: replay => <Person id={replay.requestedBy} />,
    value: replay => replay.requestedBy,
    width: 'minmax(8rem, 1fr)'
  },
  {
    id: 'createdAt',
    header: 'Requested',
    cell: replay => <Time at={replay.createdAt} />,
    value: replay => replay.createdAt,
    width: '8rem'
  },
  { id: 'id', header: 'ID', cell: replay => replay.id, value: replay => replay.id, isHidden: true, width: '14rem' }
]

/** The replays of the environment. Finished ones are kept for a week. */
export function ReplaysPage () {
  const search = replaysRoute.useSearch()
  const navigate = useNavigate({ from: replaysRoute.fullPath })
  const scope = usePageScope()
  const may = useMay()
  const { q, state } = search
  const replays = useList('/api/debugger/replays', { query: { q, state } }, { refetchInterval: 3000 })
  const create = may('debugger:create') && (
    <Link to={`${scopePath}/debugger/replays/new`} params={{ ...scope }} className={buttonLook('primary')}>
      <Plus size={15} aria-hidden />
      Create replay
    </Link>
  )
  return (
    <DebuggerFrame
      isFilled
      actions={
        <>
          <CopyAs request={{ method: 'GET', path: '/api/debugger/replays', query: { q, state } }} />
          {create}
        </>
      }
    >
      <DataList
        name='replays'
        label='Replays'
        rows={replays.items}
        columns={columns}
        rowKey={replay => replay.id}
        link={({ id }) => ({ to: `${scopePath}/debugger/replays/$id`, params: { ...scope, id } })}
        isFailure={replay => replay.state === 'failed'}
        error={replays.error}
        onRetry={replays.reload}
        hasMore={replays.hasMore}
        isLoadingMore={replays.isLoadingMore}
        loadMore={replays.loadMore}
        toolbar={
          <>
            <SearchInput
              value={q}
              label='Filter replays'
              onChange={q => {
                void navigate({ search: { ...search, q }, replace: true })
              }}
            />
            <Select
              aria-label='State'
              className='w-auto!'
              choices={[
                { value: 'all', label: 'All states' },
                ...replayStates.map(value => ({ value, label: value }))
              ]}
              value={state ?? 'all'}
              onChange={state => {
                void navigate({ search: { ...search, state: state === 'all' ? undefined : state } })
              }}
            />
          </>
        }
        empty={
          q === undefined && state === undefined
            ? (
              <NoReplays action={create} />
              )
            : (
              <Empty title='No replay matches the filter' />
              )
        }
      />
    </DebuggerFrame>
  )
}

function NoReplays ({ action }: { action: ReactNode }) {
  const scope = usePageScope()
  const body = { topic: 'order.placed', fromOffset: 1, toOffset: 100, target: 'all', dryRun: true }
  return (
    <Empty title='There are no replays' action={action}>
      <p className='mb-3'>
        A replay sends stored events again, to live subscriptions, to webhooks, or to both. Count the events first:
      </p>
      <CodeBlock text={toCurl({ method: 'POST', path: '/api/debugger/replay', body }, scope)} className='text-left' />
    </Empty>
  )
}
