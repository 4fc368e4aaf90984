import { useId } from 'react'
import { environments, type Environment } from '../app/api.ts'
import { useList } from '../app/queries.ts'
import { Checkbox, SelectField, TextAreaField, TextField } from '../components/field.tsx'
import type { FormState } from '../components/form.tsx'
import { parseJson } from '../components/json-editor.tsx'
import type { Webhook } from './status.ts'
import { TopicsField } from './topics-field.tsx'

/** The types of event that a webhook can listen to, as the API names them. */
export const eventTypes = [
  'topic.event',
  'database.event',
  'document.created',
  'document.updated',
  'document.deleted',
  'presence.updated',
  'socket.message',
  'socket.connect',
  'socket.disconnect',
  'alert.firing',
  'alert.resolved'
] as const
type EventType = (typeof eventTypes)[number]

export interface WebhookValues {
  url: string
  description: string
  /** Empty: all types. */
  events: EventType[]
  topics: string[]
  /** JSON text; empty: no filter. */
  filter: string
  environments: Environment[]
  ordering: 'none' | 'key'
  rateLimit: string
}

export const fieldNames = [
  'url',
  'description',
  'events',
  'topics',
  'filter',
  'environments',
  'ordering',
  'rateLimit'
] as const

export const emptyValues = (environment: Environment): WebhookValues => ({
  url: '',
  description: '',
  events: [],
  topics: [],
  filter: '',
  environments: [environment],
  ordering: 'none',
  rateLimit: ''
})

export const valuesOf = (webhook: Webhook): WebhookValues => ({
  url: webhook.url,
  description: webhook.description ?? '',
  events: webhook.events.includes('*') ? [] : eventTypes.filter(type => webhook.events.includes(type)),
  topics: webhook.topics ?? [],
  filter: webhook.filter === null ? '' : JSON.stringify(webhook.filter, null, 2),
  environments: webhook.environments ?? [...environments],
  ordering: webhook.ordering,
  rateLimit: webhook.rateLimit === null ? '' : String(webhook.rateLimit)
})

/** Returns the body of a request. Optional values that are empty are null. Throws for a filter that is not JSON. */
export function bodyOf (values: WebhookValues) {
  const filter = values.filter.trim() === '' ? { value: null } : parseJson(values.filter)
  if (filter.problem !== undefined) throw new Error(filter.problem)
  return {
    url: values.url.trim(),
    description: values.description === '' ? null : values.description,
    events: values.events.length === 0 ? ['*' as const] : values.events,
    topics: values.topics.length === 0 ? null : values.topics,
    filter: filter.value as Record<string, unknown> | null,
    environments: values.environments.length === environments.length ? null : values.environments,
    ordering: values.ordering,
    rateLimit: values.rateLimit.trim() === '' ? null : Number(values.rateLimit)
  }
}

/** The fields of a webhook, for creating and editing it. */
export function WebhookFields ({ form, isNew = false }: { form: FormState<WebhookValues>; isNew?: boolean }) {
  const { values, set, error } = form
  const topics = useList('/api/topics', { query: { limit: 1000 } })
  const filterProblem = values.filter.trim() === '' ? undefined : parseJson(values.filter).problem
  return (
    <>
      <TextField
        label='URL'
        type='url'
        placeholder='https://example.com/webhook'
        autoFocus={isNew}
        value={values.url}
        error={error('url')}
        hint='Receives each event by POST. It must use https and lead to a public address.'
        onChange={event => set({ url: event.target.value })}
      />
      <TopicsField
        value={values.topics}
        known={topics.items?.map(topic => topic.name) ?? []}
        error={error('topics')}
        onChange={topics => set({ topics })}
      />
      <Choices
        legend='Types of event'
        hint='None chosen: all types.'
        error={error('events')}
        all={eventTypes}
        chosen={values.events}
        onChange={events => set({ events })}
      />
      <Choices
        legend='Environments'
        error={error('environments')}
        all={environments}
        chosen={values.environments}
        onChange={environments => set({ environments })}
      />
      <TextAreaField
        label='Filter'
        isOptional
        rows={3}
        className='font-mono text-xs'
        spellCheck={false}
        placeholder='{"status": "paid", "total": {"gte": 100}}'
        value={values.filter}
        error={error('filter') ?? filterProblem}
        hint='Conditions on the payload, as JSON. Only events that meet all of them are delivered.'
        onChange={event => set({ filter: event.target.value })}
      />
      <div className='grid items-start gap-4 sm:grid-cols-2'>
        <SelectField
          label='Order'
          value={values.ordering}
          error={error('ordering')}
          choices={[
            { value: 'none', label: 'As fast as possible' },
            { value: 'key', label: 'One after the other for each key' }
          ]}
          hint='By key: the next event of a key is sent when the previous one is delivered or dead.'
          onChange={ordering => set({ ordering })}
        />
        <TextField
          label='Rate limit'
          isOptional
          inputMode='numeric'
          placeholder='No limit'
          value={values.rateLimit}
          error={error('rateLimit')}
          hint='Requests per second from each node.'
          onChange={event => set({ rateLimit: event.target.value })}
        />
      </div>
      <TextAreaField
        label='Description'
        isOptional
        rows={2}
        value={values.description}
        error={error('description')}
        hint='A note for your team.'
        onChange={event => set({ description: event.target.value })}
      />
    </>
  )
}

/** Several choices of a few. */
function Choices<Value extends string> ({
  legend,
  hint,
  error,
  all,
  chosen,
  onChange
}: {
  legend: string
  hint?: string
  error: string | undefined
  all: readonly Value[]
  chosen: readonly Value[]
  onChange: (chosen: Value[]) => void
}) {
  const id = useId()
  return (
    <fieldset className='grid gap-1' aria-describedby={error === undefined ? undefined : id}>
      <legend className='mb-1 font-medium'>{legend}</legend>
      <div className='grid grid-cols-[repeat(auto-fill,minmax(10.5rem,1fr))] gap-x-4 gap-y-1'>
        {all.map(value => (
          <Checkbox
            key={value}
            label={value}
            checked={chosen.includes(value)}
            onChange={event =>
              onChange(all.filter(one => (one === value ? event.target.checked : chosen.includes(one))))}
          />
        ))}
      </div>
      {error !== undefined && (
        <p id={id} role='alert' className='text-critical'>
          {error}
        </p>
      )}
      {hint !== undefined && <p className='text-xs text-muted'>{hint}</p>}
    </fieldset>
  )
}
