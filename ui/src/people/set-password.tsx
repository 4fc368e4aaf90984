import { useAction } from '../app/actions.ts'
import { Button } from '../components/button.tsx'
import { Buttons, Dialog } from '../components/dialog.tsx'
import { Checkbox, TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import type { User } from './names.ts'

/** Sets the password of another user, whose sessions end. */
export function SetPassword ({ user, isOpen, onClose }: { user: User; isOpen: boolean; onClose: () => void }) {
  return (
    <Dialog title={`Set the password of ${user.name}`} isOpen={isOpen} onClose={onClose}>
      <PasswordForm id={user.id} onClose={onClose} />
    </Dialog>
  )
}

function PasswordForm ({ id, onClose }: { id: string; onClose: () => void }) {
  const change = useAction(
    (api, body: { newPassword: string; revokeApiKeys: boolean }) =>
      api.POST('/api/users/{id}/change-password', { params: { path: { id } }, body }),
    { isErrorShown: true, invalidates: ['/api/users'], done: 'Password set', scope: null }
  )
  const form = useForm({ newPassword: '', revokeApiKeys: true }, async values => {
    await change.mutateAsync(values)
    onClose()
  })
  const { values, set, error } = form
  return (
    <Form form={form} fields={['newPassword']}>
      <p className='text-muted'>
        Every session of the user ends. The user gets a mail. If they can read their mail, “Forgot password” on the
        sign-in page is better: then nobody else knows the password.
      </p>
      <TextField
        label='New password'
        type='password'
        autoComplete='new-password'
        autoFocus
        hint='At least 8 characters.'
        value={values.newPassword}
        error={error('newPassword')}
        onChange={event => set({ newPassword: event.target.value })}
      />
      <Checkbox
        label='Revoke their API keys as well'
        hint='Keep them only if the password was forgotten, not stolen.'
        checked={values.revokeApiKeys}
        onChange={event => set({ revokeApiKeys: event.target.checked })}
      />
      <Buttons>
        <Button onClick={onClose}>Cancel</Button>
        <Button kind='danger' type='submit' isBusy={form.isBusy}>
          Set password
        </Button>
      </Buttons>
    </Form>
  )
}
