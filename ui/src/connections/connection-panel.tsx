import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { useOptionalLive } from '../app/live.ts'
import { useMay } from '../app/me.ts'
import { useGet } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { Code } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { DetailPanel } from '../components/detail-panel.tsx'
import { ConfirmDialog } from '../components/dialog.tsx'
import { formatBytes } from '../components/number.ts'
import { Properties } from '../components/properties.tsx'
import { Empty, ErrorState, Skeleton } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { principalKinds, transportNames, type ConnectionDetail } from './connections.ts'
import { SubscriptionCard } from './subscription-card.tsx'

const refreshMs = 3000

/** One connection: its facts, its subscriptions and channels. It is read again every three seconds. */
export function ConnectionPanel ({ id, onClose }: { id: string; onClose: () => void }) {
  const query = useGet('/api/socket/sockets/{id}', { path: { id } }, { refetchInterval: refreshMs })
  const { data, error } = query
  const isGone = error?.code === 'SOCKET_NOT_FOUND'
  return (
    <DetailPanel
      title={data?.principal.name ?? data?.userId ?? 'Connection'}
      onClose={onClose}
      actions={<CopyAs request={{ method: 'GET', path: '/api/socket/sockets/{id}', params: { id } }} />}
    >
      {isGone && (
        <div className='mb-3' role='status'>
          <Badge tone='warning'>This connection is closed</Badge>
        </div>
      )}
      {data !== undefined
        ? (
          <Facts connection={data} isGone={isGone} onClosed={onClose} />
          )
        : isGone
          ? (
            <Empty title='There is no open connection with this id'>
              <Code>{id}</Code>
            </Empty>
            )
          : error !== null
            ? (
              <ErrorState
                error={error}
                onRetry={() => {
                  void query.refetch()
                }}
              />
              )
            : (
              <Skeleton lines={8} />
              )}
    </DetailPanel>
  )
}

function Facts ({
  connection,
  isGone,
  onClosed
}: {
  connection: ConnectionDetail
  isGone: boolean
  onClosed: () => void
}) {
  const scope = usePageScope()
  const { principal, userId, subscriptions, channels } = connection
  return (
    <div className='grid gap-5'>
      <Properties
        items={[
          [
            'Connection',
            <Code key='id' isCopyable>
              {connection.id}
            </Code>
          ],
          [
            principalKinds[principal.kind],
            <Code key='principal' isCopyable>
              {principal.id}
            </Code>
          ],
          principal.name !== null && ['Name', principal.name],
          [
            'User',
            <Link
              key='user'
              to={`${scopePath}/connections`}
              params={{ ...scope }}
              search={{ userId }}
              className='text-accent hover:underline'
            >
              {userId}: all connections
            </Link>
          ],
          ['Transport', transportNames[connection.transport]],
          [
            'Address',
            <Code key='address' isCopyable>
              {connection.address}
            </Code>
          ],
          ['Program', connection.userAgent ?? '–'],
          ['Node', <Code key='node'>{connection.nodeId}</Code>],
          ['Connected', <Time key='at' at={connection.connectedAt} />],
          ['Credential ends', connection.expiresAt === null ? 'never' : <Time key='e' at={connection.expiresAt} />],
          ['Unread', formatBytes(connection.bufferedBytes)]
        ]}
      />
      {!isGone && <CloseConnection connection={connection} onClosed={onClosed} />}
      <section className='grid gap-2'>
        <h3 className='font-semibold'>Subscriptions ({subscriptions.length})</h3>
        {subscriptions.length === 0 && <p className='text-muted'>It has no subscription.</p>}
        {subscriptions.map(one => (
          <SubscriptionCard key={one.id} subscription={one} />
        ))}
      </section>
      <section className='grid gap-2'>
        <h3 className='font-semibold'>Channels ({channels.length})</h3>
        {channels.length === 0 && <p className='text-muted'>It is in no channel.</p>}
        <ul className='grid gap-1'>
          {channels.map(({ name, joinedAt }) => (
            <li key={name} className='flex items-center justify-between gap-2'>
              <Link
                to={`${scopePath}/channels/$channel`}
                params={{ ...scope, channel: name }}
                className='min-w-0 truncate text-accent hover:underline'
              >
                {name}
              </Link>
              <span className='text-muted'>
                joined <Time at={joinedAt} />
              </span>
            </li>
          ))}
        </ul>
      </section>
    </div>
  )
}

function CloseConnection ({
  connection: { id, userId },
  onClosed
}: {
  connection: ConnectionDetail
  onClosed: () => void
}) {
  const may = useMay()
  const [isAsking, setAsking] = useState(false)
  const isOwn = useOptionalLive()?.socketId === id
  const close = useAction(api => api.DELETE('/api/socket/sockets/{id}', { params: { path: { id } } }), {
    invalidates: ['/api/socket/sockets'],
    done: 'Connection closed',
    onDone: () => {
      setAsking(false)
      onClosed()
    }
  })
  if (!may('socket:delete')) return null
  return (
    <div className='flex items-center gap-1'>
      <Button kind='danger' onClick={() => setAsking(true)}>
        Close connection
      </Button>
      <CopyAs request={{ method: 'DELETE', path: '/api/socket/sockets/{id}', params: { id } }} />
      <ConfirmDialog
        title={`Close the connection of ${userId}?`}
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        onConfirm={() => close.mutate(undefined)}
        verb='Close connection'
        name={userId}
        isBusy={close.isPending}
      >
        <p>
          The client is disconnected with code 4411 and does not reconnect by itself. Its subscriptions end. Its
          credential stays valid, so it can connect again: revoke the credential to keep it away.
        </p>
        {isOwn && <p className='mt-2 text-warning'>This is the connection of the page that you are looking at.</p>}
      </ConfirmDialog>
    </div>
  )
}
