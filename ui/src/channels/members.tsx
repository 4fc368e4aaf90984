import { Link, useNavigate } from '@tanstack/react-router'
import { useCallback, useMemo } from 'react'
import { useList } from '../app/queries.ts'
import { usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Code, CodeBlock } from '../components/code.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { DetailPanel, WithPanel } from '../components/detail-panel.tsx'
import { JsonView } from '../components/json-view.tsx'
import { Properties } from '../components/properties.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { connectionLink } from '../connections/connections.ts'
import { channelCode, type ChannelMember } from './channels.ts'
import { membersRoute } from './routes.ts'
import { useWatch } from './watch.ts'

const refreshMs = 1500

/**
 * Shows the members of the channel with their states. The server sends changes to members only, so this polls it every
 * 1.5 s until the page joins, and is live from then on.
 */
export function Members () {
  const search = membersRoute.useSearch()
  const navigate = useNavigate({ from: membersRoute.fullPath })
  const { name, membership } = useWatch()
  const { q, sort, order, open } = search
  const isLive = membership.status === 'joined' && q === undefined && sort === undefined && order === undefined
  const found = useList(
    '/api/socket/channels/{channel}/members',
    { path: { channel: name }, query: { q, sort, order } },
    { refetchInterval: isLive ? 10_000 : refreshMs }
  )
  const members = isLive ? (membership.members as ChannelMember[]) : found.items
  const own = membership.self?.socketId
  const columns = useMemo(() => columnsOf(own), [own])
  const close = useCallback(() => {
    void navigate({ search: ({ open: _, ...rest }) => rest })
  }, [navigate])
  const opened = members?.find(({ socketId }) => socketId === open)
  return (
    <WithPanel
      panel={
        open === undefined
          ? null
          : (
            <DetailPanel title={opened?.userId ?? 'Member'} onClose={close}>
              {opened === undefined
                ? (
                  <Empty title='This member has left'>
                    <Code>{open}</Code>
                  </Empty>
                  )
                : (
                  <MemberFacts member={opened} isOwn={opened.socketId === own} />
                  )}
            </DetailPanel>
            )
      }
    >
      <DataList
        name='members'
        label='Members'
        rows={members}
        columns={columns}
        rowKey={({ socketId }) => socketId}
        link={({ socketId }) => ({ to: '.', search: { ...search, open: socketId } })}
        openKey={open}
        error={found.error}
        onRetry={found.reload}
        hasMore={!isLive && found.hasMore}
        isLoadingMore={found.isLoadingMore}
        loadMore={found.loadMore}
        sorting={{ sort: sort ?? 'joinedAt', order: order ?? 'asc' }}
        onSort={sorting => {
          void navigate({
            search: { ...search, order: sorting.order, sort: sorting.sort === 'userId' ? 'userId' : 'joinedAt' },
            replace: true
          })
        }}
        toolbar={
          <>
            <SearchInput
              value={q}
              onChange={q => {
                void navigate({ search: { ...search, q }, replace: true })
              }}
              label='Filter members'
            />
            <span className='text-xs text-muted'>
              {isLive ? 'Live, as this page is a member' : 'Refreshed every 1.5 s'}
            </span>
          </>
        }
        empty={q === undefined ? <NoMembers name={name} /> : <Empty title={`No member contains “${q}”`} />}
      />
    </WithPanel>
  )
}

const columnsOf = (own: string | undefined): Column<ChannelMember>[] => [
  {
    id: 'userId',
    header: 'Member',
    cell: member => member.userId,
    value: member => member.userId,
    width: 'minmax(9rem, 1fr)',
    sort: 'userId'
  },
  {
    id: 'state',
    header: 'State',
    cell: member => (
      <span className='flex items-center gap-2'>
        {member.socketId === own && <Badge tone='info'>this page</Badge>}
        <code className='truncate font-mono text-xs'>
          {member.state === null ? '–' : JSON.stringify(member.state)}
        </code>
      </span>
    ),
    value: member => JSON.stringify(member.state),
    width: 'minmax(12rem, 3fr)'
  },
  {
    id: 'socketId',
    header: 'Connection',
    cell: member => <code className='font-mono text-xs'>{member.socketId}</code>,
    value: member => member.socketId,
    width: 'minmax(10rem, 1fr)'
  },
  {
    id: 'joinedAt',
    header: 'Joined',
    cell: member => <Time at={member.joinedAt} />,
    value: member => member.joinedAt,
    width: '9rem',
    sort: 'joinedAt'
  }
]

function MemberFacts ({ member, isOwn }: { member: ChannelMember; isOwn: boolean }) {
  const scope = usePageScope()
  return (
    <div className='grid gap-4'>
      <Properties
        items={[
          [
            'User',
            <Code key='user' isCopyable>
              {member.userId}
            </Code>
          ],
          [
            'Connection',
            <Code key='socket' isCopyable>
              {member.socketId}
            </Code>
          ],
          ['Joined', <Time key='at' at={member.joinedAt} />],
          isOwn && ['This page', 'You are this member']
        ]}
      />
      <Link {...connectionLink(scope, member.socketId)} className='text-accent hover:underline'>
        Show the connection, its subscriptions and its other channels
      </Link>
      <section className='grid gap-2'>
        <h3 className='font-semibold'>State</h3>
        {member.state === null
          ? (
            <p className='text-muted'>The member has set no state.</p>
            )
          : (
            <JsonView value={member.state} label='State' />
            )}
      </section>
    </div>
  )
}

function NoMembers ({ name }: { name: string }) {
  const scope = usePageScope()
  return (
    <Empty title='The channel has no members'>
      <p className='mb-3'>It exists again as soon as a client joins it:</p>
      <CodeBlock text={channelCode(scope, "await channel.join({ status: 'here' })", name)} className='text-left' />
    </Empty>
  )
}
