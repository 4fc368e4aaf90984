import { Link, useNavigate } from '@tanstack/react-router'
import { Plus } from 'lucide-react'
import type { ReactNode } from 'react'
import { useMay } from '../app/me.ts'
import { useList, type ItemOf } from '../app/queries.ts'
import type { DataOf } from '../app/api.ts'
import { usePageScope } from '../app/scope.ts'
import { useScopedLink } from '../app/scoped-link.ts'
import { Badge } from '../components/badge.tsx'
import { buttonLook } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs, toCurl } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { Select } from '../components/field.tsx'
import { Page } from '../components/page.tsx'
import { Person } from '../components/person.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { deploymentsRoute } from './routes.ts'
import { statuses, statusTones, statusWords } from './words.ts'

type Listed = ItemOf<DataOf<'/api/deployments'>>

const columns: Column<Listed>[] = [
  {
    id: 'title',
    header: 'Deployment',
    cell: deployment => deployment.title,
    value: deployment => deployment.title,
    width: 'minmax(14rem, 3fr)',
    sort: 'title'
  },
  {
    id: 'status',
    header: 'Status',
    cell: ({ status }) => <Badge tone={statusTones[status]}>{statusWords[status]}</Badge>,
    value: ({ status }) => status,
    width: '7.5rem'
  },
  {
    id: 'target',
    header: 'From → to',
    cell: ({ source, target }) => `${source} → ${target}`,
    value: ({ source, target }) => `${source} → ${target}`,
    width: '13rem'
  },
  {
    id: 'items',
    header: 'Items',
    cell: ({ items }) => items.length,
    value: ({ items }) => items.length,
    width: '4rem',
    align: 'right'
  },
  {
    id: 'createdBy',
    header: 'Author',
    cell: ({ createdBy }) => <Person id={createdBy} />,
    value: ({ createdBy }) => createdBy,
    width: 'minmax(7rem, 1fr)'
  },
  {
    id: 'createdAt',
    header: 'Created',
    cell: ({ createdAt }) => <Time at={createdAt} />,
    value: ({ createdAt }) => createdAt,
    sort: 'createdAt',
    width: '10rem'
  },
  {
    id: 'updatedAt',
    header: 'Changed',
    cell: ({ updatedAt }) => <Time at={updatedAt} />,
    value: ({ updatedAt }) => updatedAt,
    sort: 'updatedAt',
    width: '10rem',
    isHidden: true
  }
]

/** The deployments of the application, between all of its environments. */
export function DeploymentsPage () {
  const search = deploymentsRoute.useSearch()
  const navigate = useNavigate({ from: deploymentsRoute.fullPath })
  const link = useScopedLink()
  const may = useMay()
  const { q, sort, order, status } = search
  const query = { q, sort: sort as 'createdAt' | undefined, order, status }
  const deployments = useList('/api/deployments', { query }, { refetchInterval: 30_000 })
  const change = (changes: Partial<typeof search>, replace = false) => {
    void navigate({ search: { ...search, ...changes }, replace })
  }
  const compose = may('deployments:create') && (
    <Link {...link('/deployments/new')} className={buttonLook('primary')}>
      <Plus size={15} aria-hidden />
      Compose deployment
    </Link>
  )
  const isFiltered = q !== undefined || status !== undefined
  return (
    <Page
      title='Deployments'
      isFilled
      actions={
        <>
          <CopyAs request={{ method: 'GET', path: '/api/deployments', query }} />
          {compose}
        </>
      }
    >
      <DataList
        name='deployments'
        label='Deployments'
        rows={deployments.items}
        columns={columns}
        rowKey={({ id }) => id}
        link={({ id }) => link('/deployments/$id', { params: { id } })}
        error={deployments.error}
        onRetry={deployments.reload}
        hasMore={deployments.hasMore}
        isLoadingMore={deployments.isLoadingMore}
        loadMore={deployments.loadMore}
        sorting={{ sort: sort ?? 'createdAt', order: order ?? 'desc' }}
        onSort={change}
        toolbar={
          <>
            <SearchInput label='Filter deployments' value={q} onChange={q => change({ q }, true)} />
            <Select
              aria-label='Status'
              className='w-36!'
              value={status ?? 'all'}
              choices={[
                { value: 'all', label: 'All statuses' },
                ...statuses.map(value => ({ value, label: statusWords[value] }))
              ]}
              onChange={value => change({ status: value === 'all' ? undefined : value })}
            />
          </>
        }
        empty={isFiltered ? <Empty title='No deployment matches the filter' /> : <NoDeployments action={compose} />}
      />
    </Page>
  )
}

function NoDeployments ({ action }: { action: ReactNode }) {
  const scope = usePageScope()
  const body = {
    title: 'Orders',
    source: 'development',
    items: [{ kind: 'topic', name: 'order.placed' }]
  }
  return (
    <Empty title='Nothing has been deployed yet' action={action}>
      <p className='mb-3'>
        A deployment takes topics, schemas and mappings from one environment to the next, together and with checks.
      </p>
      <CodeBlock text={toCurl({ method: 'POST', path: '/api/deployments', body }, scope)} className='text-left' />
    </Empty>
  )
}
