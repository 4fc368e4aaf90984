import { useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useAction } from '../app/actions.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons, Dialog } from '../components/dialog.tsx'
import { TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { JsonEditor } from '../components/json-editor.tsx'
import { problemsIn } from '../components/json-positions.ts'
import { parseData } from './data.ts'

interface Values {
  id: string
  text: string
  expiresAt: string
}

export function CreateDocument ({ service, onClose }: { service: string; onClose: () => void }) {
  const navigate = useNavigate()
  const scope = usePageScope()
  const create = useAction(
    (api, body: ReturnType<typeof bodyOf>) =>
      api.POST('/api/sync/{service}/documents', { params: { path: { service } }, body }),
    { invalidates: ['/api/sync', '/api/services'], isErrorShown: true, done: ({ id }) => `Document ${id} created` }
  )
  const form = useForm<Values>({ id: '', text: '{}', expiresAt: '' }, async values => {
    const { id } = await create.mutateAsync(bodyOf(values))
    onClose()
    await navigate({ to: `${scopePath}/documents/$service/$id`, params: { ...scope, service, id } })
  })
  const { values, set, error, failure } = form
  const { data, problem } = parseData(values.text)
  const problems = useMemo(() => problemsIn(values.text, failure?.details ?? [], '/data'), [values.text, failure])
  return (
    <Dialog title='Create document' isOpen onClose={onClose} width='max-w-2xl'>
      <Form form={form} fields={['id', 'expiresAt']}>
        <div className='grid items-start gap-4 sm:grid-cols-2'>
          <TextField
            label='Id'
            isOptional
            autoFocus
            placeholder='doc_…'
            value={values.id}
            error={error('id')}
            hint='Without one, the server generates it.'
            onChange={event => set({ id: event.target.value })}
          />
          <TextField
            label='Expires'
            isOptional
            type='datetime-local'
            value={values.expiresAt}
            error={error('expiresAt')}
            hint='At this local time, the document is deleted.'
            onChange={event => set({ expiresAt: event.target.value })}
          />
        </div>
        <div className='grid gap-1'>
          <JsonEditor label='Data' value={values.text} problems={problems} onChange={text => set({ text })} />
          {problem !== undefined && <p className='text-critical'>{problem}</p>}
        </div>
        <Buttons>
          {data !== undefined && (
            <CopyAs
              request={{
                method: 'POST',
                path: '/api/sync/{service}/documents',
                params: { service },
                body: bodyOf(values)
              }}
            />
          )}
          <Button onClick={onClose}>Cancel</Button>
          <Button kind='primary' type='submit' isBusy={form.isBusy} disabled={data === undefined}>
            Create document
          </Button>
        </Buttons>
      </Form>
    </Dialog>
  )
}

const bodyOf = ({ id, text, expiresAt }: Values) => ({
  data: parseData(text).data ?? {},
  ...(id !== '' && { id }),
  ...(expiresAt !== '' && { expiresAt: Date.parse(expiresAt) })
})
