import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import type { DataOf } from '../app/api.ts'
import { useMay } from '../app/me.ts'
import type { ItemOf } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons, ConfirmDialog, Dialog } from '../components/dialog.tsx'
import { ErrorNote } from '../components/error-note.tsx'
import { Checkbox, TextAreaField, TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'

export type Service = ItemOf<DataOf<'/api/services'>>

export function CreateService ({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const navigate = useNavigate()
  const scope = usePageScope()
  const create = useAction(
    (api, body: { name: string; description?: string }) => api.POST('/api/services', { body }),
    { invalidates: ['/api/services'], isErrorShown: true, done: 'Service created' }
  )
  const form = useForm({ name: '', description: '' }, async values => {
    const { name } = await create.mutateAsync(bodyOf(values))
    onClose()
    await navigate({ to: `${scopePath}/documents/$service`, params: { ...scope, service: name } })
  })
  const { values, set, error } = form
  return (
    <Dialog title='Create service' isOpen={isOpen} onClose={onClose}>
      <Form form={form} fields={['name', 'description']}>
        <TextField
          label='Name'
          placeholder='cart'
          autoFocus
          value={values.name}
          error={error('name')}
          hint='Lower-case letters, digits, - and _. Topics such as sync.cart.updated contain it; it cannot be changed.'
          onChange={event => set({ name: event.target.value })}
        />
        <TextField
          label='Description'
          isOptional
          value={values.description}
          error={error('description')}
          onChange={event => set({ description: event.target.value })}
        />
        <Buttons>
          <CopyAs request={{ method: 'POST', path: '/api/services', body: bodyOf(values) }} />
          <Button onClick={onClose}>Cancel</Button>
          <Button kind='primary' type='submit' isBusy={form.isBusy}>
            Create service
          </Button>
        </Buttons>
      </Form>
    </Dialog>
  )
}

const bodyOf = ({ name, description }: { name: string; description: string }) => ({
  name,
  ...(description !== '' && { description })
})

export function DescribeService ({ service, onClose }: { service: Service; onClose: () => void }) {
  const path = { id: service.id }
  const change = useAction(
    (api, body: { description: string | null }) => api.PATCH('/api/services/{id}', { params: { path }, body }),
    { invalidates: ['/api/services'], isErrorShown: true, done: 'Description changed' }
  )
  const form = useForm({ description: service.description ?? '' }, async values => {
    await change.mutateAsync(patchOf(values))
    onClose()
  })
  return (
    <Dialog title={`Description of ${service.name}`} isOpen onClose={onClose}>
      <Form form={form} fields={['description']}>
        <TextAreaField
          label='Description'
          isOptional
          autoFocus
          value={form.values.description}
          error={form.error('description')}
          onChange={event => form.set({ description: event.target.value })}
        />
        <Buttons>
          <CopyAs
            request={{ method: 'PATCH', path: '/api/services/{id}', params: path, body: patchOf(form.values) }}
          />
          <Button onClick={onClose}>Cancel</Button>
          <Button kind='primary' type='submit' isBusy={form.isBusy}>
            Save description
          </Button>
        </Buttons>
      </Form>
    </Dialog>
  )
}

const patchOf = ({ description }: { description: string }) => ({
  description: description === '' ? null : description
})

/** Deletes a service; its documents too only when that is chosen. */
export function DeleteService ({ service, onClose }: { service: Service; onClose: () => void }) {
  const navigate = useNavigate()
  const scope = usePageScope()
  const may = useMay()
  const [isForced, setForced] = useState(false)
  const query = isForced ? { force: true } : {}
  const remove = useAction(
    (api, query: { force?: boolean }) =>
      api.DELETE('/api/services/{id}', { params: { path: { id: service.id }, query } }),
    {
      invalidates: ['/api/services', '/api/sync'],
      isErrorShown: true,
      done: 'Service deleted',
      onDone: async () => {
        onClose()
        await navigate({ to: `${scopePath}/documents`, params: scope })
      }
    }
  )
  return (
    <ConfirmDialog
      title={`Delete ${service.name}?`}
      isOpen
      onClose={onClose}
      onConfirm={() => remove.mutate(query)}
      verb={isForced ? 'Delete service and documents' : 'Delete service'}
      name={service.name}
      isBusy={remove.isPending}
    >
      <div className='grid gap-3'>
        <p>All environments share the service. It cannot be deleted while it has documents in any of them.</p>
        {may('documents:delete') && (
          <Checkbox
            label='Delete its documents first'
            hint='In development, staging and production, each with its event.'
            checked={isForced}
            onChange={event => setForced(event.target.checked)}
          />
        )}
        {remove.error !== null && <ErrorNote error={remove.error} />}
        <p className='flex items-center'>
          <CopyAs request={{ method: 'DELETE', path: '/api/services/{id}', params: { id: service.id }, query }} />
          Copy as code
        </p>
      </div>
    </ConfirmDialog>
  )
}
