import { useNavigate } from '@tanstack/react-router'
import { Plus } from 'lucide-react'
import { useMemo, useState, type ReactNode } from 'react'
import type { DataOf } from '../app/api.ts'
import { useMay } from '../app/me.ts'
import { useList, type ItemOf } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs, toCurl } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { Checkbox } from '../components/field.tsx'
import { Page } from '../components/page.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { CreateTopic } from './create-topic.tsx'
import { topicsRoute } from './routes.ts'
import { systemTopics } from './system-topics.ts'
import { RateIn, RateLine, RateOut, useHotTopics, type HotTopic } from './topic-rates.tsx'

type Topic = ItemOf<DataOf<'/api/topics'>>

interface TopicRow {
  name: string
  description: string
  isSystem: boolean
  topic?: Topic
  hot: HotTopic | undefined
}

const columns: Column<TopicRow>[] = [
  {
    id: 'name',
    header: 'Topic',
    cell: ({ name, isSystem }) => (
      <>
        {name} {isSystem && <Badge hasIcon={false}>system</Badge>}
      </>
    ),
    value: ({ name }) => name,
    width: 'minmax(13rem, 3fr)',
    sort: 'name'
  },
  {
    id: 'description',
    header: 'Description',
    cell: ({ description }) => <span title={description}>{description}</span>,
    value: ({ description }) => description,
    width: 'minmax(9rem, 3fr)'
  },
  {
    id: 'owner',
    header: 'Owner',
    cell: ({ topic }) => topic?.owner ?? <span className='text-muted'>platform</span>,
    value: ({ topic }) => topic?.owner,
    width: 'minmax(5rem, 1fr)'
  },
  {
    id: 'in',
    header: 'In',
    cell: ({ hot }) => <RateIn hot={hot} />,
    value: ({ hot }) => hot?.eventsPerSec,
    align: 'right',
    width: '4rem'
  },
  { id: 'line', header: 'Last hour', cell: ({ name }) => <RateLine topic={name} />, width: '6rem' },
  { id: 'out', header: 'Out', cell: ({ name }) => <RateOut topic={name} />, align: 'right', width: '4rem' },
  {
    id: 'subscribers',
    header: 'Subscribers',
    cell: ({ hot }) => hot?.subscribers ?? <span className='text-muted'>–</span>,
    value: ({ hot }) => hot?.subscribers,
    align: 'right',
    width: '5.5rem'
  },
  {
    id: 'schema',
    header: 'Schema',
    cell: ({ topic }) =>
      topic?.activeSchemaVersion == null ? <span className='text-muted'>none</span> : `v${topic.activeSchemaVersion}`,
    value: ({ topic }) => topic?.activeSchemaVersion,
    width: '4rem'
  },
  {
    id: 'createdAt',
    header: 'Created',
    cell: ({ topic }) => <Time at={topic?.createdAt} />,
    value: ({ topic }) => topic?.createdAt,
    sort: 'createdAt',
    width: '7rem'
  }
]

/** All topics of the environment, with their traffic. */
export function TopicsPage () {
  const search = topicsRoute.useSearch()
  const navigate = useNavigate({ from: topicsRoute.fullPath })
  const scope = usePageScope()
  const may = useMay()
  const [isCreating, setCreating] = useState(false)
  const { q, sort, order, owner, system } = search
  const query = { q, sort, order, owner }
  const topics = useList('/api/topics', { query })
  const services = useList(
    '/api/services',
    { query: { limit: 100 } },
    {
      enabled: system === true && may('services:read')
    }
  )
  const hot = useHotTopics()
  const { items } = topics
  const rows = useMemo(() => {
    if (items === undefined) return undefined
    const registered = items.map((topic): TopicRow => ({
      name: topic.name,
      description: topic.description,
      isSystem: false,
      topic,
      hot: hot.get(topic.name)
    }))
    const isShown = ({ name, description }: { name: string; description: string }) =>
      q === undefined || `${name} ${description}`.toLowerCase().includes(q.toLowerCase())
    const own =
      system !== true || owner !== undefined || topics.hasMore
        ? []
        : systemTopics((services.items ?? []).map(({ name }) => name))
          .filter(isShown)
          .map((topic): TopicRow => ({ ...topic, isSystem: true, hot: hot.get(topic.name) }))
    return [...registered, ...own]
  }, [items, hot, q, owner, system, topics.hasMore, services.items])
  const change = (changes: Partial<typeof search>) => {
    void navigate({ search: { ...search, ...changes }, replace: true })
  }
  const create = may('topics:create') && (
    <Button kind='primary' icon={<Plus size={15} aria-hidden />} onClick={() => setCreating(true)}>
      Create topic
    </Button>
  )
  const isFiltered = q !== undefined || owner !== undefined
  return (
    <Page
      title='Topics'
      isFilled
      actions={
        <>
          <CopyAs request={{ method: 'GET', path: '/api/topics', query }} />
          {create}
        </>
      }
    >
      <DataList
        name='topics'
        label='Topics'
        rows={rows}
        columns={columns}
        rowKey={({ name }) => name}
        link={({ name }) => ({ to: `${scopePath}/topics/$name`, params: { ...scope, name } })}
        error={topics.error}
        onRetry={topics.reload}
        hasMore={topics.hasMore}
        isLoadingMore={topics.isLoadingMore}
        loadMore={topics.loadMore}
        sorting={{ sort, order }}
        onSort={sorting => change({ ...sorting, sort: sorting.sort === 'createdAt' ? 'createdAt' : 'name' })}
        toolbar={
          <>
            <SearchInput value={q} onChange={q => change({ q })} label='Filter topics' />
            <div className='*:w-36'>
              <SearchInput value={owner} onChange={owner => change({ owner })} label='Owner' />
            </div>
            <Checkbox
              label='System topics'
              checked={system === true}
              onChange={event => change({ system: event.target.checked ? true : undefined })}
            />
          </>
        }
        empty={
          isFiltered
            ? (
              <Empty
                title='No topic matches'
                action={<Button onClick={() => change({ q: undefined, owner: undefined })}>Clear the filters</Button>}
              />
              )
            : (
              <NoTopics action={create} />
              )
        }
      />
      <CreateTopic isOpen={isCreating} onClose={() => setCreating(false)} />
    </Page>
  )
}

function NoTopics ({ action }: { action: ReactNode }) {
  const scope = usePageScope()
  const body = { name: 'order.placed', description: 'An order was placed', owner: 'shop' }
  return (
    <Empty title='There are no topics yet' action={action}>
      <p className='mb-3'>Events are published to topics. Create the first one here, or with the API:</p>
      <CodeBlock text={toCurl({ method: 'POST', path: '/api/topics', body }, scope)} className='text-left' />
    </Empty>
  )
}
