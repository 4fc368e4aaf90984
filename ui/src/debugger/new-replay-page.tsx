import { unwrap } from '@realtime-platform/client/admin'
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useId } from 'react'
import { useAction } from '../app/actions.ts'
import { apiFor, scopeKey } from '../app/api.ts'
import { useMay } from '../app/me.ts'
import { useList } from '../app/queries.ts'
import { integer } from '../app/search.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Buttons } from '../components/dialog.tsx'
import { SelectField, TextAreaField, TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { formatCount } from '../components/number.ts'
import { Page } from '../components/page.tsx'
import { Refused } from '../components/states.tsx'
import { formatDuration } from '../components/time.tsx'
import { shortUrl } from '../webhooks/status.ts'
import { useDebuggerCrumb } from './debugger-frame.tsx'
import { newReplayRoute, type NewReplaySearch } from './routes.ts'
import { targets, targetWords } from './words.ts'

interface Values {
  by: 'events' | 'offsets' | 'times'
  eventIds: string
  topic: string
  fromOffset: string
  toOffset: string
  /** In the form of `datetime-local`. */
  from: string
  to: string
  target: (typeof targets)[number]
  webhookId: string
  ratePerSecond: string
}

const initialOf = (search: NewReplaySearch): Values => ({
  by: search.eventId === undefined ? 'offsets' : 'events',
  eventIds: search.eventId ?? '',
  topic: search.topic ?? '',
  fromOffset: String(search.fromOffset ?? ''),
  toOffset: String(search.toOffset ?? ''),
  from: '',
  to: '',
  target: search.target ?? 'subscribers',
  webhookId: search.webhookId ?? '',
  ratePerSecond: '100'
})

/** Returns the body of the request, or undefined while something is missing. */
function bodyOf (values: Values) {
  const common = {
    target: values.target,
    ratePerSecond: integer(values.ratePerSecond) ?? 100,
    ...(values.webhookId !== '' && values.target !== 'subscribers' && { webhookId: values.webhookId })
  }
  const topic = values.topic.trim()
  if (values.by === 'events') {
    const eventIds = values.eventIds.split(/[\s,]+/).filter(id => id !== '')
    return eventIds.length === 0 ? undefined : { ...common, eventIds }
  }
  if (topic === '') return undefined
  if (values.by === 'offsets') {
    const fromOffset = values.fromOffset === '' ? 1 : integer(values.fromOffset)
    const toOffset = integer(values.toOffset)
    if (fromOffset === undefined || values.toOffset === '' || toOffset === undefined) return undefined
    return { ...common, topic, fromOffset, toOffset }
  }
  const from = Date.parse(values.from)
  const to = values.to === '' ? Date.now() : Date.parse(values.to)
  return Number.isNaN(from) || Number.isNaN(to) ? undefined : { ...common, topic, from, to }
}

/** Sends stored events again. The server counts them before. */
export function NewReplayPage () {
  const may = useMay()
  const scope = usePageScope()
  const crumb = useDebuggerCrumb()
  return (
    <Page
      title='Create replay'
      crumbs={[crumb, { label: 'Replays', link: { to: `${scopePath}/debugger/replays`, params: { ...scope } } }]}
    >
      {may('debugger:create') ? <ReplayForm /> : <Refused message='Permission required: debugger:create' />}
    </Page>
  )
}

function ReplayForm () {
  const search = newReplayRoute.useSearch()
  const scope = usePageScope()
  const navigate = useNavigate()
  const list = useId()
  const topics = useList('/api/topics', { query: { limit: 1000 } })
  const webhooks = useList('/api/webhooks', { query: { limit: 200, active: true } })
  const create = useAction(
    (api, body: NonNullable<ReturnType<typeof bodyOf>>) => api.POST('/api/debugger/replay', { body }),
    { invalidates: ['/api/debugger/replays'], isErrorShown: true, done: 'Replay started' }
  )
  const form = useForm(initialOf(search), async values => {
    const body = bodyOf(values)
    if (body === undefined) throw new Error('Name the events by their IDs, or a topic with a range')
    const { id } = await create.mutateAsync(body)
    await navigate({ to: `${scopePath}/debugger/replays/$id`, params: { ...scope, id } })
  })
  const { values, set, error } = form
  const body = bodyOf(values)
  const count = useQuery({
    queryKey: ['/api/debugger/replay', scopeKey(scope), body],
    queryFn: ({ signal }) =>
      unwrap(
        apiFor(scope).POST('/api/debugger/replay', { body: { target: values.target, ...body, dryRun: true }, signal })
      ),
    enabled: body !== undefined && values.by !== 'times'
  })
  const total = count.data?.total
  const verb =
    total === undefined ? 'Start replay' : `Replay ${formatCount(total)} ${total === 1 ? 'event' : 'events'}`
  return (
    <Form form={form} fields={fields} className='grid max-w-2xl gap-4'>
      <SelectField
        label='Events'
        choices={[
          { value: 'offsets', label: 'A range of offsets of a topic' },
          { value: 'times', label: 'A range of times of a topic' },
          { value: 'events', label: 'Chosen events' }
        ]}
        value={values.by}
        onChange={by => set({ by })}
      />
      {values.by === 'events'
        ? (
          <TextAreaField
            label='Event IDs'
            rows={3}
            className='font-mono text-xs'
            value={values.eventIds}
            error={error('eventIds')}
            hint='Separated by spaces or lines. They are sent in this order.'
            onChange={event => set({ eventIds: event.target.value })}
          />
          )
        : (
          <>
            <TextField
              label='Topic'
              list={list}
              placeholder='order.placed'
              value={values.topic}
              error={error('topic')}
              onChange={event => set({ topic: event.target.value })}
            />
            <datalist id={list}>
              {topics.items?.map(({ name }) => (
                <option key={name} value={name} />
              ))}
            </datalist>
          </>
          )}
      {values.by === 'offsets' && (
        <div className='grid items-start gap-4 sm:grid-cols-2'>
          <TextField
            label='From offset'
            inputMode='numeric'
            placeholder='1'
            value={values.fromOffset}
            error={error('fromOffset')}
            onChange={event => set({ fromOffset: event.target.value })}
          />
          <TextField
            label='To offset'
            inputMode='numeric'
            value={values.toOffset}
            error={error('toOffset')}
            onChange={event => set({ toOffset: event.target.value })}
          />
        </div>
      )}
      {values.by === 'times' && (
        <div className='grid items-start gap-4 sm:grid-cols-2'>
          <TextField
            label='From'
            type='datetime-local'
            step={1}
            value={values.from}
            error={error('from')}
            onChange={event => set({ from: event.target.value })}
          />
          <TextField
            label='To'
            type='datetime-local'
            step={1}
            value={values.to}
            hint='Local times. Empty: now.'
            error={error('to')}
            onChange={event => set({ to: event.target.value })}
          />
        </div>
      )}
      <div className='grid items-start gap-4 sm:grid-cols-2'>
        <SelectField
          label='Recipients'
          choices={targets.map(value => ({ value, label: targetWords[value] }))}
          value={values.target}
          error={error('target')}
          onChange={target => set({ target })}
        />
        {values.target !== 'subscribers' && (
          <SelectField
            label='Webhook'
            choices={[
              { value: '', label: 'Every webhook that matches' },
              ...(webhooks.items ?? []).map(({ id, url }) => ({ value: id, label: shortUrl(url) }))
            ]}
            value={values.webhookId}
            error={error('webhookId')}
            hint='A named webhook gets the events whether they match it or not.'
            onChange={webhookId => set({ webhookId })}
          />
        )}
        <TextField
          label='Events per second'
          inputMode='numeric'
          value={values.ratePerSecond}
          error={error('ratePerSecond')}
          onChange={event => set({ ratePerSecond: event.target.value })}
        />
      </div>
      <p role='status' className='text-muted'>
        {total !== undefined &&
          `The server counts ${formatCount(total)} ${total === 1 ? 'event' : 'events'}: about ${formatDuration(
            (total / (integer(values.ratePerSecond) ?? 100)) * 1000
          )}. Each keeps its ID, topic and offset, and has meta.replayOf.`}
        {count.error?.message}
      </p>
      <Buttons>
        {body !== undefined && <CopyAs request={{ method: 'POST', path: '/api/debugger/replay', body }} />}
        <Button kind='primary' type='submit' isBusy={form.isBusy} disabled={body === undefined || total === 0}>
          {verb}
        </Button>
      </Buttons>
    </Form>
  )
}

const fields = [
  'eventIds',
  'topic',
  'fromOffset',
  'toOffset',
  'from',
  'to',
  'target',
  'webhookId',
  'ratePerSecond'
] as const
