import { Link, useNavigate } from '@tanstack/react-router'
import { Plus } from 'lucide-react'
import { useList } from '../app/queries.ts'
import { Badge } from '../components/badge.tsx'
import { buttonLook } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { DataList, type Column } from '../components/data-list.tsx'
import { Page } from '../components/page.tsx'
import { SearchInput } from '../components/search-input.tsx'
import { Empty } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { useReach, type Role } from './names.ts'
import { allPermissions } from './resources.ts'
import { rolesRoute } from './routes.ts'

const countIn = ({ permissions }: Role): string =>
  permissions.length >= allPermissions.length ? 'all' : String(permissions.length)

const columns: Column<Role>[] = [
  {
    id: 'name',
    header: 'Role',
    cell: role => role.name,
    value: role => role.name,
    sort: 'name',
    width: 'minmax(10rem, 1fr)'
  },
  {
    id: 'description',
    header: 'Description',
    cell: role => role.description,
    value: role => role.description,
    width: 'minmax(14rem, 3fr)'
  },
  {
    id: 'builtIn',
    header: 'Kind',
    cell: role =>
      role.builtIn
        ? (
          <Badge hasIcon={false}>built in</Badge>
          )
        : (
          <Badge tone='info' hasIcon={false}>
            custom
          </Badge>
          ),
    value: role => role.builtIn,
    width: '6rem'
  },
  {
    id: 'permissions',
    header: 'Permissions',
    cell: countIn,
    value: role => role.permissions.length,
    align: 'right',
    width: '7rem'
  },
  {
    id: 'updatedAt',
    header: 'Changed',
    cell: role => <Time at={role.builtIn ? null : role.updatedAt} />,
    value: role => role.updatedAt,
    sort: 'updatedAt',
    width: '11rem'
  },
  { id: 'id', header: 'ID', cell: role => role.id, value: role => role.id, isHidden: true }
]

/** The roles of the platform. A role is assigned everywhere or for one application. */
export function RolesPage () {
  const search = rolesRoute.useSearch()
  const navigate = useNavigate({ from: '/roles' })
  const reach = useReach()
  const { q, sort, order } = search
  const query = { q, sort: sort as 'name' | undefined, order }
  const roles = useList('/api/roles', { query }, { scope: null })
  return (
    <Page
      title='Roles'
      isFilled
      actions={
        <>
          <CopyAs request={{ method: 'GET', path: '/api/roles', query }} />
          {reach.everywhere('roles:create') && (
            <Link to='/roles/new' className={buttonLook('primary')}>
              <Plus size={15} aria-hidden />
              Create role
            </Link>
          )}
        </>
      }
    >
      <DataList
        name='roles'
        label='Roles'
        rows={roles.items}
        columns={columns}
        rowKey={role => role.id}
        link={role => ({ to: '/roles/$id', params: { id: role.id } })}
        error={roles.error}
        onRetry={roles.reload}
        hasMore={roles.hasMore}
        isLoadingMore={roles.isLoadingMore}
        loadMore={roles.loadMore}
        sorting={{ sort, order }}
        onSort={sorting => {
          void navigate({ search: { ...search, ...sorting } })
        }}
        toolbar={
          <SearchInput
            value={q}
            label='Filter roles'
            onChange={q => {
              void navigate({ search: { ...search, q }, replace: true })
            }}
          />
        }
        empty={<Empty title='No role contains this text' />}
      />
    </Page>
  )
}
