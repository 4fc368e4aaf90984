import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import type { DataOf } from '../app/api.ts'
import { useAction } from '../app/actions.ts'
import { invalidate, useList, type ItemOf } from '../app/queries.ts'
import { closeSession } from '../app/session.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { ConfirmDialog } from '../components/dialog.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { showToast } from '../components/toast.tsx'
import { sessionsRoute } from './routes.ts'
import { describeBrowser } from './user-agent.ts'

type Session = ItemOf<DataOf<'/api/auth/sessions'>>

/** The open sessions of the user. Ending one closes its sockets. */
export function Sessions () {
  const search = sessionsRoute.useSearch()
  const navigate = useNavigate({ from: '/account/sessions' })
  const { q, sort, order } = search
  const sessions = useList(
    '/api/auth/sessions',
    { query: { q, sort: sort as 'seenAt' | undefined, order } },
    { scope: null }
  )
  const [isEndingOthers, setEndingOthers] = useState(false)
  const [ended, setEnded] = useState(0)
  const end = useAction(
    (api, { id }: Session) => api.DELETE('/api/auth/sessions/{id}', { params: { path: { id } } }),
    { scope: null }
  )
  const endOne = async (one: Session) => {
    await end.mutateAsync(one)
    if (one.current) closeSession()
    else {
      showToast({ text: 'Session ended' })
      await invalidate('/api/auth/sessions')
    }
  }
  const others = sessions.items?.filter(({ current }) => !current) ?? []
  const endOthers = async () => {
    for (const [i, one] of others.entries()) {
      setEnded(i + 1)
      await end.mutateAsync(one)
    }
    showToast({ text: `${others.length === 1 ? '1 session' : `${others.length} sessions`} ended` })
    setEndingOthers(false)
    await invalidate('/api/auth/sessions')
  }
  return (
    <>
      <DataList
        name='sessions'
        label='Sessions'
        rows={sessions.items}
        columns={columnsOf(one => {
          void endOne(one).catch(() => {})
        })}
        rowKey={one => one.id}
        error={sessions.error}
        onRetry={sessions.reload}
        hasMore={sessions.hasMore}
        isLoadingMore={sessions.isLoadingMore}
        loadMore={sessions.loadMore}
        sorting={{ sort, order }}
        onSort={sorting => {
          void navigate({ search: { ...search, ...sorting } })
        }}
        toolbar={
          <>
            <SearchInput
              value={q}
              label='Filter by address or browser'
              onChange={q => {
                void navigate({ search: { ...search, q }, replace: true })
              }}
            />
            <Button disabled={others.length === 0} onClick={() => setEndingOthers(true)}>
              End {others.length === 1 ? 'the other session' : `${others.length} other sessions`}
            </Button>
            <CopyAs request={{ method: 'GET', path: '/api/auth/sessions', query: { q, sort, order } }} />
          </>
        }
        empty={<Empty title='No session contains this text' />}
      />
      <ConfirmDialog
        title='End the other sessions'
        name='sessions'
        verb={end.isPending ? `Ending ${ended} of ${others.length}` : 'End sessions'}
        isOpen={isEndingOthers}
        isBusy={end.isPending}
        onClose={() => setEndingOthers(false)}
        onConfirm={() => {
          void endOthers().catch(() => {})
        }}
      >
        Everybody who is signed in as you elsewhere signs in again. Sockets of those sessions close at once. This
        session stays.
      </ConfirmDialog>
    </>
  )
}

const columnsOf = (onEnd: (one: Session) => void): Column<Session>[] => [
  {
    id: 'browser',
    header: 'Browser',
    width: 'minmax(12rem, 2fr)',
    cell: one => (
      <span title={one.userAgent ?? ''} className='inline-flex items-center gap-2'>
        {describeBrowser(one.userAgent)}
        {one.current && <Badge tone='ok'>this session</Badge>}
      </span>
    ),
    value: one => one.userAgent
  },
  { id: 'address', header: 'Address', cell: one => one.address, value: one => one.address, width: '10rem' },
  {
    id: 'createdAt',
    header: 'Began',
    cell: one => <Time at={one.createdAt} />,
    value: one => one.createdAt,
    sort: 'createdAt',
    width: '11rem'
  },
  {
    id: 'seenAt',
    header: 'Last used',
    cell: one => <Time at={one.seenAt} />,
    value: one => one.seenAt,
    sort: 'seenAt',
    width: '11rem'
  },
  {
    id: 'expiresAt',
    header: 'Ends if unused',
    cell: one => <Time at={one.expiresAt} />,
    value: one => one.expiresAt,
    sort: 'expiresAt',
    width: '11rem'
  },
  {
    id: 'end',
    header: '',
    width: '6rem',
    align: 'right',
    cell: one => (
      <Button kind='plain' className='h-6!' onClick={() => onEnd(one)}>
        {one.current ? 'Log out' : 'End'}
      </Button>
    )
  }
]
