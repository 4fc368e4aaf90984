import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { useMay } from '../app/me.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons, ConfirmDialog } from '../components/dialog.tsx'
import { SelectField, TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { Section } from '../components/page.tsx'
import { Properties } from '../components/properties.tsx'
import { Time } from '../components/time.tsx'
import { topicSettingsRoute } from './routes.ts'
import { TopicFrame, type Topic } from './topic-frame.tsx'

/** The description, owner and retention of a topic, and its deletion. */
export function TopicSettingsPage () {
  const { name } = topicSettingsRoute.useParams()
  const may = useMay()
  return (
    <TopicFrame name={name}>
      {topic =>
        topic !== null && (
          <div className='grid max-w-2xl gap-4'>
            {may('topics:update') ? <SettingsForm key={topic.name} topic={topic} /> : <SettingsView topic={topic} />}
            {may('topics:delete') && <DeleteTopic topic={topic} />}
          </div>
        )}
    </TopicFrame>
  )
}

type Kept = 'default' | 'hours' | 'forever'

const choices = [
  { value: 'default', label: 'As long as the platform keeps events by default' },
  { value: 'hours', label: 'For a number of hours' },
  { value: 'forever', label: 'Forever' }
] as const

const keptOf = (hours: Topic['retentionHours']): Kept =>
  hours === null ? 'default' : hours === 'forever' ? 'forever' : 'hours'

const inWords = (hours: Topic['retentionHours']): string =>
  hours === null ? 'As long as the platform’s default' : hours === 'forever' ? 'Forever' : `${hours} hours`

function SettingsForm ({ topic }: { topic: Topic }) {
  const { name, retentionHours } = topic
  const save = useAction(
    (api, body: { description: string; owner: string; retentionHours: number | 'forever' | null }) =>
      api.PATCH('/api/topics/{name}', { params: { path: { name } }, body }),
    { invalidates: ['/api/topics'], isErrorShown: true, done: 'Settings saved' }
  )
  const form = useForm(
    {
      description: topic.description,
      owner: topic.owner,
      kept: keptOf(retentionHours),
      hours: typeof retentionHours === 'number' ? String(retentionHours) : '168'
    },
    values => save.mutateAsync(bodyOf(values)),
    { mayLeave: false }
  )
  const { values, set, error } = form
  return (
    <Section title='Settings'>
      <Form form={form} fields={['description', 'owner', 'retentionHours']}>
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
        <SelectField
          label='Events are kept'
          choices={choices}
          value={values.kept}
          onChange={kept => set({ kept })}
          hint='Older events are removed from the log. A client that resumes later receives the gap in onGap.'
        />
        {values.kept === 'hours' && (
          <TextField
            label='Hours'
            type='number'
            min={1}
            className='max-w-40'
            value={values.hours}
            error={error('retentionHours')}
            hint='168 hours are a week, 720 are 30 days.'
            onChange={event => set({ hours: event.target.value })}
          />
        )}
        <Buttons>
          <CopyAs request={{ method: 'PATCH', path: '/api/topics/{name}', params: { name }, body: bodyOf(values) }} />
          <Button kind='primary' type='submit' isBusy={form.isBusy} disabled={!form.isChanged}>
            Save settings
          </Button>
        </Buttons>
      </Form>
    </Section>
  )
}

const bodyOf = ({
  description,
  owner,
  kept,
  hours
}: {
  description: string
  owner: string
  kept: Kept
  hours: string
}) => ({
  description,
  owner,
  retentionHours: kept === 'hours' ? Number(hours) : kept === 'forever' ? ('forever' as const) : null
})

const SettingsView = ({ topic }: { topic: Topic }) => (
  <Section title='Settings'>
    <Properties
      items={[
        ['Description', topic.description],
        ['Owner', topic.owner],
        ['Events are kept', inWords(topic.retentionHours)],
        ['Created', <Time key='created' at={topic.createdAt} />]
      ]}
    />
  </Section>
)

function DeleteTopic ({ topic: { name } }: { topic: Topic }) {
  const [isAsking, setAsking] = useState(false)
  const scope = usePageScope()
  const navigate = useNavigate()
  const remove = useAction(api => api.DELETE('/api/topics/{name}', { params: { path: { name } } }), {
    invalidates: ['/api/topics'],
    done: 'Topic deleted',
    onDone: () => navigate({ to: `${scopePath}/topics`, params: scope })
  })
  return (
    <Section title='Delete the topic'>
      <p className='mb-3 text-muted'>
        Nothing can be published to it any more. Its log, schemas, mappings and live subscriptions stay.
      </p>
      <Buttons>
        <CopyAs request={{ method: 'DELETE', path: '/api/topics/{name}', params: { name } }} />
        <Button kind='danger' onClick={() => setAsking(true)}>
          Delete topic
        </Button>
      </Buttons>
      <ConfirmDialog
        title={`Delete ${name}?`}
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        onConfirm={() => remove.mutate(undefined)}
        verb='Delete topic'
        name={name}
        isBusy={remove.isPending}
      >
        Publishers are refused from then on. A topic with the same name can be created again.
      </ConfirmDialog>
    </Section>
  )
}
