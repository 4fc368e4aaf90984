import { Link, useNavigate } from '@tanstack/react-router'
import { MailPlus } from 'lucide-react'
import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { useList } from '../app/queries.ts'
import { Button } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { CopyAs, toCurl } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { ConfirmDialog } from '../components/dialog.tsx'
import { Page } from '../components/page.tsx'
import { Person } from '../components/person.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { InviteDialog } from './invite-dialog.tsx'
import { usePlaceName, useReach, type Invite } from './names.ts'
import { PeopleFilters } from './place-fields.tsx'
import { invitesRoute } from './routes.ts'
import { peopleTabs } from './users-page.tsx'

/** The invites that nobody has accepted yet. */
export function InvitesPage () {
  const search = invitesRoute.useSearch()
  const navigate = useNavigate({ from: '/invites' })
  const reach = useReach()
  const [isInviting, setInviting] = useState(false)
  const [withdrawn, setWithdrawn] = useState<Invite | null>(null)
  const { q, sort, order, role, application } = search
  const query = { q, sort: sort as 'email' | undefined, order, roleId: role, applicationId: application }
  const invites = useList('/api/invites', { query }, { scope: null })
  const columns = useColumns(setWithdrawn)
  const withdraw = useAction((api, { id }: Invite) => api.DELETE('/api/invites/{id}', { params: { path: { id } } }), {
    invalidates: ['/api/invites'],
    done: 'Invite withdrawn',
    onDone: () => setWithdrawn(null),
    scope: null
  })
  const invite = reach.anywhere('invites:create') && (
    <Button kind='primary' icon={<MailPlus size={15} aria-hidden />} onClick={() => setInviting(true)}>
      Invite user
    </Button>
  )
  const isFiltered = q !== undefined || role !== undefined || application !== undefined
  const body = { email: 'grace@example.com', roleId: 'role_viewer' }
  return (
    <Page
      title='Invites'
      isFilled
      tabs={peopleTabs(reach.anywhere('invites:read'))}
      actions={
        <>
          <CopyAs request={{ method: 'GET', path: '/api/invites', query }} />
          {invite}
        </>
      }
    >
      <DataList
        name='invites'
        label='Invites'
        rows={invites.items}
        columns={columns}
        rowKey={invite => invite.id}
        error={invites.error}
        onRetry={invites.reload}
        hasMore={invites.hasMore}
        isLoadingMore={invites.isLoadingMore}
        loadMore={invites.loadMore}
        sorting={{ sort, order }}
        onSort={sorting => {
          void navigate({ search: { ...search, ...sorting } })
        }}
        toolbar={
          <>
            <SearchInput
              value={q}
              label='Filter invites'
              onChange={q => {
                void navigate({ search: { ...search, q }, replace: true })
              }}
            />
            <PeopleFilters
              role={role}
              application={application}
              onChange={changes => {
                void navigate({ search: { ...search, ...changes } })
              }}
            />
          </>
        }
        empty={
          isFiltered
            ? (
              <Empty title='No invite matches the filter' />
              )
            : (
              <Empty title='No invites are open' action={invite}>
                <p className='mb-3'>An invite mails a link that gives its reader a role.</p>
                <CodeBlock className='text-left' text={toCurl({ method: 'POST', path: '/api/invites', body }, null)} />
              </Empty>
              )
        }
      />
      <InviteDialog isOpen={isInviting} onClose={() => setInviting(false)} />
      <ConfirmDialog
        title={`Withdraw the invite of ${withdrawn?.email ?? ''}`}
        name={withdrawn?.email ?? ''}
        verb='Withdraw invite'
        isOpen={withdrawn !== null}
        isBusy={withdraw.isPending}
        onClose={() => setWithdrawn(null)}
        onConfirm={() => {
          if (withdrawn !== null) withdraw.mutate(withdrawn)
        }}
      >
        Its link stops working at once.
      </ConfirmDialog>
    </Page>
  )
}

function useColumns (onWithdraw: (invite: Invite) => void): Column<Invite>[] {
  const placeName = usePlaceName()
  const reach = useReach()
  return [
    {
      id: 'email',
      header: 'E-mail',
      cell: invite => invite.email,
      value: invite => invite.email,
      sort: 'email',
      width: 'minmax(12rem, 2fr)'
    },
    { id: 'role', header: 'Role', cell: invite => invite.role, value: invite => invite.role },
    {
      id: 'place',
      header: 'Applies to',
      cell: invite => placeName(invite.applicationId),
      value: invite => invite.applicationId
    },
    {
      id: 'invitedBy',
      header: 'Sent by',
      cell: invite =>
        invite.invitedBy === null
          ? (
            <span className='text-muted'>a token</span>
            )
          : (
            <Link to='/users/$id' params={{ id: invite.invitedBy }} className='hover:underline'>
              <Person id={invite.invitedBy} />
            </Link>
            ),
      value: invite => invite.invitedBy
    },
    {
      id: 'createdAt',
      header: 'Sent',
      cell: invite => <Time at={invite.createdAt} />,
      value: invite => invite.createdAt,
      sort: 'createdAt',
      width: '10rem'
    },
    {
      id: 'expiresAt',
      header: 'Expires',
      cell: invite => <Time at={invite.expiresAt} />,
      value: invite => invite.expiresAt,
      sort: 'expiresAt',
      width: '10rem'
    },
    {
      id: 'withdraw',
      header: '',
      align: 'right',
      width: '6rem',
      cell: invite =>
        reach.in(invite.applicationId, 'invites:delete') && (
          <Button kind='plain' className='h-6!' onClick={() => onWithdraw(invite)}>
            Withdraw
          </Button>
        )
    }
  ]
}
