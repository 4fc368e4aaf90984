import { useNavigate } from '@tanstack/react-router'
import { MailPlus, UserPlus } from 'lucide-react'
import { useState } from 'react'
import { useMe } from '../app/me.ts'
import { useList } from '../app/queries.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { Page } from '../components/page.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { CreateUser } from './create-user.tsx'
import { InviteDialog } from './invite-dialog.tsx'
import { usePlaceName, useReach, type User } from './names.ts'
import { PeopleFilters } from './place-fields.tsx'
import { usersRoute } from './routes.ts'

/** The tabs of the pages about people. */
export const peopleTabs = (mayReadInvites: boolean) => [
  { label: 'Users', link: { to: '/users' } as const },
  { label: 'Invites', link: { to: '/invites' } as const, isHidden: !mayReadInvites }
]

/** All users that the reader may see. */
export function UsersPage () {
  const search = usersRoute.useSearch()
  const navigate = useNavigate({ from: '/users' })
  const reach = useReach()
  const [isInviting, setInviting] = useState(false)
  const [isCreating, setCreating] = useState(false)
  const { q, sort, order, role, application } = search
  const query = { q, sort: sort as 'name' | undefined, order, roleId: role, applicationId: application }
  const users = useList('/api/users', { query }, { scope: null })
  const columns = useColumns()
  const isFiltered = q !== undefined || role !== undefined || application !== undefined
  return (
    <Page
      title='Users'
      isFilled
      tabs={peopleTabs(reach.anywhere('invites:read'))}
      actions={
        <>
          <CopyAs request={{ method: 'GET', path: '/api/users', query }} />
          {reach.everywhere('users:create') && (
            <Button icon={<UserPlus size={15} aria-hidden />} onClick={() => setCreating(true)}>
              Create user
            </Button>
          )}
          {reach.anywhere('invites:create') && (
            <Button kind='primary' icon={<MailPlus size={15} aria-hidden />} onClick={() => setInviting(true)}>
              Invite user
            </Button>
          )}
        </>
      }
    >
      <DataList
        name='users'
        label='Users'
        rows={users.items}
        columns={columns}
        rowKey={user => user.id}
        link={user => ({ to: '/users/$id', params: { id: user.id } })}
        error={users.error}
        onRetry={users.reload}
        hasMore={users.hasMore}
        isLoadingMore={users.isLoadingMore}
        loadMore={users.loadMore}
        sorting={{ sort, order }}
        onSort={sorting => {
          void navigate({ search: { ...search, ...sorting } })
        }}
        toolbar={
          <>
            <SearchInput
              value={q}
              label='Filter users'
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
        empty={<Empty title={isFiltered ? 'No user matches the filter' : 'You may see no users'} />}
      />
      <InviteDialog isOpen={isInviting} onClose={() => setInviting(false)} />
      <CreateUser isOpen={isCreating} onClose={() => setCreating(false)} />
    </Page>
  )
}

function useColumns (): Column<User>[] {
  const placeName = usePlaceName()
  const ownId = useMe()?.user?.id
  const rolesOf = ({ roles }: User) =>
    roles.map(role => `${role.name}${role.applicationId === null ? '' : ` (${placeName(role.applicationId)})`}`)
  return [
    {
      id: 'name',
      header: 'Name',
      cell: user => (
        <>
          {user.name}
          {user.id === ownId && <span className='ml-2 font-normal text-muted'>you</span>}
        </>
      ),
      value: user => user.name,
      sort: 'name',
      width: 'minmax(10rem, 2fr)'
    },
    {
      id: 'email',
      header: 'E-mail',
      cell: user => user.email,
      value: user => user.email,
      sort: 'email',
      width: 'minmax(12rem, 2fr)'
    },
    {
      id: 'roles',
      header: 'Roles',
      cell: user =>
        user.roles.length === 0
          ? (
            <span className='text-muted'>none</span>
            )
          : (
            <span title={rolesOf(user).join('\n')}>{rolesOf(user).join(', ')}</span>
            ),
      value: user => rolesOf(user),
      width: 'minmax(10rem, 3fr)'
    },
    {
      id: 'mfa',
      header: 'Second factor',
      cell: user =>
        user.mfaEnabled === null
          ? (
            <span className='text-muted'>not shown</span>
            )
          : user.mfaEnabled
            ? (
              <Badge tone='ok'>enabled</Badge>
              )
            : (
              <Badge>off</Badge>
              ),
      value: user => user.mfaEnabled,
      width: '8rem'
    },
    {
      id: 'createdAt',
      header: 'Created',
      cell: user => <Time at={user.createdAt} />,
      value: user => user.createdAt,
      sort: 'createdAt',
      width: '11rem'
    },
    { id: 'id', header: 'ID', cell: user => user.id, value: user => user.id, isHidden: true }
  ]
}
