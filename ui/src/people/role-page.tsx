import { Link, useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { useGlobal, useList } from '../app/queries.ts'
import { Badge } from '../components/badge.tsx'
import { Button, buttonLook } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { ConfirmDialog } from '../components/dialog.tsx'
import { Page, Section } from '../components/page.tsx'
import { Empty, Loaded, Skeleton } from '../components/states.tsx'
import { Matrix } from './matrix.tsx'
import { usePlaceName, useReach, type Role } from './names.ts'
import { allPermissions, nameOf } from './resources.ts'
import { namesOf, RoleForm, type RoleBody } from './role-form.tsx'
import { roleRoute } from './routes.ts'

/** A role: its permissions, and who has it. */
export function RolePage () {
  const { id } = roleRoute.useParams()
  const roles = useGlobal('/api/roles', { query: { limit: 1000 } })
  return (
    <Loaded query={roles}>
      {list => {
        const role = list.find(role => role.id === id)
        return role === undefined
          ? (
            <Empty title='This role does not exist'>
              <Link to='/roles' className='text-accent underline'>
                All roles
              </Link>
            </Empty>
            )
          : (
            <RoleView key={role.updatedAt} role={role} />
            )
      }}
    </Loaded>
  )
}

function RoleView ({ role }: { role: Role }) {
  const reach = useReach()
  const [isDeleting, setDeleting] = useState(false)
  const stored = namesOf(role)
  const holdsAll = role.permissions.every(permission => reach.everywhere(nameOf(permission)))
  const isEditable = !role.builtIn && holdsAll && reach.everywhere('roles:update')
  const update = useAction(
    (api, body: RoleBody) => api.PATCH('/api/roles/{id}', { params: { path: { id: role.id } }, body }),
    { invalidates: ['/api/roles', '/api/users', '/api/auth/me'], isErrorShown: true, done: 'Role saved', scope: null }
  )
  return (
    <Page
      title={role.name}
      crumbs={[{ label: 'Roles', link: { to: '/roles' } }]}
      {...(role.description !== '' && { description: role.description })}
      actions={
        <>
          {role.builtIn && <Badge>built in, read-only</Badge>}
          <CopyAs request={{ method: 'GET', path: '/api/roles', query: { q: role.name } }} />
          {reach.everywhere('roles:create') && (
            <Link to='/roles/new' search={{ like: role.id }} className={buttonLook()}>
              Duplicate role
            </Link>
          )}
          {!role.builtIn && reach.everywhere('roles:delete') && (
            <Button kind='danger' onClick={() => setDeleting(true)}>
              Delete role
            </Button>
          )}
        </>
      }
    >
      <div className='grid items-start gap-4 xl:grid-cols-[minmax(0,3fr)_minmax(16rem,1fr)]'>
        {isEditable
          ? (
            <RoleForm
              role={role}
              verb='Save role'
              request={body => ({ method: 'PATCH', path: '/api/roles/{id}', params: { id: role.id }, body })}
              onSave={body => update.mutateAsync(body)}
            />
            )
          : (
            <Section
              title='Permissions'
              isPlain
              actions={<span className='text-muted'>{stored.size} of {allPermissions.length}</span>}
            >
              <Matrix value={stored} stored={stored} mayGrant={() => false} />
            </Section>
            )}
        <Holders role={role} />
      </div>
      <DeleteRole role={role} isOpen={isDeleting} onClose={() => setDeleting(false)} />
    </Page>
  )
}

/** The users who have the role, as far as the reader may see them. */
function Holders ({ role: { id } }: { role: Role }) {
  const placeName = usePlaceName()
  const users = useList('/api/users', { query: { roleId: id, limit: 50 } }, { scope: null })
  return (
    <Section
      title='Users with this role'
      actions={
        <Link to='/users' search={{ role: id }} className='text-accent hover:underline'>
          Show in list
        </Link>
      }
    >
      {users.error !== null && users.items === undefined
        ? (
          <p className='text-muted'>{users.error.message}</p>
          )
        : users.items === undefined
          ? (
            <Skeleton lines={3} />
            )
          : users.items.length === 0
            ? (
              <p className='text-muted'>Nobody has it.</p>
              )
            : (
              <ul className='grid gap-1.5'>
                {users.items.map(user => (
                  <li key={user.id} className='min-w-0'>
                    <Link to='/users/$id' params={{ id: user.id }} className='font-medium break-words hover:underline'>
                      {user.name}
                    </Link>{' '}
                    <span className='text-muted'>
                      {user.roles
                        .filter(({ roleId }) => roleId === id)
                        .map(({ applicationId }) => placeName(applicationId))
                        .join(', ')}
                    </span>
                  </li>
                ))}
                {users.hasMore && <li className='text-muted'>and more</li>}
              </ul>
              )}
    </Section>
  )
}

function DeleteRole ({ role: { id, name }, isOpen, onClose }: { role: Role; isOpen: boolean; onClose: () => void }) {
  const navigate = useNavigate()
  const remove = useAction(api => api.DELETE('/api/roles/{id}', { params: { path: { id } } }), {
    invalidates: ['/api/users', '/api/invites'],
    done: 'Role deleted',
    scope: null,
    async onDone () {
      await navigate({ to: '/roles' })
    }
  })
  return (
    <ConfirmDialog
      title={`Delete the role ${name}`}
      name={name}
      verb='Delete role'
      isOpen={isOpen}
      isBusy={remove.isPending}
      onClose={onClose}
      onConfirm={() => remove.mutate(undefined)}
    >
      It is removed from all users, and its invites are withdrawn.
    </ConfirmDialog>
  )
}
