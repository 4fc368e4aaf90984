import { useNavigate } from '@tanstack/react-router'
import { RefreshCw } from 'lucide-react'
import type { DataOf } from '../app/api.ts'
import { useList, type ItemOf } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { formatCount } from '../components/number.ts'
import { Page } from '../components/page.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { useSteady } from '../components/use-steady.ts'
import { channelCode, isDocumentChannel } from './channels.ts'
import { channelsRoute } from './routes.ts'

type Channel = ItemOf<DataOf<'/api/socket/channels'>>

const refreshMs = 3000

/** The channels that have members. The list is read again every three seconds. */
export function ChannelsPage () {
  const search = channelsRoute.useSearch()
  const navigate = useNavigate({ from: channelsRoute.fullPath })
  const scope = usePageScope()
  const { q, order } = search
  const found = useList('/api/socket/channels', { query: { q, order } }, { refetchInterval: refreshMs })
  const steady = useSteady(found.items, ({ name }) => name, JSON.stringify(search))
  return (
    <Page
      title='Channels'
      isFilled
      actions={<CopyAs request={{ method: 'GET', path: '/api/socket/channels', query: { q, order } }} />}
    >
      <DataList
        name='channels'
        label='Channels'
        rows={steady.items}
        columns={columnsOf(steady.isGone)}
        rowKey={({ name }) => name}
        link={({ name }) => ({ to: `${scopePath}/channels/$channel`, params: { ...scope, channel: name } })}
        error={found.error}
        onRetry={found.reload}
        hasMore={found.hasMore}
        isLoadingMore={found.isLoadingMore}
        loadMore={() => {
          steady.show()
          found.loadMore()
        }}
        sorting={{ sort: 'name', order: order ?? 'asc' }}
        onSort={({ order }) => {
          void navigate({ search: { ...search, order }, replace: true })
        }}
        toolbar={
          <>
            <SearchInput
              value={q}
              onChange={q => {
                void navigate({ search: { ...search, q }, replace: true })
              }}
              label='Filter channels'
            />
            {steady.waiting > 0 && (
              <Button kind='primary' icon={<RefreshCw size={14} aria-hidden />} onClick={steady.show}>
                {formatCount(steady.waiting)} new
              </Button>
            )}
          </>
        }
        empty={q === undefined ? <NoChannels /> : <Empty title={`No channel with members contains “${q}”`} />}
      />
    </Page>
  )
}

const columnsOf = (isGone: (channel: Channel) => boolean): Column<Channel>[] => [
  {
    id: 'name',
    header: 'Channel',
    cell: ({ name }) => name,
    value: ({ name }) => name,
    width: 'minmax(14rem, 3fr)',
    sort: 'name'
  },
  {
    id: 'kind',
    header: 'Kind',
    cell: channel =>
      isGone(channel)
        ? (
          <Badge>empty by now</Badge>
          )
        : isDocumentChannel(channel.name)
          ? (
            <Badge tone='info'>document</Badge>
            )
          : (
            <span className='text-muted'>room</span>
            ),
    value: ({ name }) => (isDocumentChannel(name) ? 'document' : 'room'),
    width: '9rem'
  },
  {
    id: 'memberCount',
    header: 'Members',
    cell: ({ memberCount }) => formatCount(memberCount),
    value: ({ memberCount }) => memberCount,
    align: 'right',
    width: '7rem'
  }
]

function NoChannels () {
  const scope = usePageScope()
  return (
    <Empty title='No channel has a member'>
      <p className='mb-3'>A channel exists while it has members. Join one with the client library:</p>
      <CodeBlock text={channelCode(scope, "await channel.join({ status: 'here' })")} className='text-left' />
    </Empty>
  )
}
