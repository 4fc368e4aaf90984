import { Link, useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { useMe } from '../app/me.ts'
import { useGlobal } from '../app/queries.ts'
import { Badge } from '../components/badge.tsx'
import { Button, buttonLook } from '../components/button.tsx'
import { Code } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { ConfirmDialog } from '../components/dialog.tsx'
import { Page, Section } from '../components/page.tsx'
import { Properties } from '../components/properties.tsx'
import { Loaded } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { useReach, type User } from './names.ts'
import { Rename } from './rename-user.tsx'
import { userRoute } from './routes.ts'
import { UserRoles } from './user-roles.tsx'
import { SetPassword } from './set-password.tsx'

/** A user: roles, second factor, password, deletion. */
export function UserPage () {
  const { id } = userRoute.useParams()
  const user = useGlobal('/api/users/{id}', { path: { id } })
  return <Loaded query={user}>{user => <UserView user={user} />}</Loaded>
}

function UserView ({ user }: { user: User }) {
  const reach = useReach()
  const ownId = useMe()?.user?.id
  const isSelf = user.id === ownId
  const mayUpdate = reach.anywhere('users:update')
  const [dialog, setDialog] = useState<'rename' | 'password' | 'factor' | 'delete' | null>(null)
  const close = () => setDialog(null)
  return (
    <Page
      title={user.name}
      crumbs={[{ label: 'Users', link: { to: '/users' } }]}
      description={user.email}
      actions={
        <>
          <CopyAs request={{ method: 'GET', path: '/api/users/{id}', params: { id: user.id } }} />
          {reach.anywhere('audit:read') && (
            <Link to='/audit' search={{ actor: user.id }} className={buttonLook()}>
              Audit log
            </Link>
          )}
          {isSelf && (
            <Link to='/account' className={buttonLook()}>
              Your account
            </Link>
          )}
          {mayUpdate && <Button onClick={() => setDialog('rename')}>Edit</Button>}
          {reach.anywhere('users:delete') && !isSelf && (
            <Button kind='danger' onClick={() => setDialog('delete')}>
              Delete user
            </Button>
          )}
        </>
      }
    >
      <div className='grid max-w-5xl items-start gap-4 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]'>
        <UserRoles user={user} />
        <div className='grid gap-4'>
          <Section title='Account'>
            <Properties
              items={[
                ['Name', user.name],
                ['E-mail', user.email],
                [
                  'ID',
                  <Code key='id' isCopyable>
                    {user.id}
                  </Code>
                ],
                ['Created', <Time key='created' at={user.createdAt} />],
                ['Changed', <Time key='changed' at={user.updatedAt} />]
              ]}
            />
          </Section>
          <Section title='Sign-in'>
            <div className='grid gap-3'>
              <Properties items={[['Second factor', <Factor key='factor' isEnabled={user.mfaEnabled} />]]} />
              {isSelf
                ? (
                  <p className='text-muted'>Change your password and second factor in your account.</p>
                  )
                : (
                    mayUpdate && (
                      <div className='flex flex-wrap gap-2'>
                        <Button onClick={() => setDialog('password')}>Set password</Button>
                        {user.mfaEnabled === true && (
                          <Button kind='danger' onClick={() => setDialog('factor')}>
                            Disable second factor
                          </Button>
                        )}
                      </div>
                    )
                  )}
            </div>
          </Section>
        </div>
      </div>
      <Rename user={user} isOpen={dialog === 'rename'} onClose={close} />
      <SetPassword user={user} isOpen={dialog === 'password'} onClose={close} />
      <DisableFactor user={user} isOpen={dialog === 'factor'} onClose={close} />
      <DeleteUser user={user} isOpen={dialog === 'delete'} onClose={close} />
    </Page>
  )
}

function Factor ({ isEnabled }: { isEnabled: boolean | null }) {
  if (isEnabled === null) return <span className='text-muted'>shown to those who may change the user</span>
  return isEnabled ? <Badge tone='ok'>enabled</Badge> : <Badge>off</Badge>
}

interface DialogProps {
  user: User
  isOpen: boolean
  onClose: () => void
}

function DisableFactor ({ user: { id, name }, isOpen, onClose }: DialogProps) {
  const disable = useAction(api => api.POST('/api/users/{id}/mfa/disable', { params: { path: { id } }, body: {} }), {
    invalidates: ['/api/users'],
    done: 'Second factor disabled',
    onDone: onClose,
    scope: null
  })
  return (
    <ConfirmDialog
      title={`Disable the second factor of ${name}`}
      name={name}
      verb='Disable second factor'
      isOpen={isOpen}
      isBusy={disable.isPending}
      onClose={onClose}
      onConfirm={() => disable.mutate(undefined)}
    >
      The password is then enough to sign in. Do it only if the user has lost the app and the recovery codes, and you
      are sure who asks. The user gets a mail.
    </ConfirmDialog>
  )
}

function DeleteUser ({ user: { id, name }, isOpen, onClose }: DialogProps) {
  const navigate = useNavigate()
  const remove = useAction(api => api.DELETE('/api/users/{id}', { params: { path: { id } } }), {
    done: 'User deleted',
    scope: null,
    async onDone () {
      await navigate({ to: '/users' })
    },
    invalidates: ['/api/invites']
  })
  return (
    <ConfirmDialog
      title={`Delete ${name}`}
      name={name}
      verb='Delete user'
      isOpen={isOpen}
      isBusy={remove.isPending}
      onClose={onClose}
      onConfirm={() => remove.mutate(undefined)}
    >
      Their sessions end and their sockets close at once. Their API keys and the invites that they sent stop working.
      The audit log keeps what they did. To disable the user only, remove all of their roles.
    </ConfirmDialog>
  )
}
