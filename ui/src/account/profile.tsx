import { RealtimeError } from '@realtime-platform/client'
import { useAction } from '../app/actions.ts'
import { useMe } from '../app/me.ts'
import { TextField } from '../components/field.tsx'
import { Form } from '../components/form.tsx'
import { useDelayedForm } from '../components/delayed-form.ts'
import { Section } from '../components/page.tsx'
import { Properties } from '../components/properties.tsx'
import { SendButton } from '../components/send-button.tsx'
import { Skeleton } from '../components/states.tsx'
import { Code } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Time } from '../components/time.tsx'
import { usePlaceName, useReach } from '../people/names.ts'
import { AccountTab } from './account-page.tsx'

/** The name, the address and the roles of the user. */
export function Profile () {
  const me = useMe()
  const placeName = usePlaceName()
  if (me?.user === undefined) {
    return (
      <AccountTab>
        <Skeleton lines={5} />
      </AccountTab>
    )
  }
  return (
    <AccountTab>
      <NameAndAddress key={me.user.id} user={me.user} />
      <Section title='Access'>
        <Properties
          items={[
            [
              'ID',
              <Code key='id' isCopyable>
                {me.user.id}
              </Code>
            ],
            [
              'Roles',
              me.roles === undefined || me.roles.length === 0
                ? (
                    'none'
                  )
                : (
                  <ul>
                    {me.roles.map(({ name, applicationId }) => (
                      <li key={`${name} ${applicationId}`}>
                        {name} <span className='text-muted'>{placeName(applicationId)}</span>
                      </li>
                    ))}
                  </ul>
                  )
            ],
            ['This session ends', <Time key='end' at={me.expiresAt} />]
          ]}
        />
      </Section>
    </AccountTab>
  )
}

function NameAndAddress ({ user: { id, name, email } }: { user: { id: string; name: string; email: string } }) {
  const reach = useReach()
  const mayRename = reach.anywhere('users:update')
  const mayMove = reach.everywhere('users:update')
  const update = useAction(
    (api, body: { name?: string; email?: string; currentPassword?: string }) =>
      api.PATCH('/api/users/{id}', { params: { path: { id } }, body }),
    { invalidates: ['/api/auth/me', '/api/users'], isErrorShown: true, done: 'Profile saved', scope: null }
  )
  const form = useDelayedForm({ name, email, currentPassword: '' }, async values => {
    const body = {
      ...(values.name !== name && { name: values.name }),
      ...(values.email !== email && { email: values.email, currentPassword: values.currentPassword })
    }
    if (Object.keys(body).length === 0) throw new RealtimeError('UNCHANGED', 'Nothing has changed')
    await update.mutateAsync(body)
    form.set({ currentPassword: '' })
  })
  const { values, set, error } = form
  const isMoved = values.email !== email
  const body = { name: values.name, ...(isMoved && { email: values.email, currentPassword: '…' }) }
  return (
    <Section
      title='Profile'
      actions={<CopyAs request={{ method: 'PATCH', path: '/api/users/{id}', params: { id }, body }} />}
    >
      <Form form={form} fields={['name', 'email', 'currentPassword']}>
        <TextField
          label='Name'
          autoComplete='name'
          disabled={!mayRename}
          value={values.name}
          error={error('name')}
          {...(!mayRename && { hint: 'Only an administrator can change it: your roles lack users:update.' })}
          onChange={event => set({ name: event.target.value })}
        />
        <TextField
          label='E-mail'
          type='email'
          autoComplete='username'
          disabled={!mayMove}
          value={values.email}
          error={error('email')}
          hint={
            mayMove
              ? 'Your sign-in name. Your former address gets a mail about a change.'
              : 'Only an administrator with users:update everywhere can change it.'
          }
          onChange={event => set({ email: event.target.value })}
        />
        {isMoved && (
          <TextField
            label='Current password'
            type='password'
            autoComplete='current-password'
            hint='An open session is not enough to take over an account.'
            value={values.currentPassword}
            error={error('currentPassword')}
            onChange={event => set({ currentPassword: event.target.value })}
          />
        )}
        {mayRename && (
          <div className='grid justify-items-start gap-2'>
            <SendButton form={form}>Save profile</SendButton>
          </div>
        )}
      </Form>
    </Section>
  )
}
