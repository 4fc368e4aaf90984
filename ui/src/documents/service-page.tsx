import { useNavigate } from '@tanstack/react-router'
import { Plus, RefreshCw } from 'lucide-react'
import { useEffect, useMemo, useState, type ReactNode } from 'react'
import type { DataOf } from '../app/api.ts'
import { useLive } from '../app/live.ts'
import { useMay } from '../app/me.ts'
import { useGet, useList, type ItemOf } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs, toCurl } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { Checkbox, Select } from '../components/field.tsx'
import { Page } from '../components/page.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { CreateDocument } from './create-document.tsx'
import { periods, serviceRoute, type DocumentsSearch } from './routes.ts'
import { DeleteService, DescribeService } from './service-dialogs.tsx'

type Document = ItemOf<DataOf<'/api/sync/{service}/documents'>>

const periodMs = { '15m': 900_000, '1h': 3_600_000, '24h': 86_400_000, '7d': 604_800_000 }
const periodLabels = { '15m': 'last 15 minutes', '1h': 'last hour', '24h': 'last day', '7d': 'last 7 days' }

/** The documents of a service. */
export function ServicePage () {
  const { service: name } = serviceRoute.useParams()
  const search = serviceRoute.useSearch()
  const navigate = useNavigate({ from: serviceRoute.fullPath })
  const scope = usePageScope()
  const may = useMay()
  const [dialog, setDialog] = useState<'create' | 'describe' | 'delete'>()
  const { q, sort, order, changed, deleted } = search
  // The time is kept until the filter changes, so that the pages belong together.
  const updatedAfter = useMemo(() => (changed === undefined ? undefined : Date.now() - periodMs[changed]), [changed])
  const query = { q, sort: sort as 'id' | undefined, order, updatedAfter, includeDeleted: deleted }
  const documents = useList('/api/sync/{service}/documents', { path: { service: name }, query })
  const services = useGet('/api/services', { query: { q: name, limit: 100 } }, { enabled: may('services:read') })
  const service = services.data?.services.find(service => service.name === name)
  const change = (changes: DocumentsSearch) => {
    void navigate({ search: { ...search, ...changes }, replace: true })
  }
  const create = may('documents:create') && (
    <Button kind='primary' icon={<Plus size={15} aria-hidden />} onClick={() => setDialog('create')}>
      Create document
    </Button>
  )
  const isFiltered = q !== undefined || changed !== undefined
  return (
    <Page
      title={name}
      crumbs={[{ label: 'Documents', link: { to: `${scopePath}/documents`, params: scope } }]}
      description={service?.description ?? undefined}
      isFilled
      actions={
        <>
          <CopyAs
            request={{ method: 'GET', path: '/api/sync/{service}/documents', params: { service: name }, query }}
          />
          {service !== undefined && may('services:update') && (
            <Button onClick={() => setDialog('describe')}>Settings</Button>
          )}
          {service !== undefined && may('services:delete') && (
            <Button kind='danger' onClick={() => setDialog('delete')}>
              Delete service
            </Button>
          )}
          {create}
        </>
      }
    >
      <DataList
        name={`documents-${name}`}
        label='Documents'
        rows={documents.items}
        columns={columns}
        rowKey={({ id }) => id}
        link={({ id }) => ({ to: `${scopePath}/documents/$service/$id`, params: { ...scope, service: name, id } })}
        error={documents.error}
        onRetry={documents.reload}
        hasMore={documents.hasMore}
        isLoadingMore={documents.isLoadingMore}
        loadMore={documents.loadMore}
        sorting={{ sort, order }}
        onSort={change}
        toolbar={
          <>
            <SearchInput value={q} onChange={q => change({ q })} label='Filter by id' />
            <div className='w-52'>
              <Select
                aria-label='Changed'
                value={changed ?? ''}
                choices={[
                  { value: '', label: 'Changed at any time' },
                  ...periods.map(value => ({ value, label: `Changed in the ${periodLabels[value]}` }))
                ]}
                onChange={value => change({ changed: value === '' ? undefined : value })}
              />
            </div>
            <Checkbox
              label='Include deleted'
              checked={deleted === true}
              onChange={event => change({ deleted: event.target.checked ? true : undefined })}
            />
            <Changes service={name} onReload={documents.reload} />
          </>
        }
        empty={
          isFiltered
            ? (
              <Empty title='No document matches the filter' />
              )
            : (
              <NoDocuments service={name} action={create} />
              )
        }
      />
      {dialog === 'create' && <CreateDocument service={name} onClose={() => setDialog(undefined)} />}
      {dialog === 'describe' && service !== undefined && (
        <DescribeService service={service} onClose={() => setDialog(undefined)} />
      )}
      {dialog === 'delete' && service !== undefined && (
        <DeleteService service={service} onClose={() => setDialog(undefined)} />
      )}
    </Page>
  )
}

const columns: Column<Document>[] = [
  {
    id: 'id',
    header: 'Document',
    cell: ({ id }) => id,
    value: ({ id }) => id,
    width: 'minmax(9rem, 1fr)',
    sort: 'id'
  },
  {
    id: 'state',
    header: 'State',
    cell: ({ deleted }) => deleted === true && <Badge>Deleted</Badge>,
    value: ({ deleted }) => (deleted === true ? 'deleted' : 'present'),
    width: '5.5rem'
  },
  {
    id: 'revision',
    header: 'Revision',
    cell: ({ revision }) => revision.toLocaleString('en'),
    value: ({ revision }) => revision,
    align: 'right',
    width: '4.5rem'
  },
  {
    id: 'data',
    header: 'Data',
    cell: ({ data }) => <span className='font-mono text-xs text-muted'>{JSON.stringify(data)?.slice(0, 300)}</span>,
    value: ({ data }) => data,
    width: 'minmax(12rem, 3fr)'
  },
  {
    id: 'updatedAt',
    header: 'Changed',
    cell: ({ updatedAt }) => <Time at={updatedAt} />,
    value: ({ updatedAt }) => updatedAt,
    width: '7.5rem'
  },
  {
    id: 'createdAt',
    header: 'Created',
    cell: ({ createdAt }) => <Time at={createdAt} />,
    value: ({ createdAt }) => createdAt,
    sort: 'createdAt',
    width: '7.5rem'
  },
  {
    id: 'expiresAt',
    header: 'Expires',
    cell: ({ expiresAt }) => <Time at={expiresAt} />,
    value: ({ expiresAt }) => expiresAt,
    width: '7.5rem',
    isHidden: true
  }
]

/** Counts the documents that have changed since the list was read. The list itself stays as it is being read. */
function Changes ({ service, onReload }: { service: string; onReload: () => void }) {
  const live = useLive()
  const [changed, setChanged] = useState<ReadonlySet<string>>(new Set())
  useEffect(() => {
    const controller = new AbortController()
    live.topic(`sync.${service}.*`).subscribe(
      ({ key }) => {
        if (key !== null) setChanged(current => (current.has(key) ? current : new Set([...current, key])))
      },
      // A role without events:read still has the list.
      { returnMode: 'diff', signal: controller.signal, onError: () => {} }
    )
    return () => {
      controller.abort()
      setChanged(new Set())
    }
  }, [live, service])
  if (changed.size === 0) return null
  return (
    <Button
      icon={<RefreshCw size={14} aria-hidden />}
      onClick={() => {
        setChanged(new Set())
        onReload()
      }}
    >
      {changed.size} changed
    </Button>
  )
}

function NoDocuments ({ service, action }: { service: string; action: ReactNode }) {
  const scope = usePageScope()
  const body = { id: `${service}-1`, data: { note: 'Hello' } }
  return (
    <Empty title='The service has no documents here' action={action}>
      <p className='mb-3'>Create the first document of this environment here, or with the API:</p>
      <CodeBlock
        className='text-left'
        text={toCurl({ method: 'POST', path: '/api/sync/{service}/documents', params: { service }, body }, scope)}
      />
    </Empty>
  )
}
