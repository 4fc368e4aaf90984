import { useNavigate } from '@tanstack/react-router'
import { Plus } from 'lucide-react'
import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import type { DataOf } from '../app/api.ts'
import { useMay } from '../app/me.ts'
import { useList, type ItemOf } from '../app/queries.ts'
import { Button } from '../components/button.tsx'
import { Code, CodeBlock } from '../components/code.tsx'
import { CopyAs, toCurl } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { Buttons, Dialog } from '../components/dialog.tsx'
import { TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { Page } from '../components/page.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { applicationsRoute } from './routes.ts'

type Application = ItemOf<DataOf<'/api/applications'>>

const columns: Column<Application>[] = [
  { id: 'name', header: 'Application', cell: one => one.name, value: one => one.name, sort: 'name' },
  {
    id: 'description',
    header: 'Description',
    cell: one => one.description,
    value: one => one.description,
    width: 'minmax(12rem, 2fr)'
  },
  { id: 'id', header: 'ID', cell: one => <Code isCopyable>{one.id}</Code>, value: one => one.id, width: '15rem' },
  {
    id: 'approval',
    header: 'Approval required',
    width: '10rem',
    cell: approvalOf,
    value: approvalOf
  },
  {
    id: 'createdAt',
    header: 'Created',
    cell: one => <Time at={one.createdAt} />,
    value: one => one.createdAt,
    sort: 'createdAt',
    width: '11rem'
  },
  {
    id: 'updatedAt',
    header: 'Changed',
    cell: one => <Time at={one.updatedAt} />,
    value: one => one.updatedAt,
    sort: 'updatedAt',
    width: '11rem',
    isHidden: true
  }
]

function approvalOf ({ requireApproval: { staging, production } }: Application): string {
  const names = [staging && 'staging', production && 'production'].filter(name => name !== false)
  return names.length === 0 ? 'no' : names.join(', ')
}

/** The applications that the user has access to. */
export function ApplicationsPage () {
  const search = applicationsRoute.useSearch()
  const navigate = useNavigate({ from: applicationsRoute.fullPath })
  const may = useMay()
  const [isCreating, setCreating] = useState(false)
  const { q, sort, order } = search
  const applications = useList(
    '/api/applications',
    { query: { q, sort: sort as 'name' | undefined, order } },
    {
      scope: null
    }
  )
  const create = may('applications:create') && (
    <Button kind='primary' icon={<Plus size={15} aria-hidden />} onClick={() => setCreating(true)}>
      Create application
    </Button>
  )
  return (
    <Page
      title='Applications'
      isFilled
      actions={
        <>
          <CopyAs request={{ method: 'GET', path: '/api/applications', query: { q, sort, order } }} />
          {create}
        </>
      }
    >
      <DataList
        name='applications'
        label='Applications'
        rows={applications.items}
        columns={columns}
        rowKey={({ id }) => id}
        link={({ id }) => ({ to: '/applications/$id', params: { id } })}
        error={applications.error}
        onRetry={applications.reload}
        hasMore={applications.hasMore}
        isLoadingMore={applications.isLoadingMore}
        loadMore={applications.loadMore}
        sorting={{ sort, order }}
        onSort={sorting => {
          void navigate({ search: { ...search, ...sorting } })
        }}
        toolbar={
          <SearchInput
            value={q}
            label='Filter applications'
            onChange={q => {
              void navigate({ search: { ...search, q }, replace: true })
            }}
          />
        }
        empty={
          q !== undefined
            ? (
              <Empty title={`No application contains “${q}”`} />
              )
            : (
              <Empty title='There are no applications yet' action={create}>
                <p className='mb-3'>
                  An application has its own topics, webhooks and users. Create one here, or with the API:
                </p>
                <CodeBlock
                  className='text-left'
                  text={toCurl({ method: 'POST', path: '/api/applications', body: { name: 'Shop' } }, null)}
                />
              </Empty>
              )
        }
      />
      <CreateApplication isOpen={isCreating} onClose={() => setCreating(false)} />
    </Page>
  )
}

function CreateApplication ({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const navigate = useNavigate()
  const create = useAction(
    (api, body: { name: string; description: string }) => api.POST('/api/applications', { body }),
    { invalidates: ['/api/applications'], isErrorShown: true, done: 'Application created', scope: null }
  )
  const form = useForm({ name: '', description: '' }, async values => {
    const { id } = await create.mutateAsync(values)
    onClose()
    await navigate({ to: '/applications/$id', params: { id } })
  })
  const { values, set, error } = form
  return (
    <Dialog title='Create application' isOpen={isOpen} onClose={onClose}>
      <Form form={form} fields={['name', 'description']}>
        <TextField
          label='Name'
          placeholder='Shop'
          autoFocus
          value={values.name}
          error={error('name')}
          hint='It gets three environments: development, staging and production.'
          onChange={event => set({ name: event.target.value })}
        />
        <TextField
          label='Description'
          isOptional
          value={values.description}
          error={error('description')}
          onChange={event => set({ description: event.target.value })}
        />
        <Buttons>
          <CopyAs request={{ method: 'POST', path: '/api/applications', body: values }} />
          <Button onClick={onClose}>Cancel</Button>
          <Button kind='primary' type='submit' isBusy={form.isBusy}>
            Create application
          </Button>
        </Buttons>
      </Form>
    </Dialog>
  )
}
