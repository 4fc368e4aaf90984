import type { Scope } from '../app/api.ts'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { useQuery } from '@tanstack/react-query'
import { useAction } from '../app/actions.ts'
import { get } from '../app/queries.ts'
import { scopePath } from '../app/scope.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Select, TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { useReach } from '../people/names.ts'
import { Result } from './step.tsx'

/** Creates a topic, or chooses one that exists. */
export function TopicStep ({
  scope,
  topic,
  onTopic
}: {
  scope: Scope
  topic: string | undefined
  onTopic: (topic: string | undefined) => void
}) {
  const reach = useReach()
  const topics = useQuery(get(scope, '/api/topics', { query: { limit: 100 } })).data
  const [chosen, setChosen] = useState('')
  if (topic !== undefined) {
    return (
      <Result>
        <Link
          to={`${scopePath}/topics/$name`}
          params={{ ...scope, name: topic }}
          className='font-mono font-medium hover:underline'
        >
          {topic}
        </Link>
        <span className='text-muted'>in development</span>
        <Button kind='plain' className='h-6!' onClick={() => onTopic(undefined)}>
          Use another
        </Button>
      </Result>
    )
  }
  const first = topics?.[0]?.name
  return (
    <div className='grid max-w-lg gap-4'>
      {first !== undefined && (
        <form
          className='flex gap-2'
          onSubmit={event => {
            event.preventDefault()
            onTopic(chosen === '' ? first : chosen)
          }}
        >
          <Select
            aria-label='Topic'
            choices={topics?.map(({ name }) => ({ value: name, label: name })) ?? []}
            value={chosen === '' ? first : chosen}
            onChange={setChosen}
          />
          <Button type='submit'>Use topic</Button>
        </form>
      )}
      {reach.in(scope.applicationId, 'topics:create')
        ? (
          <Create scope={scope} onTopic={onTopic} />
          )
        : (
            first === undefined && <p>There is no topic, and creating one requires topics:create.</p>
          )}
    </div>
  )
}

function Create ({ scope, onTopic }: { scope: Scope; onTopic: (topic: string) => void }) {
  const create = useAction(
    (api, body: { name: string; description: string; owner: string }) => api.POST('/api/topics', { body }),
    { invalidates: ['/api/topics'], isErrorShown: true, scope, onDone: ({ name }) => onTopic(name) }
  )
  const form = useForm({ name: 'order.placed', description: 'An order was placed', owner: 'shop' }, values =>
    create.mutateAsync(values)
  )
  const { values, set, error } = form
  return (
    <Form form={form} fields={['name', 'description', 'owner']}>
      <TextField
        label='Name of the topic'
        hint='Lower-case words with dots between them.'
        value={values.name}
        error={error('name')}
        onChange={event => set({ name: event.target.value })}
      />
      <div className='grid items-start gap-4 sm:grid-cols-2'>
        <TextField
          label='Description'
          value={values.description}
          error={error('description')}
          onChange={event => set({ description: event.target.value })}
        />
        <TextField
          label='Owner'
          value={values.owner}
          error={error('owner')}
          onChange={event => set({ owner: event.target.value })}
        />
      </div>
      <div className='flex gap-2'>
        <Button kind='primary' type='submit' isBusy={form.isBusy}>
          Create topic
        </Button>
        <CopyAs request={{ method: 'POST', path: '/api/topics', body: values }} />
      </div>
    </Form>
  )
}
