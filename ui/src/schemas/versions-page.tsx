import { Link, useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useMay } from '../app/me.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { buttonLook } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs, toCurl } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { Empty, ErrorState } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { modeLabel } from './compatibility.ts'
import { SchemaFrame, useTopicSchema, type SchemaVersion } from './frame.tsx'
import { versionsRoute } from './routes.ts'
import { VersionView } from './version-view.tsx'

/** The versions of a topic's schema: view one, compare two, activate one. */
export function VersionsPage () {
  const { topic: name } = versionsRoute.useParams()
  const search = versionsRoute.useSearch()
  const scope = usePageScope()
  const may = useMay()
  const navigate = useNavigate({ from: versionsRoute.fullPath })
  const { topic, versions } = useTopicSchema(name)
  const activeVersion = topic.data?.activeSchemaVersion ?? null
  const columns = useMemo(() => columnsOf(activeVersion), [activeVersion])
  const items = versions.items ?? []
  const shown =
    items.find(({ version }) => version === (search.version ?? activeVersion)) ??
    (search.version === undefined ? items[0] : undefined)
  const error = topic.error ?? versions.error
  if (error !== null && versions.items === undefined) {
    return (
      <SchemaFrame topic={name}>
        <ErrorState
          error={error}
          onRetry={() => {
            void topic.refetch()
            versions.reload()
          }}
        />
      </SchemaFrame>
    )
  }
  const params = { ...scope, topic: name }
  const newVersion = may('schemas:create') && (
    <Link to={`${scopePath}/schemas/$topic/editor`} params={params} className={buttonLook('primary')}>
      {items.length === 0 ? 'Add a schema' : 'New version'}
    </Link>
  )
  return (
    <SchemaFrame
      topic={name}
      isFilled
      actions={
        <>
          <CopyAs request={{ method: 'GET', path: '/api/schemas/{topic}/versions', params: { topic: name } }} />
          {newVersion}
        </>
      }
    >
      <div className='flex min-h-0 flex-1 max-lg:flex-col'>
        <div className='flex min-h-48 min-w-0 flex-col max-lg:max-h-64 lg:flex-[2]'>
          <DataList
            name='schema-versions'
            label='Versions'
            rows={versions.items}
            columns={columns}
            rowKey={({ version }) => String(version)}
            openKey={shown === undefined ? undefined : String(shown.version)}
            link={({ version }) => ({
              to: `${scopePath}/schemas/$topic`,
              params,
              search: { version, against: search.against }
            })}
            error={versions.error}
            onRetry={versions.reload}
            hasMore={versions.hasMore}
            isLoadingMore={versions.isLoadingMore}
            loadMore={versions.loadMore}
            empty={<NoVersions topic={name} action={newVersion} />}
          />
        </div>
        {shown !== undefined && topic.data !== undefined && (
          <VersionView
            shown={shown}
            versions={items}
            topic={topic.data}
            against={search.against}
            onCompare={against => {
              void navigate({ search: { ...search, against }, replace: true })
            }}
          />
        )}
        {shown === undefined && items.length > 0 && (
          <div className='border-l border-line lg:flex-[3]'>
            <Empty title={`There is no version ${search.version}`} />
          </div>
        )}
      </div>
    </SchemaFrame>
  )
}

const columnsOf = (activeVersion: number | null): Column<SchemaVersion>[] => [
  {
    id: 'version',
    header: 'Version',
    cell: ({ version }) => `Version ${version}`,
    value: ({ version }) => version,
    width: '5.5rem'
  },
  {
    id: 'active',
    header: 'State',
    cell: ({ version }) => version === activeVersion && <Badge tone='ok'>Active</Badge>,
    value: ({ version }) => version === activeVersion,
    width: '5rem'
  },
  {
    id: 'mode',
    header: 'Compatibility',
    cell: ({ compatibilityMode }) => modeLabel(compatibilityMode),
    value: ({ compatibilityMode }) => compatibilityMode,
    width: 'minmax(6.5rem, 1fr)'
  },
  {
    id: 'createdAt',
    header: 'Registered',
    cell: ({ createdAt }) => <Time at={createdAt} />,
    value: ({ createdAt }) => createdAt,
    width: 'minmax(5.5rem, auto)'
  },
  { id: 'policy', header: 'Policy', cell: ({ policy }) => policy, value: ({ policy }) => policy, isHidden: true },
  {
    id: 'schema',
    header: 'Schema',
    cell: ({ schema }) => JSON.stringify(schema),
    value: ({ schema }) => schema,
    isHidden: true
  }
]

function NoVersions ({ topic, action }: { topic: string; action: React.ReactNode }) {
  const scope = usePageScope()
  const schema = { type: 'object', properties: { total: { type: 'number' } }, required: ['total'] }
  return (
    <Empty title='The topic has no schema yet' action={action}>
      <p className='mb-3'>
        Its payloads are not checked. Register the first version here, or with the API. It is activated at once:
      </p>
      <CodeBlock
        className='text-left'
        text={toCurl({ method: 'POST', path: '/api/schemas/{topic}', params: { topic }, body: { schema } }, scope)}
      />
    </Empty>
  )
}
