import { useAction } from '../app/actions.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons, Dialog } from '../components/dialog.tsx'
import { TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { useReach, type User } from './names.ts'

/** Changes the name and the address of a user. */
export function Rename ({ user, isOpen, onClose }: { user: User; isOpen: boolean; onClose: () => void }) {
  return (
    <Dialog title={`Edit ${user.name}`} isOpen={isOpen} onClose={onClose}>
      <RenameForm user={user} onClose={onClose} />
    </Dialog>
  )
}

function RenameForm ({ user: { id, name, email }, onClose }: { user: User; onClose: () => void }) {
  const mayMove = useReach().everywhere('users:update')
  const update = useAction(
    (api, body: { name?: string; email?: string }) =>
      api.PATCH('/api/users/{id}', { params: { path: { id } }, body }),
    { invalidates: ['/api/users', '/api/auth/me'], isErrorShown: true, done: 'User saved', scope: null }
  )
  const form = useForm({ name, email }, async () => {
    await update.mutateAsync(body)
    onClose()
  })
  const { values, set, error } = form
  const body = { name: values.name, ...(values.email !== email && { email: values.email }) }
  return (
    <Form form={form} fields={['name', 'email']}>
      <TextField
        label='Name'
        autoFocus
        value={values.name}
        error={error('name')}
        onChange={event => set({ name: event.target.value })}
      />
      <TextField
        label='E-mail'
        type='email'
        disabled={!mayMove}
        value={values.email}
        error={error('email')}
        hint={mayMove ? 'The former address gets a mail about it.' : 'Changing it requires users:update everywhere.'}
        onChange={event => set({ email: event.target.value })}
      />
      <Buttons>
        <CopyAs request={{ method: 'PATCH', path: '/api/users/{id}', params: { id }, body }} />
        <Button onClick={onClose}>Cancel</Button>
        <Button kind='primary' type='submit' isBusy={form.isBusy}>
          Save user
        </Button>
      </Buttons>
    </Form>
  )
}
