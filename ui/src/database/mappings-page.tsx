import { Link, useNavigate } from '@tanstack/react-router'
import { clsx } from 'clsx'
import { Plus } from 'lucide-react'
import type { ReactNode } from 'react'
import { environments, type Environment } from '../app/api.ts'
import { useMay } from '../app/me.ts'
import { useList } from '../app/queries.ts'
import { usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { buttonLook } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs, toCurl } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { DatabaseFrame } from './frame.tsx'
import { mappingLink, scopeLink } from './links.ts'
import { isDifferent, runsWords, type Status } from './promotion-strip.tsx'
import { mappingsRoute } from './routes.ts'

const place = (environment: Environment): Column<Status> => ({
  id: environment,
  header: environment,
  width: 'minmax(9rem, 1fr)',
  cell: status => <Cell status={status} environment={environment} />,
  value: status => {
    const cell = status.environments[environment]
    return cell === undefined ? null : `${runsWords(status, environment)}${cell.active ? ', enabled' : ''}`
  }
})

const columns: Column<Status>[] = [
  {
    id: 'table',
    header: 'Table',
    width: 'minmax(9rem, 1.5fr)',
    sort: 'table',
    cell: ({ table }) => <span className='font-mono text-xs'>{table}</span>,
    value: ({ table }) => table
  },
  {
    id: 'topic',
    header: 'Topic',
    width: 'minmax(9rem, 1.5fr)',
    sort: 'topic',
    cell: ({ topic }) => <span className='font-mono text-xs'>{topic}</span>,
    value: ({ topic }) => topic
  },
  ...environments.map(place),
  {
    id: 'problems',
    header: 'Problems here',
    width: '8rem',
    cell: status => <ProblemCount problems={problemsHere(status)} />,
    value: status => problemsHere(status).map(({ message }) => message)
  },
  {
    id: 'id',
    header: 'ID',
    isHidden: true,
    cell: ({ id }) => <span className='font-mono text-xs'>{id}</span>,
    value: ({ id }) => id
  }
]

/** Enabling a mapping publishes its table, so that is no problem of a disabled one. */
const problemsHere = ({ problems, environments: grid }: Status): Status['problems'] =>
  environments.some(environment => grid[environment]?.active === true)
    ? problems
    : problems.filter(({ code }) => code !== 'NOT_PUBLISHED')

function ProblemCount ({ problems }: Pick<Status, 'problems'>) {
  return problems.length === 0
    ? (
      <span className='text-muted'>none</span>
      )
    : (
      <Badge tone='warning' title={problems.map(({ message }) => message).join('\n')}>
        {problems.length} {problems.length === 1 ? 'problem' : 'problems'}
      </Badge>
      )
}

/** A cell of the grid: the version, whether it is enabled, and whether it differs from the home environment. */
function Cell ({ status, environment }: { status: Status; environment: Environment }) {
  const cell = status.environments[environment]
  if (cell === undefined) return <span className='text-muted'>not visible</span>
  const isHome = status.environment === environment
  if (!isHome && cell.version === null) return <span className='text-muted'>–</span>
  return (
    <span className='flex items-center gap-1.5' title={runsWords(status, environment)}>
      <span
        aria-hidden
        className={clsx('size-2 shrink-0 rounded-full', cell.active ? 'bg-ok' : 'border border-control')}
      />
      <span className='sr-only'>{cell.active ? 'enabled' : 'disabled'}, </span>
      <span className='font-medium'>{cell.version === null ? 'draft' : `v${cell.version}`}</span>
      {isHome && cell.version !== null && status.changed && <span className='text-xs text-warning'>edited</span>}
      {isDifferent(status, environment) && <span className='text-xs text-warning'>differs</span>}
      {isHome && <span className='text-xs text-muted'>home</span>}
    </span>
  )
}

/** All mappings of the environment, with what runs in each environment. */
export function MappingsPage () {
  const search = mappingsRoute.useSearch()
  const { q, sort, order, topic, table } = search
  const navigate = useNavigate({ from: mappingsRoute.fullPath })
  const may = useMay()
  const query = { q, sort: sort as 'table' | undefined, order, topic, table }
  const mappings = useList('/api/database/mappings/status', { query }, { refetchInterval: 15_000 })
  const build = may('mappings:create') && (
    <Link {...scopeLink('/database/mappings/new')} className={buttonLook('primary')}>
      <Plus size={15} aria-hidden />
      New mapping
    </Link>
  )
  const isFiltered = q !== undefined || topic !== undefined || table !== undefined
  return (
    <DatabaseFrame
      isFilled
      actions={
        <>
          <CopyAs request={{ method: 'GET', path: '/api/database/mappings/status', query }} />
          {build}
        </>
      }
    >
      <DataList
        name='mappings'
        label='Mappings'
        rows={mappings.items}
        columns={columns}
        rowKey={({ id }) => id}
        link={({ id }) => mappingLink(id)}
        isFailure={status => problemsHere(status).length > 0}
        error={mappings.error}
        onRetry={mappings.reload}
        hasMore={mappings.hasMore}
        isLoadingMore={mappings.isLoadingMore}
        loadMore={mappings.loadMore}
        sorting={{ sort, order }}
        onSort={sorting => {
          void navigate({ search: { ...search, ...sorting } })
        }}
        toolbar={
          <>
            <SearchInput
              label='Filter mappings'
              value={q}
              onChange={q => {
                void navigate({ search: { ...search, q }, replace: true })
              }}
            />
            <Legend />
          </>
        }
        empty={isFiltered ? <Empty title='No mapping matches the filter' /> : <NoMappings action={build} />}
      />
    </DatabaseFrame>
  )
}

const Legend = () => (
  <span className='hidden items-center gap-3 text-xs text-muted lg:flex'>
    <span className='flex items-center gap-1.5'>
      <span className='size-2 rounded-full bg-ok' aria-hidden />
      enabled
    </span>
    <span className='flex items-center gap-1.5'>
      <span className='size-2 rounded-full border border-control' aria-hidden />
      disabled
    </span>
  </span>
)

function NoMappings ({ action }: { action: ReactNode }) {
  const scope = usePageScope()
  const body = {
    table: 'orders',
    topic: 'order.changed',
    events: ['insert', 'update'],
    payload: { orderId: '$row.id', status: '$row.status' }
  }
  return (
    <Empty title='There are no mappings yet' action={action}>
      <p className='mb-3'>
        A mapping makes events of the row changes of a table. Build one here on a real row, or with the API:
      </p>
      <CodeBlock
        text={toCurl({ method: 'POST', path: '/api/database/mappings', body }, scope)}
        className='text-left'
      />
    </Empty>
  )
}
