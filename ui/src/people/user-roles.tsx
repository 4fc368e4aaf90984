import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { ConfirmDialog } from '../components/dialog.tsx'
import { Form, useForm } from '../components/form.tsx'
import { Section } from '../components/page.tsx'
import { usePlaceName, useReach, type User } from './names.ts'
import { RoleAndPlaceFields, usePlaceChoices } from './place-fields.tsx'

type Grant = User['roles'][number]

/** The roles of a user, by application, to assign and to remove. */
export function UserRoles ({ user }: { user: User }) {
  const placeName = usePlaceName()
  const reach = useReach()
  const [removed, setRemoved] = useState<Grant | 'all' | null>(null)
  const grants = [...user.roles].sort((a, b) => Number(a.applicationId !== null) - Number(b.applicationId !== null))
  const removable = grants.filter(({ applicationId }) => reach.in(applicationId, 'users:update'))
  return (
    <Section
      title='Roles'
      isPlain
      actions={
        removable.length > 1 &&
        removable.length === grants.length && (
          <Button kind='plain' onClick={() => setRemoved('all')}>
            Remove all roles
          </Button>
        )
      }
    >
      {grants.length === 0
        ? (
          <p className='p-3 text-muted'>None. The user can sign in, and sees nothing.</p>
          )
        : (
          <table className='w-full'>
            <thead>
              <tr className='border-b border-line text-left text-xs text-muted'>
                <th className='px-3 py-1.5 font-medium'>Role</th>
                <th className='px-3 py-1.5 font-medium'>Applies to</th>
                <th className='w-24 px-3 py-1.5'>
                  <span className='sr-only'>Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {grants.map(grant => (
                <tr key={`${grant.roleId} ${grant.applicationId}`} className='border-b border-line/60'>
                  <td className='px-3 py-1.5'>
                    {reach.anywhere('roles:read')
                      ? (
                        <Link to='/roles/$id' params={{ id: grant.roleId }} className='font-medium hover:underline'>
                          {grant.name}
                        </Link>
                        )
                      : (
                          grant.name
                        )}
                  </td>
                  <td className='px-3 py-1.5'>
                    {grant.applicationId === null
                      ? (
                          'every application'
                        )
                      : (
                        <Link to='/applications/$id' params={{ id: grant.applicationId }} className='hover:underline'>
                          {placeName(grant.applicationId)}
                        </Link>
                        )}
                  </td>
                  <td className='px-3 py-1.5 text-right'>
                    {reach.in(grant.applicationId, 'users:update') && (
                      <Button
                        kind='plain'
                        className='h-6!'
                        aria-label={`Remove ${grant.name}, ${placeName(grant.applicationId)}`}
                        onClick={() => setRemoved(grant)}
                      >
                        Remove
                      </Button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          )}
      <Assign user={user} />
      <RemoveRole user={user} removed={removed} grants={grants} onClose={() => setRemoved(null)} />
    </Section>
  )
}

function Assign ({ user: { id } }: { user: User }) {
  const places = usePlaceChoices('users:update')
  const assign = useAction(
    (api, body: { roleId: string; applicationId?: string }) =>
      api.POST('/api/users/{id}/roles', { params: { path: { id } }, body }),
    { invalidates: ['/api/users', '/api/auth/me'], isErrorShown: true, done: 'Role assigned', scope: null }
  )
  const form = useForm({ roleId: '', applicationId: null as string | null }, async () => {
    await assign.mutateAsync(body)
    form.set({ roleId: '' })
  })
  const { values, set, error } = form
  const applicationId = values.applicationId ?? places[0]?.value ?? ''
  const body = { roleId: values.roleId, ...(applicationId !== '' && { applicationId }) }
  if (places.length === 0) return null
  return (
    <div className='p-3'>
      <h3 className='mb-2 font-medium'>Assign a role</h3>
      <Form form={form} fields={['roleId', 'applicationId']} className='grid gap-3'>
        <div className='grid items-start gap-3 sm:grid-cols-2'>
          <RoleAndPlaceFields
            value={{ roleId: values.roleId, applicationId }}
            onChange={set}
            permission='users:update'
            error={error}
          />
        </div>
        <div className='flex gap-2'>
          <Button type='submit' isBusy={form.isBusy} disabled={values.roleId === ''}>
            Assign role
          </Button>
          <CopyAs request={{ method: 'POST', path: '/api/users/{id}/roles', params: { id }, body }} />
        </div>
      </Form>
    </div>
  )
}

function RemoveRole ({
  user: { id, name },
  removed,
  grants,
  onClose
}: {
  user: User
  removed: Grant | 'all' | null
  grants: readonly Grant[]
  onClose: () => void
}) {
  const placeName = usePlaceName()
  const remove = useAction(
    (api, { roleId, applicationId }: Grant) =>
      api.DELETE('/api/users/{id}/roles/{roleId}', {
        params: { path: { id, roleId }, query: applicationId === null ? {} : { applicationId } }
      }),
    { invalidates: ['/api/users', '/api/auth/me'], scope: null }
  )
  const run = async () => {
    const chosen = removed === 'all' ? grants : removed === null ? [] : [removed]
    for (const grant of chosen) await remove.mutateAsync(grant)
    onClose()
  }
  const words =
    removed === 'all'
      ? 'all roles'
      : `${removed?.name ?? ''}${removed === null ? '' : `, ${placeName(removed.applicationId)}`}`
  return (
    <ConfirmDialog
      title={`Remove ${words} from ${name}`}
      name={name}
      verb={removed === 'all' ? 'Remove all roles' : 'Remove role'}
      isOpen={removed !== null}
      isBusy={remove.isPending}
      onClose={onClose}
      onConfirm={() => {
        void run().catch(() => {})
      }}
    >
      It takes effect with the next request of the user. Subscriptions that are no longer covered end, and API keys of
      the user lose the same rights.
      {removed === 'all' && ' Without a role the user can still sign in, and sees nothing.'}
    </ConfirmDialog>
  )
}
