import { useNavigate } from '@tanstack/react-router'
import { useAction } from '../app/actions.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons, Dialog } from '../components/dialog.tsx'
import { TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'

/** Asks for the name, description and owner of a topic, and shows the topic. */
export function CreateTopic ({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const navigate = useNavigate()
  const scope = usePageScope()
  const create = useAction(
    (api, body: { name: string; description: string; owner: string }) => api.POST('/api/topics', { body }),
    { invalidates: ['/api/topics'], isErrorShown: true, done: 'Topic created' }
  )
  const form = useForm({ name: '', description: '', owner: '' }, async values => {
    const { name } = await create.mutateAsync(values)
    onClose()
    await navigate({ to: `${scopePath}/topics/$name`, params: { ...scope, name } })
  })
  const { values, set, error } = form
  return (
    <Dialog title='Create topic' isOpen={isOpen} onClose={onClose}>
      <Form form={form} fields={['name', 'description', 'owner']}>
        <TextField
          label='Name'
          placeholder='order.placed'
          autoFocus
          value={values.name}
          error={error('name')}
          hint='Lower-case words with dots between them.'
          onChange={event => set({ name: event.target.value })}
        />
        <TextField
          label='Description'
          value={values.description}
          error={error('description')}
          onChange={event => set({ description: event.target.value })}
        />
        <TextField
          label='Owner'
          placeholder='shop'
          value={values.owner}
          error={error('owner')}
          hint='The team or service that publishes it.'
          onChange={event => set({ owner: event.target.value })}
        />
        <Buttons>
          <CopyAs request={{ method: 'POST', path: '/api/topics', body: values }} />
          <Button onClick={onClose}>Cancel</Button>
          <Button kind='primary' type='submit' isBusy={form.isBusy}>
            Create topic
          </Button>
        </Buttons>
      </Form>
    </Dialog>
  )
}
