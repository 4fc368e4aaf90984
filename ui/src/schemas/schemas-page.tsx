import { Link, useNavigate } from '@tanstack/react-router'
import { Braces, Plus } from 'lucide-react'
import { useMemo } from 'react'
import type { DataOf } from '../app/api.ts'
import { useMay } from '../app/me.ts'
import { useList, type ItemOf } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { buttonLook } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs, toCurl } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { Page } from '../components/page.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { modeLabel } from './compatibility.ts'
import type { SchemaVersion } from './frame.tsx'
import { schemasRoute } from './routes.ts'

type Topic = ItemOf<DataOf<'/api/topics'>>

/** All topics, with the schema that their payloads are checked against. */
export function SchemasPage () {
  const search = schemasRoute.useSearch()
  const navigate = useNavigate({ from: schemasRoute.fullPath })
  const scope = usePageScope()
  const may = useMay()
  const { q, sort, order } = search
  const topics = useList('/api/topics', { query: { q, sort: sort as 'name' | undefined, order } })
  const active = useList('/api/schemas', { query: { active: true, q } })
  // A page of large schemas has fewer rows than one of topics, so both are read on as long as the list is scrolled.
  const { hasMore, isLoadingMore, loadMore } = active
  const mayCreate = may('schemas:create')
  const columns = useMemo(() => {
    const byTopic = new Map(active.items?.map(schema => [schema.topic, schema]))
    return columnsOf(topic => byTopic.get(topic.name), mayCreate)
  }, [active.items, mayCreate])
  return (
    <Page
      title='Schemas'
      isFilled
      actions={
        <>
          <CopyAs request={{ method: 'GET', path: '/api/schemas', query: { active: true, q } }} />
          <Link to={`${scopePath}/schemas/_types`} params={scope} className={buttonLook()}>
            <Braces size={15} aria-hidden />
            Generated types
          </Link>
        </>
      }
    >
      <DataList
        name='schemas'
        label='Schemas'
        rows={topics.items}
        columns={columns}
        rowKey={topic => topic.name}
        link={topic => ({ to: `${scopePath}/schemas/$topic`, params: { ...scope, topic: topic.name } })}
        error={topics.error ?? active.error}
        onRetry={() => {
          topics.reload()
          active.reload()
        }}
        hasMore={topics.hasMore || hasMore}
        isLoadingMore={topics.isLoadingMore || isLoadingMore}
        loadMore={() => {
          if (topics.hasMore) topics.loadMore()
          if (hasMore) loadMore()
        }}
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
            label='Filter topics'
          />
        }
        empty={q === undefined ? <NoTopics /> : <Empty title={`No topic contains “${q}”`} />}
      />
    </Page>
  )
}

const columnsOf = (schemaOf: (topic: Topic) => SchemaVersion | undefined, mayCreate: boolean): Column<Topic>[] => [
  {
    id: 'name',
    header: 'Topic',
    cell: topic => topic.name,
    value: topic => topic.name,
    width: 'minmax(12rem, 2fr)',
    sort: 'name'
  },
  {
    id: 'version',
    header: 'Active version',
    cell: topic => <ActiveVersion topic={topic} mayCreate={mayCreate} />,
    value: topic => topic.activeSchemaVersion,
    width: 'minmax(11rem, 1fr)'
  },
  {
    id: 'mode',
    header: 'Compatibility',
    cell: topic => {
      const schema = schemaOf(topic)
      return schema !== undefined && modeLabel(schema.compatibilityMode)
    },
    value: topic => schemaOf(topic)?.compatibilityMode,
    width: 'minmax(9rem, 1fr)'
  },
  {
    id: 'registered',
    header: 'Registered',
    cell: topic => <Time at={schemaOf(topic)?.createdAt} />,
    value: topic => schemaOf(topic)?.createdAt,
    width: '11rem'
  },
  {
    id: 'description',
    header: 'Description',
    cell: topic => topic.description,
    value: topic => topic.description,
    width: 'minmax(10rem, 2fr)'
  },
  { id: 'owner', header: 'Owner', cell: topic => topic.owner, value: topic => topic.owner, isHidden: true }
]

function ActiveVersion ({ topic, mayCreate }: { topic: Topic; mayCreate: boolean }) {
  const scope = usePageScope()
  if (topic.activeSchemaVersion !== null) return <Badge tone='ok'>Version {topic.activeSchemaVersion}</Badge>
  if (!mayCreate) return <Badge>Not checked</Badge>
  return (
    <span className='flex items-center gap-2'>
      <Badge>Not checked</Badge>
      <Link
        to={`${scopePath}/schemas/$topic/editor`}
        params={{ ...scope, topic: topic.name }}
        className='inline-flex items-center gap-0.5 text-accent hover:underline'
        aria-label={`Add a schema for ${topic.name}`}
      >
        <Plus size={13} aria-hidden />
        Add
      </Link>
    </span>
  )
}

function NoTopics () {
  const scope = usePageScope()
  const topic = { name: 'order.placed', description: 'An order was placed', owner: 'shop' }
  const schema = { type: 'object', properties: { total: { type: 'number' } }, required: ['total'] }
  return (
    <Empty
      title='There are no topics yet'
      action={
        <Link to={`${scopePath}/topics`} params={scope} className={buttonLook('primary')}>
          Go to topics
        </Link>
      }
    >
      <p className='mb-3'>
        A schema checks the payloads of a topic. Create a topic with its first schema, here or with the API:
      </p>
      <CodeBlock
        className='text-left'
        text={[
          toCurl({ method: 'POST', path: '/api/topics', body: topic }, scope),
          toCurl(
            { method: 'POST', path: '/api/schemas/{topic}', params: { topic: topic.name }, body: { schema } },
            scope
          )
        ].join('\n\n')}
      />
    </Empty>
  )
}
