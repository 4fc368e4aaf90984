import { useNavigate } from '@tanstack/react-router'
import { X } from 'lucide-react'
import { useMemo, type ReactNode } from 'react'
import { environments } from '../app/api.ts'
import { useList } from '../app/queries.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { DataList } from '../components/data-list.tsx'
import { WithPanel } from '../components/detail-panel.tsx'
import { Select } from '../components/field.tsx'
import { Page } from '../components/page.tsx'
import { RangePicker, timesOf } from '../components/range-picker.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { useApplications } from '../people/names.ts'
import { actionsByResource, isRefusal, useEntry, useEntryColumns, type AuditQuery } from './entries.tsx'
import { EntryPanel } from './entry-panel.tsx'
import { ExportFilter } from './export-filter.tsx'
import { auditRoute, type AuditSearch } from './routes.ts'

/** Who changed which setting, when and from where. */
export function AuditPage () {
  const search = auditRoute.useSearch()
  const navigate = useNavigate({ from: '/audit' })
  const query = useQueryOf(search)
  const entries = useList('/api/admin/audit', { query }, { scope: null })
  const columns = useEntryColumns()
  const { entry, isSearching } = useEntry(search.open, search.at, entries.items)
  const change = (changes: AuditSearch, replace = false) => {
    void navigate({ search: { ...search, ...changes }, replace })
  }
  return (
    <Page
      title='Audit log'
      isFilled
      actions={
        <>
          <CopyAs request={{ method: 'GET', path: '/api/admin/audit', query }} />
          <ExportFilter query={query} columns={columns} />
        </>
      }
    >
      <WithPanel
        panel={
          search.open === undefined
            ? null
            : (
              <EntryPanel
                entry={entry}
                isSearching={isSearching || entries.items === undefined}
                search={search}
                onClose={() => change({ open: undefined, at: undefined })}
              />
              )
        }
      >
        <DataList
          name='audit'
          label='Audit entries'
          rows={entries.items}
          columns={columns}
          rowKey={row => row.id}
          link={row => ({ to: '/audit', search: { ...search, open: row.id, at: row.at } })}
          openKey={search.open}
          isFailure={isRefusal}
          error={entries.error}
          onRetry={entries.reload}
          hasMore={entries.hasMore}
          isLoadingMore={entries.isLoadingMore}
          loadMore={entries.loadMore}
          sorting={{ sort: 'at', order: search.order ?? 'desc' }}
          onSort={({ order }) => change({ order })}
          toolbar={<Filters search={search} onChange={change} />}
          empty={
            <Empty title='No entry matches the filter and the range'>
              Every change of a setting and every sign-in makes an entry. Choose a longer range, or fewer filters.
            </Empty>
          }
        />
      </WithPanel>
    </Page>
  )
}

/** The query of the API. A range that counts back ends at the present, so new entries are in it. */
function useQueryOf (search: AuditSearch): AuditQuery {
  const { q, actor, action, resource, resourceId, application, environment, order, range, from, to } = search
  return useMemo(() => {
    const times = timesOf({ range, from, to }, '30d')
    return {
      q,
      actor,
      action,
      resource,
      resourceId,
      applicationId: application,
      environment,
      order,
      from: times.from,
      ...(from !== undefined && to !== undefined && { to })
    }
  }, [q, actor, action, resource, resourceId, application, environment, order, range, from, to])
}

const any = { value: '', label: '' }

function Filters ({
  search,
  onChange
}: {
  search: AuditSearch
  onChange: (changes: AuditSearch, replace?: boolean) => void
}) {
  const applications = useApplications()
  const { resource, action, environment, application, actor, resourceId } = search
  const resources = Object.keys(actionsByResource) as (keyof typeof actionsByResource)[]
  const actionsShown = resources
    .filter(name => resource === undefined || name === resource)
    .flatMap(name => actionsByResource[name].map(verb => `${name}.${verb}`))
  const withCurrent = (names: readonly string[], current: string | undefined) =>
    current === undefined || names.includes(current) ? names : [current, ...names]
  return (
    <>
      <SearchInput value={search.q} label='Filter entries' onChange={q => onChange({ q }, true)} />
      <Select
        aria-label='Resource'
        className='w-36!'
        choices={[
          { ...any, label: 'All resources' },
          ...withCurrent(resources, resource).map(name => ({ value: name, label: name }))
        ]}
        value={resource ?? ''}
        onChange={value => onChange({ resource: value === '' ? undefined : value, action: undefined })}
      />
      <Select
        aria-label='Action'
        className='w-40!'
        choices={[
          { ...any, label: 'All actions' },
          ...withCurrent(actionsShown, action).map(name => ({ value: name, label: name }))
        ]}
        value={action ?? ''}
        onChange={value => onChange({ action: value === '' ? undefined : value })}
      />
      {applications.length > 0 && (
        <Select
          aria-label='Application'
          className='w-40!'
          choices={[
            { ...any, label: 'All applications' },
            ...applications.map(({ id, name }) => ({ value: id, label: name }))
          ]}
          value={application ?? ''}
          onChange={value => onChange({ application: value === '' ? undefined : value })}
        />
      )}
      <Select
        aria-label='Environment'
        className='w-44!'
        choices={[{ ...any, label: 'All environments' }, ...environments.map(name => ({ value: name, label: name }))]}
        value={environment ?? ''}
        onChange={value => onChange({ environment: environments.find(name => name === value) })}
      />
      <RangePicker value={search} fallback='30d' onChange={onChange} />
      {actor !== undefined && (
        <Chip label='Actor' onRemove={() => onChange({ actor: undefined })}>
          {actor}
        </Chip>
      )}
      {resourceId !== undefined && (
        <Chip label='Resource' onRemove={() => onChange({ resourceId: undefined })}>
          {resourceId}
        </Chip>
      )}
    </>
  )
}

const Chip = ({ label, children, onRemove }: { label: string; children: ReactNode; onRemove: () => void }) => (
  <Button className='max-w-72' aria-label={`Remove the filter ${label}`} onClick={onRemove}>
    <span className='text-muted'>{label}</span>
    <span className='truncate font-mono text-xs'>{children}</span>
    <X size={13} className='shrink-0' aria-hidden />
  </Button>
)
