import { useState } from 'react'
import { useAction } from '../../app/actions.ts'
import { useMay } from '../../app/me.ts'
import { Badge } from '../../components/badge.tsx'
import { Button } from '../../components/button.tsx'
import { Buttons, Dialog } from '../../components/dialog.tsx'
import { TextField } from '../../components/field.tsx'
import { Form, useForm } from '../../components/form.tsx'
import { Sql } from '../checks.tsx'

export interface Problem {
  code: string
  message: string
  sql?: string | undefined
}

const words: Record<string, string> = {
  REPLICA_IDENTITY: 'Replica identity',
  GENERATED_COLUMNS: 'Generated columns',
  NOT_PUBLISHED: 'Publication',
  OPERATION_NOT_PUBLISHED: 'Publication',
  PARTITIONS_APART: 'Publication',
  ROW_FILTER: 'Publication',
  COLUMN_LIST: 'Publication',
  TOPIC_NOT_FOUND: 'Topic',
  COLUMN_NOT_FOUND: 'Column',
  TABLE_NOT_FOUND: 'Table',
  TABLE_IS_PARTITION: 'Table',
  UNLOGGED: 'Table',
  FOREIGN_PARTITION: 'Table'
}

/** The problems of a mapping, each with the statement or the action that solves it. */
export function Problems ({ problems, topic }: { problems: readonly Problem[]; topic: string }) {
  const may = useMay()
  const [isCreating, setCreating] = useState(false)
  return (
    <ul aria-label='Warnings' className='grid gap-3'>
      {problems.map(({ code, message, sql }) => (
        <li key={`${code}-${message}`} className='grid gap-1'>
          <div className='flex flex-wrap items-center gap-2'>
            <Badge tone='warning'>{words[code] ?? code}</Badge>
            <span className='min-w-0 flex-1 break-words'>{message}.</span>
            {code === 'TOPIC_NOT_FOUND' && topic !== '' && may('topics:create') && (
              <Button onClick={() => setCreating(true)}>Create topic</Button>
            )}
          </div>
          {sql !== undefined && <Sql text={sql} />}
        </li>
      ))}
      <CreateTopic key={topic} topic={topic} isOpen={isCreating} onClose={() => setCreating(false)} />
    </ul>
  )
}

function CreateTopic ({ topic, isOpen, onClose }: { topic: string; isOpen: boolean; onClose: () => void }) {
  const create = useAction(
    (api, body: { name: string; description: string; owner: string }) => api.POST('/api/topics', { body }),
    { invalidates: ['/api/topics', '/api/database'], done: 'Topic created', isErrorShown: true }
  )
  const form = useForm(
    { description: 'Changes of rows of the connected database', owner: 'database' },
    async values => {
      await create.mutateAsync({ name: topic, ...values })
      onClose()
    }
  )
  const { values, set, error } = form
  return (
    <Dialog title={`Create the topic ${topic}`} isOpen={isOpen} onClose={onClose}>
      <Form form={form} fields={['description', 'owner']}>
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
          hint='The team or service that publishes it.'
          onChange={event => set({ owner: event.target.value })}
        />
        <Buttons>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind='primary' type='submit' isBusy={form.isBusy}>
            Create topic
          </Button>
        </Buttons>
      </Form>
    </Dialog>
  )
}
