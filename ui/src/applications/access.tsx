import type { DataOf } from '../app/api.ts'
import { useMe } from '../app/me.ts'
import { useList, type ItemOf } from '../app/queries.ts'
import { DataList, type Column } from '../components/data-list.tsx'
import { Empty } from '../components/states.tsx'
import { applicationRoute } from './routes.ts'

type User = ItemOf<DataOf<'/api/users'>>

/** The users who have a role in the application. Roles are changed on the page of a user. */
export function Access () {
  const { id } = applicationRoute.useParams()
  const users = useList('/api/users', { query: { applicationId: id } }, { scope: null })
  const ownId = useMe()?.user?.id
  const columns: Column<User>[] = [
    { id: 'name', header: 'User', cell: user => user.name, value: user => user.name },
    { id: 'email', header: 'E-mail', cell: user => user.email, value: user => user.email },
    {
      id: 'roles',
      header: 'Roles here',
      width: 'minmax(10rem, 2fr)',
      cell: user => rolesIn(user, id).join(', '),
      value: user => rolesIn(user, id).join(', ')
    },
    {
      id: 'self',
      header: '',
      width: '4rem',
      cell: user => user.id === ownId && <span className='text-muted'>you</span>
    }
  ]
  return (
    <div className='flex h-[60vh] min-h-80 flex-col rounded border border-line bg-surface'>
      <DataList
        name='access'
        label='Users with access'
        rows={users.items}
        columns={columns}
        rowKey={user => user.id}
        link={user => ({ to: '/users/$id', params: { id: user.id } })}
        error={users.error}
        onRetry={users.reload}
        hasMore={users.hasMore}
        isLoadingMore={users.isLoadingMore}
        loadMore={users.loadMore}
        toolbar={<p className='text-muted'>Invite users, and change their roles, on the page “Users”.</p>}
        empty={
          <Empty title='No user has a role in this application'>Users with a role everywhere have access, too.</Empty>
        }
      />
    </div>
  )
}

const rolesIn = ({ roles }: User, applicationId: string): string[] =>
  roles
    .filter(role => role.applicationId === null || role.applicationId === applicationId)
    .map(role => (role.applicationId === null ? `${role.name} (everywhere)` : role.name))
