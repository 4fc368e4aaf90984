import { RealtimeError } from '@realtime-platform/client'
import { useAction } from '../app/actions.ts'
import { useMe } from '../app/me.ts'
import { closeSession } from '../app/session.ts'
import { Checkbox, TextField } from '../components/field.tsx'
import { Form } from '../components/form.tsx'
import { useDelayedForm } from '../components/delayed-form.ts'
import { Section } from '../components/page.tsx'
import { SendButton } from '../components/send-button.tsx'
import { AccountTab } from './account-page.tsx'

/** Changes the own password. It ends every session, this one too. */
export function PasswordTab () {
  const { user } = useMe() ?? {}
  const id = user?.id ?? ''
  const change = useAction(
    (api, body: { currentPassword: string; newPassword: string; revokeApiKeys: boolean }) =>
      api.POST('/api/users/{id}/change-password', { params: { path: { id } }, body }),
    { isErrorShown: true, done: 'Password changed. Sign in with it', onDone: closeSession, scope: null }
  )
  const form = useDelayedForm(
    { currentPassword: '', newPassword: '', repeated: '', revokeApiKeys: false },
    async ({ repeated, ...body }) => {
      if (repeated !== body.newPassword) {
        const details = [{ path: '/repeated', message: 'differs from the new password' }]
        throw new RealtimeError('NOT_REPEATED', 'The new passwords differ', { details })
      }
      await change.mutateAsync(body)
    }
  )
  const { values, set, error } = form
  return (
    <AccountTab>
      <Section title='Change password'>
        <Form form={form} fields={['currentPassword', 'newPassword', 'repeated']}>
          <input type='hidden' autoComplete='username' value={user?.email ?? ''} />
          <TextField
            label='Current password'
            type='password'
            autoComplete='current-password'
            value={values.currentPassword}
            error={error('currentPassword')}
            onChange={event => set({ currentPassword: event.target.value })}
          />
          <TextField
            label='New password'
            type='password'
            autoComplete='new-password'
            hint='At least 8 characters. A long pass phrase is best.'
            value={values.newPassword}
            error={error('newPassword')}
            onChange={event => set({ newPassword: event.target.value })}
          />
          <TextField
            label='New password again'
            type='password'
            autoComplete='new-password'
            value={values.repeated}
            error={error('repeated')}
            onChange={event => set({ repeated: event.target.value })}
          />
          <Checkbox
            label='Revoke my API keys as well'
            hint='If somebody else may have known the password, they may have created a key.'
            checked={values.revokeApiKeys}
            onChange={event => set({ revokeApiKeys: event.target.checked })}
          />
          <p className='text-muted'>Every session of your account ends, and you sign in again.</p>
          <div className='grid justify-items-start gap-2'>
            <SendButton form={form}>Change password</SendButton>
          </div>
        </Form>
      </Section>
    </AccountTab>
  )
}
