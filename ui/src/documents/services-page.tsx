import { useNavigate } from '@tanstack/react-router'
import { MoreHorizontal, Plus } from 'lucide-react'
import { useMemo, useState, type ReactNode } from 'react'
import { useMay } from '../app/me.ts'
import { useList } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Button, IconButton } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs, toCurl } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { Menu, MenuItem } from '../components/menu.tsx'
import { Page } from '../components/page.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { servicesRoute } from './routes.ts'
import { CreateService, DeleteService, DescribeService, type Service } from './service-dialogs.tsx'

/** The services of the application: its namespaces of documents. */
export function ServicesPage () {
  const search = servicesRoute.useSearch()
  const navigate = useNavigate({ from: servicesRoute.fullPath })
  const scope = usePageScope()
  const may = useMay()
  const [isCreating, setCreating] = useState(false)
  const [described, setDescribed] = useState<Service>()
  const [deleted, setDeleted] = useState<Service>()
  const { q, sort, order } = search
  const services = useList('/api/services', { query: { q, sort: sort as 'name' | undefined, order } })
  const mayUpdate = may('services:update')
  const mayDelete = may('services:delete')
  const columns = useMemo(
    () =>
      columnsOf(service =>
        mayUpdate || mayDelete
          ? (
            <Menu trigger={<IconButton label={`Actions of ${service.name}`} icon={<MoreHorizontal size={15} />} />}>
              {mayUpdate && <MenuItem onSelect={() => setDescribed(service)}>Change the description</MenuItem>}
              {mayDelete && (
                <MenuItem isDanger onSelect={() => setDeleted(service)}>
                  Delete service
                </MenuItem>
              )}
            </Menu>
            )
          : null
      ),
    [mayUpdate, mayDelete]
  )
  const create = may('services:create') && (
    <Button kind='primary' icon={<Plus size={15} aria-hidden />} onClick={() => setCreating(true)}>
      Create service
    </Button>
  )
  return (
    <Page
      title='Documents'
      description='Services are namespaces of documents. Environments share them; each has its own documents.'
      isFilled
      actions={
        <>
          <CopyAs request={{ method: 'GET', path: '/api/services', query: { q, sort, order } }} />
          {create}
        </>
      }
    >
      <DataList
        name='services'
        label='Services'
        rows={services.items}
        columns={columns}
        rowKey={service => service.id}
        link={({ name }) => ({ to: `${scopePath}/documents/$service`, params: { ...scope, service: name } })}
        error={services.error}
        onRetry={services.reload}
        hasMore={services.hasMore}
        isLoadingMore={services.isLoadingMore}
        loadMore={services.loadMore}
        sorting={{ sort, order }}
        onSort={sorting => {
          void navigate({ search: { ...search, ...sorting } })
        }}
        toolbar={
          <SearchInput
            value={q}
            onChange={q => {
              void navigate({ search: { ...search, q }, replace: true })
            }}
            label='Filter services'
          />
        }
        empty={q === undefined ? <NoServices action={create} /> : <Empty title={`No service contains “${q}”`} />}
      />
      <CreateService isOpen={isCreating} onClose={() => setCreating(false)} />
      {described !== undefined && <DescribeService service={described} onClose={() => setDescribed(undefined)} />}
      {deleted !== undefined && <DeleteService service={deleted} onClose={() => setDeleted(undefined)} />}
    </Page>
  )
}

const columnsOf = (actions: (service: Service) => ReactNode): Column<Service>[] => [
  {
    id: 'name',
    header: 'Service',
    cell: ({ name }) => name,
    value: ({ name }) => name,
    width: 'minmax(10rem, 1fr)',
    sort: 'name'
  },
  {
    id: 'description',
    header: 'Description',
    cell: ({ description }) => description,
    value: ({ description }) => description,
    width: 'minmax(12rem, 2fr)'
  },
  {
    id: 'createdAt',
    header: 'Created',
    cell: ({ createdAt }) => <Time at={createdAt} />,
    value: ({ createdAt }) => createdAt,
    sort: 'createdAt',
    width: '9rem'
  },
  {
    id: 'updatedAt',
    header: 'Changed',
    cell: ({ updatedAt }) => <Time at={updatedAt} />,
    value: ({ updatedAt }) => updatedAt,
    sort: 'updatedAt',
    width: '9rem'
  },
  { id: 'actions', header: 'Actions', cell: actions, width: '4.5rem' }
]

function NoServices ({ action }: { action: ReactNode }) {
  const scope = usePageScope()
  const body = { id: 'cart-1', data: { items: [], total: 0 } }
  const params = { service: 'cart' }
  return (
    <Empty title='There are no services yet' action={action}>
      <p className='mb-3'>
        Documents are JSON objects whose changes reach all clients. The first document of a service creates the
        service:
      </p>
      <CodeBlock
        className='text-left'
        text={toCurl({ method: 'POST', path: '/api/sync/{service}/documents', params, body }, scope)}
      />
    </Empty>
  )
}
