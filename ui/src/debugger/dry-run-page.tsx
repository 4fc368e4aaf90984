import { Link, useNavigate } from '@tanstack/react-router'
import { useId, useState, type ReactNode } from 'react'
import { useAction } from '../app/actions.ts'
import { useList } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Field, TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { JsonEditor, parseJson } from '../components/json-editor.tsx'
import { Section } from '../components/page.tsx'
import { shortUrl } from '../webhooks/status.ts'
import { ConditionList } from './conditions.tsx'
import { DebuggerFrame } from './debugger-frame.tsx'
import { dryRunRoute } from './routes.ts'
import type { Prediction } from './words.ts'

/** Predicts who would get an event. Nothing is stored or sent. */
export function DryRunPage () {
  const { topic } = dryRunRoute.useSearch()
  const [prediction, setPrediction] = useState<Prediction>()
  return (
    <DebuggerFrame>
      <div className='grid items-start gap-4 lg:grid-cols-2'>
        <Section title='Event'>
          <DryRunForm key={topic} topic={topic ?? ''} onPredicted={setPrediction} />
        </Section>
        <Section title='Who would get it'>
          {prediction === undefined
            ? (
              <p className='text-muted'>Enter a topic and a payload. Nothing is stored or sent.</p>
              )
            : (
              <PredictionView prediction={prediction} />
              )}
        </Section>
      </div>
    </DebuggerFrame>
  )
}

function DryRunForm ({ topic, onPredicted }: { topic: string; onPredicted: (prediction: Prediction) => void }) {
  const navigate = useNavigate({ from: dryRunRoute.fullPath })
  const list = useId()
  const topics = useList('/api/topics', { query: { limit: 1000 } })
  const predict = useAction(
    (api, body: { topic: string; payload: unknown }) => api.POST('/api/debugger/route', { body }),
    { isErrorShown: true, onDone: onPredicted }
  )
  const form = useForm({ topic, payload: '{\n  "total": 142\n}' }, async values => {
    const payload = parseJson(values.payload)
    if (payload.problem !== undefined) throw new Error(payload.problem)
    await predict.mutateAsync({ topic: values.topic.trim(), payload: payload.value })
    await navigate({ search: { topic: values.topic.trim() }, replace: true })
  })
  const parsed = parseJson(form.values.payload)
  return (
    <Form form={form} fields={['topic', 'payload']}>
      <TextField
        label='Topic'
        list={list}
        placeholder='order.placed'
        value={form.values.topic}
        error={form.error('topic')}
        onChange={event => form.set({ topic: event.target.value })}
      />
      <datalist id={list}>
        {topics.items?.map(({ name }) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <Field label='Payload' error={form.error('payload')}>
        {({ id, 'aria-describedby': describedBy }) => (
          <div id={id} role='group' aria-label='Payload' aria-describedby={describedBy}>
            <JsonEditor
              label='Payload as JSON'
              value={form.values.payload}
              onChange={payload => form.set({ payload })}
            />
          </div>
        )}
      </Field>
      <div className='flex items-center gap-2'>
        <Button
          kind='primary'
          type='submit'
          isBusy={form.isBusy}
          disabled={form.values.topic.trim() === '' || parsed.problem !== undefined}
        >
          Predict recipients
        </Button>
        <CopyAs
          request={{
            method: 'POST',
            path: '/api/debugger/route',
            body: { topic: form.values.topic, payload: parsed.value ?? null }
          }}
        />
      </div>
    </Form>
  )
}

function PredictionView ({ prediction }: { prediction: Prediction }) {
  const scope = usePageScope()
  const { topic, schema, accepted, matched, filtered, subscriptions, webhooks } = prediction
  const known = useList('/api/webhooks', { query: { limit: 200 } })
  const urls = new Map((known.items ?? []).map(({ id, url }) => [id, shortUrl(url)]))
  return (
    <div className='grid gap-4' role='status' aria-label='Prediction'>
      <div className='flex flex-wrap items-center gap-2'>
        <Badge tone={accepted ? 'ok' : 'critical'}>{accepted ? 'Would be stored' : 'Would be rejected'}</Badge>
        {!topic.exists && <span>The topic {topic.name} does not exist.</span>}
        {topic.isOwn && <span>The topic belongs to the platform. Applications cannot publish to it.</span>}
        <span className='text-muted'>
          {schema.version === null
            ? 'no active schema'
            : `schema v${schema.version}: the payload is ${schema.valid ? 'valid' : 'invalid'}`}
        </span>
      </div>
      {schema.errors.length > 0 && (
        <ul className='grid gap-1 text-critical'>
          {schema.errors.map(({ path, message }, i) => (
            <li key={i} className='break-words'>
              <code className='font-mono text-xs'>{path === '' ? '/' : path}</code> {message}
            </li>
          ))}
        </ul>
      )}
      <div className='grid gap-2'>
        <h3 className='font-semibold'>
          {matched} live {matched === 1 ? 'subscription' : 'subscriptions'} would get it, {filtered} would not
        </h3>
        {subscriptions.map(({ subscriptionId, subscribedTo, socketId, matches, conditions }) => (
          <Verdict key={subscriptionId} name={subscribedTo} note={`socket ${socketId}`} matches={matches}>
            {conditions}
          </Verdict>
        ))}
      </div>
      <div className='grid gap-2'>
        <h3 className='font-semibold'>
          {webhooks.filter(({ matches }) => matches).length} of {webhooks.length}{' '}
          {webhooks.length === 1 ? 'webhook' : 'webhooks'} would get it
        </h3>
        {webhooks.map(({ webhookId, matches, conditions }) => (
          <Verdict
            key={webhookId}
            name={urls.get(webhookId) ?? webhookId}
            matches={matches}
            action={
              <Link
                to={`${scopePath}/webhooks/$id`}
                params={{ ...scope, id: webhookId }}
                className='text-accent hover:underline'
              >
                Open the webhook
              </Link>
            }
          >
            {conditions}
          </Verdict>
        ))}
      </div>
    </div>
  )
}

function Verdict ({
  name,
  note,
  matches,
  action,
  children
}: {
  name: string
  note?: string
  matches: boolean
  action?: ReactNode
  children: Prediction['webhooks'][number]['conditions']
}) {
  const failing = children.find(({ holds }) => !holds)
  return (
    <details className='rounded border border-line'>
      <summary className='px-3 py-1.5'>
        <Badge tone={matches ? 'ok' : 'neutral'}>{matches ? 'gets it' : 'does not'}</Badge>{' '}
        <span className='font-medium break-all'>{name}</span>{' '}
        <span className='text-muted'>{matches ? note : failing?.message}</span>
      </summary>
      <div className='grid gap-2 border-t border-line p-3'>
        <ConditionList conditions={children} />
        {action}
      </div>
    </details>
  )
}
