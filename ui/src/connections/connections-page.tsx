import { useNavigate } from '@tanstack/react-router'
import { RefreshCw } from 'lucide-react'
import { useCallback } from 'react'
import { useList } from '../app/queries.ts'
import { usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { WithPanel } from '../components/detail-panel.tsx'
import { controlLook } from '../components/field.tsx'
import { formatBytes, formatCount } from '../components/number.ts'
import { Page } from '../components/page.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { useSteady } from '../components/use-steady.ts'
import { ConnectionPanel } from './connection-panel.tsx'
import { principalKinds, transportNames, type Connection } from './connections.ts'
import { connectionsRoute, socketSorts, type ConnectionsSearch } from './routes.ts'

const refreshMs = 3000

/** The open connections of the environment, with their principals. The list is read again every three seconds. */
export function ConnectionsPage () {
  const search = connectionsRoute.useSearch()
  const navigate = useNavigate({ from: connectionsRoute.fullPath })
  const { open, ...filter } = search
  const { q, sort, order, userId, transport } = filter
  const found = useList(
    '/api/socket/sockets',
    { query: { q, sort, order, userId, transport } },
    { refetchInterval: refreshMs }
  )
  const steady = useSteady(found.items, ({ id }) => id, JSON.stringify(filter))
  const change = (changes: Partial<ConnectionsSearch>) => {
    void navigate({ search: { ...search, ...changes }, replace: true })
  }
  const close = useCallback(() => {
    void navigate({ search: ({ open: _, ...rest }) => rest })
  }, [navigate])
  const isFiltered = q !== undefined || userId !== undefined || transport !== undefined
  return (
    <Page
      title='Connections'
      isFilled
      actions={
        <CopyAs
          request={{ method: 'GET', path: '/api/socket/sockets', query: { q, sort, order, userId, transport } }}
        />
      }
    >
      <WithPanel panel={open === undefined ? null : <ConnectionPanel key={open} id={open} onClose={close} />}>
        <DataList
          name='connections'
          label='Connections'
          rows={steady.items}
          columns={columnsOf(steady.isGone)}
          rowKey={({ id }) => id}
          link={({ id }) => ({ to: connectionsRoute.fullPath, search: { ...search, open: id } })}
          openKey={open}
          error={found.error}
          onRetry={found.reload}
          hasMore={found.hasMore}
          isLoadingMore={found.isLoadingMore}
          loadMore={() => {
            steady.show()
            found.loadMore()
          }}
          sorting={{ sort, order }}
          onSort={sorting => change({ order: sorting.order, sort: socketSorts.find(name => name === sorting.sort) })}
          toolbar={
            <>
              <SearchInput value={q} onChange={q => change({ q })} label='Filter connections' />
              <select
                aria-label='Transport'
                className={`${controlLook} w-auto!`}
                value={transport ?? ''}
                onChange={event =>
                  change({ transport: event.target.value === '' ? undefined : (event.target.value as 'ws') })}
              >
                <option value=''>All transports</option>
                <option value='socket.io'>Socket.IO</option>
                <option value='ws'>WebSocket</option>
              </select>
              {userId !== undefined && <Button onClick={() => change({ userId: undefined })}>User {userId} ✕</Button>}
              {steady.waiting > 0 && (
                <Button kind='primary' icon={<RefreshCw size={14} aria-hidden />} onClick={steady.show}>
                  {formatCount(steady.waiting)} new
                </Button>
              )}
            </>
          }
          empty={isFiltered ? <Empty title='No open connection matches the filter' /> : <NoConnections />}
        />
      </WithPanel>
    </Page>
  )
}

const columnsOf = (isGone: (connection: Connection) => boolean): Column<Connection>[] => [
  {
    id: 'userId',
    header: 'User',
    cell: connection => connection.principal.name ?? connection.userId,
    value: connection => connection.userId,
    width: 'minmax(10rem, 2fr)',
    sort: 'userId'
  },
  {
    id: 'principal',
    header: 'Credential',
    cell: connection => (isGone(connection) ? <Badge>closed</Badge> : principalKinds[connection.principal.kind]),
    value: connection => connection.principal.kind,
    width: '6rem'
  },
  {
    id: 'transport',
    header: 'Transport',
    cell: connection => transportNames[connection.transport],
    value: connection => connection.transport,
    width: '6.5rem'
  },
  {
    id: 'subscriptionCount',
    header: 'Subscriptions',
    cell: connection => formatCount(connection.subscriptionCount),
    value: connection => connection.subscriptionCount,
    align: 'right',
    width: '6.5rem',
    sort: 'subscriptionCount'
  },
  {
    id: 'channelCount',
    header: 'Channels',
    cell: connection => formatCount(connection.channelCount),
    value: connection => connection.channelCount,
    align: 'right',
    width: '5.5rem',
    sort: 'channelCount'
  },
  {
    id: 'bufferedBytes',
    header: 'Unread',
    cell: connection => formatBytes(connection.bufferedBytes),
    value: connection => connection.bufferedBytes,
    align: 'right',
    width: '5.5rem',
    sort: 'bufferedBytes'
  },
  {
    id: 'address',
    header: 'Address',
    cell: connection => <span className='font-mono text-xs'>{connection.address}</span>,
    value: connection => connection.address,
    width: 'minmax(7rem, 1fr)'
  },
  {
    id: 'userAgent',
    header: 'Program',
    cell: connection => connection.userAgent ?? '–',
    value: connection => connection.userAgent,
    width: 'minmax(8rem, 1fr)',
    isHidden: true
  },
  {
    id: 'nodeId',
    header: 'Node',
    cell: connection => <span className='font-mono text-xs'>{connection.nodeId}</span>,
    value: connection => connection.nodeId,
    isHidden: true
  },
  {
    id: 'id',
    header: 'Connection',
    cell: connection => <span className='font-mono text-xs'>{connection.id}</span>,
    value: connection => connection.id,
    isHidden: true,
    width: 'minmax(11rem, 1fr)'
  },
  {
    id: 'connectedAt',
    header: 'Connected',
    cell: connection => <Time at={connection.connectedAt} />,
    value: connection => connection.connectedAt,
    width: '9rem',
    sort: 'connectedAt'
  }
]

function NoConnections () {
  const { applicationId, environment } = usePageScope()
  const snippet = [
    "import { RealtimeClient } from '@realtime-platform/client'",
    '',
    'const client = new RealtimeClient({',
    `  url: '${location.origin}', token: process.env.TOKEN,`,
    `  applicationId: '${applicationId}', environment: '${environment}'`,
    '})',
    "client.topic('**').subscribe(event => console.log(event))"
  ].join('\n')
  return (
    <Empty title='No client is connected'>
      <p className='mb-3'>Connect one with the client library, with a token of this application:</p>
      <CodeBlock text={snippet} className='text-left' />
    </Empty>
  )
}
