import { useNavigate } from '@tanstack/react-router'
import { useAction } from '../app/actions.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons, Dialog } from '../components/dialog.tsx'
import { TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { RoleAndPlaceFields } from './place-fields.tsx'

interface Body {
  name: string
  email: string
  password: string
  roles?: { roleId: string; applicationId?: string }[]
}

/** Creates a user with a password, for programs and for platforms without mail. People are better invited. */
export function CreateUser ({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  return (
    <Dialog title='Create user' isOpen={isOpen} onClose={onClose}>
      <CreateForm onClose={onClose} />
    </Dialog>
  )
}

function CreateForm ({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate()
  const create = useAction((api, body: Body) => api.POST('/api/users', { body }), {
    invalidates: ['/api/users', '/api/invites'],
    isErrorShown: true,
    done: 'User created',
    scope: null
  })
  const form = useForm({ name: '', email: '', password: '', roleId: '', applicationId: '' }, async () => {
    const created = await create.mutateAsync(body)
    onClose()
    if ('name' in created) await navigate({ to: '/users/$id', params: { id: created.id } })
  })
  const { values, set, error } = form
  const { roleId, applicationId, ...rest } = values
  const grant = { roleId, ...(applicationId !== '' && { applicationId }) }
  const body: Body = { ...rest, ...(roleId !== '' && { roles: [grant] }) }
  return (
    <Form form={form} fields={['name', 'email', 'password', 'roles']}>
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
        value={values.email}
        error={error('email')}
        onChange={event => set({ email: event.target.value })}
      />
      <TextField
        label='Password'
        type='password'
        autoComplete='new-password'
        hint='You know this password then. An invite lets people choose their own.'
        value={values.password}
        error={error('password')}
        onChange={event => set({ password: event.target.value })}
      />
      <RoleAndPlaceFields value={values} onChange={set} permission='users:create' error={() => error('roles')} />
      <Buttons>
        <CopyAs request={{ method: 'POST', path: '/api/users', body: { ...body, password: '…' } }} />
        <Button onClick={onClose}>Cancel</Button>
        <Button kind='primary' type='submit' isBusy={form.isBusy}>
          Create user
        </Button>
      </Buttons>
    </Form>
  )
}
