import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { Button } from '../components/button.tsx'
import { Code } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Select, TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { useReach } from '../people/names.ts'
import { Result } from './step.tsx'

interface Application {
  id: string
  name: string
}

/** Creates an application, or chooses one that exists. */
export function ApplicationStep ({
  applications,
  application,
  onChoose
}: {
  applications: readonly Application[]
  application: Application | undefined
  onChoose: (id: string | undefined) => void
}) {
  const reach = useReach()
  const [isNew, setNew] = useState(false)
  if (application !== undefined) {
    return (
      <Result>
        <strong>{application.name}</strong>
        <Code isCopyable>{application.id}</Code>
        <span className='text-muted'>with development, staging and production</span>
        <Button kind='plain' className='h-6!' onClick={() => onChoose(undefined)}>
          Use another
        </Button>
      </Result>
    )
  }
  const mayCreate = reach.everywhere('applications:create')
  return (
    <div className='grid max-w-lg gap-4'>
      <p className='text-muted'>
        An application keeps its topics, documents and webhooks apart from those of others, in three environments.
      </p>
      {applications.length > 0 && !isNew && <Choose applications={applications} onChoose={onChoose} />}
      {applications.length > 0 && !isNew && mayCreate && (
        <Button kind='plain' className='-ml-3 justify-self-start' onClick={() => setNew(true)}>
          Create another application
        </Button>
      )}
      {(applications.length === 0 || isNew) && mayCreate && <Create onChoose={onChoose} />}
      {applications.length === 0 && !mayCreate && (
        <p>You have access to no application. Ask an administrator for a role in one.</p>
      )}
    </div>
  )
}

function Choose ({
  applications,
  onChoose
}: {
  applications: readonly Application[]
  onChoose: (id: string) => void
}) {
  const [chosen, setChosen] = useState(applications[0]?.id ?? '')
  return (
    <form
      className='flex gap-2'
      onSubmit={event => {
        event.preventDefault()
        onChoose(chosen)
      }}
    >
      <Select
        aria-label='Application'
        choices={applications.map(({ id, name }) => ({ value: id, label: name }))}
        value={chosen}
        onChange={setChosen}
      />
      <Button kind='primary' type='submit'>
        Use application
      </Button>
    </form>
  )
}

function Create ({ onChoose }: { onChoose: (id: string) => void }) {
  const create = useAction((api, body: { name: string }) => api.POST('/api/applications', { body }), {
    invalidates: ['/api/applications'],
    isErrorShown: true,
    scope: null,
    onDone: ({ id }) => onChoose(id)
  })
  const form = useForm({ name: 'Shop' }, values => create.mutateAsync(values))
  return (
    <Form form={form} fields={['name']}>
      <TextField
        label='Name of the application'
        value={form.values.name}
        error={form.error('name')}
        onChange={event => form.set({ name: event.target.value })}
      />
      <div className='flex gap-2'>
        <Button kind='primary' type='submit' isBusy={form.isBusy}>
          Create application
        </Button>
        <CopyAs request={{ method: 'POST', path: '/api/applications', body: form.values }} />
      </div>
    </Form>
  )
}
