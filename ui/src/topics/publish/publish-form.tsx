import type { paths } from '@realtime-platform/client/admin'
import { RealtimeError } from '@realtime-platform/client'
import { unwrap } from '@realtime-platform/client/admin'
import { useState } from 'react'
import { useAction } from '../../app/actions.ts'
import { apiFor } from '../../app/api.ts'
import { usePageScope } from '../../app/scope.ts'
import { Button } from '../../components/button.tsx'
import { CopyAs } from '../../components/copy-as.tsx'
import { Buttons } from '../../components/dialog.tsx'
import { TextField } from '../../components/field.tsx'
import { Form, useForm } from '../../components/form.tsx'
import { JsonEditor, parseJson } from '../../components/json-editor.tsx'
import { Section } from '../../components/page.tsx'
import { Segments } from '../../components/segments.tsx'
import { showToast } from '../../components/toast.tsx'
import { problemsOf } from './problems.ts'
import { Published, type PublishedEvents } from './published.tsx'
import { initialOf, resolved, type JsonSchema } from './schema.ts'
import { SchemaForm } from './schema-form.tsx'

type Mode = 'form' | 'json' | 'several'

interface Values {
  mode: Mode
  payload: unknown
  json: string
  several: string
  key: string
  idempotencyKey: string
}

interface PublishFormProps {
  topic: string
  version: number | null
  /** The active schema. Without one, payloads are written as JSON. */
  schema: JsonSchema | undefined
}

const modes: readonly { value: Mode; label: string }[] = [
  { value: 'form', label: 'Form' },
  { value: 'json', label: 'JSON' },
  { value: 'several', label: 'Several events' }
]

/** Writes one event, by a form or as JSON, or several as an array, and shows them as they were stored. */
export function PublishForm ({ topic, version, schema }: PublishFormProps) {
  const scope = usePageScope()
  const [published, setPublished] = useState<PublishedEvents>([])
  // A sample changes everything at once: the fields begin again with it.
  const [round, setRound] = useState(0)
  const publish = useAction(
    (api, values: Values) => api.POST('/api/topics/{name}/events', {
      params: { path: { name: topic } },
      // The server checks it: a text that is no JSON is sent as it is.
      body: bodyOf(values) as PublishBody,
      headers: headersOf(values)
    }),
    { isErrorShown: true }
  )
  const form = useForm<Values>(
    {
      mode: schema === undefined ? 'json' : 'form',
      payload: schema === undefined ? {} : initialOf(resolved(schema, schema), schema) ?? {},
      json: '{}',
      several: '[\n  { "payload": {}, "key": "customer-1" }\n]',
      key: '',
      idempotencyKey: ''
    },
    async values => setPublished(toEvents(await publish.mutateAsync(values)))
  )
  const { values, set, failure } = form
  const { mode } = values
  const switchTo = (next: Mode) => {
    const payload = mode === 'json' ? parseJson(values.json).value ?? values.payload : values.payload
    set({ mode: next, payload, ...(next === 'json' && mode === 'form' && { json: JSON.stringify(payload, null, 2) }) })
    setRound(round + 1)
  }
  const fill = async () => {
    try {
      const sample = await unwrap(apiFor(scope).GET('/api/topics/{name}/sample', { params: { path: { name: topic } } }))
      const event = [{ payload: sample.payload, key: 'customer-1' }]
      set({
        payload: sample.payload,
        json: JSON.stringify(sample.payload, null, 2),
        ...(mode === 'several' && { several: JSON.stringify(event, null, 2) })
      })
      setRound(round + 1)
    } catch (error) {
      if (error instanceof RealtimeError) showToast({ text: error.message, error })
    }
  }
  return (
    <div className='grid items-start gap-4 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]'>
      <Section
        title={version === null ? 'New event, not checked' : `New event, checked by version ${version}`}
        actions={
          <Segments
            label='How the event is written'
            choices={modes.filter(({ value }) => value !== 'form' || schema !== undefined)}
            value={mode}
            onChange={switchTo}
          />
        }
      >
        <Form form={form} fields={mode === 'form' ? ['payload', 'key'] : ['key']}>
          {mode === 'form' && schema !== undefined && (
            <SchemaForm
              key={round}
              schema={schema}
              value={values.payload}
              problems={problemsOf(failure)}
              onChange={payload => set({ payload })}
            />
          )}
          {mode === 'json' && <Json label='Payload' value={values.json} onChange={json => set({ json })} />}
          {mode === 'several' && (
            <Json label='Events' value={values.several} onChange={several => set({ several })} />
          )}
          {mode !== 'several' && (
            <TextField
              label='Key'
              isOptional
              value={values.key}
              error={form.error('key')}
              hint='Events with the same key keep their order in webhooks.'
              onChange={event => set({ key: event.target.value })}
            />
          )}
          <TextField
            label='Idempotency key'
            isOptional
            value={values.idempotencyKey}
            error={failure?.code.startsWith('IDEMPOTENCY') === true ? failure.message : undefined}
            hint='A second request with the same key and body has no second effect, for 24 hours.'
            onChange={event => set({ idempotencyKey: event.target.value })}
          />
          <Buttons>
            {version !== null && (
              <Button
                onClick={() => {
                  void fill()
                }}
              >
                Fill with a sample
              </Button>
            )}
            <CopyAs
              request={{
                method: 'POST',
                path: '/api/topics/{name}/events',
                params: { name: topic },
                headers: headersOf(values),
                body: bodyOf(values)
              }}
              code={codeOf(topic, values)}
            />
            <Button kind='primary' type='submit' isBusy={form.isBusy}>
              {mode === 'several' ? 'Publish events' : 'Publish event'}
            </Button>
          </Buttons>
        </Form>
      </Section>
      <Published topic={topic} events={published} />
    </div>
  )
}

function Json ({ label, value, onChange }: { label: string; value: string; onChange: (value: string) => void }) {
  const { problem } = parseJson(value)
  return (
    <div className='grid gap-1'>
      <p className='font-medium'>{label}</p>
      {label === 'Events' && (
        <p className='text-xs text-muted'>Up to 1,000 events with payload and key. They are stored all or none.</p>
      )}
      <JsonEditor label={label} value={value} onChange={onChange} />
      {problem !== undefined && <p className='text-critical' role='alert'>{problem}</p>}
    </div>
  )
}

const headersOf = ({ idempotencyKey }: Values): Record<string, string> =>
  idempotencyKey === '' ? {} : { 'idempotency-key': idempotencyKey }

type PublishBody = NonNullable<paths['/api/topics/{name}/events']['post']['requestBody']>['content']['application/json']

function bodyOf ({ mode, payload, json, several, key }: Values): object {
  if (mode === 'several') return { events: read(several) }
  return { payload: mode === 'json' ? read(json) : payload, ...(key !== '' && { key }) }
}

/** JSON with a mistake stays text. The server refuses it as the payload, and the mistake is shown at the editor. */
const read = (text: string): unknown => {
  const { value, problem } = parseJson(text)
  return problem === undefined ? value : text
}

function codeOf (topic: string, values: Values): string {
  const { mode, key, idempotencyKey } = values
  const options = { ...(mode !== 'several' && key !== '' && { key }), ...(idempotencyKey !== '' && { idempotencyKey }) }
  const given = mode === 'several' ? read(values.several) : mode === 'json' ? read(values.json) : values.payload
  const method = mode === 'several' ? 'publishBatch' : 'publish'
  const rest = Object.keys(options).length === 0 ? '' : `, ${JSON.stringify(options)}`
  return `const { offset } = await client.topic('${topic}').${method}(${JSON.stringify(given, null, 2)}${rest})`
}

function toEvents (answer: unknown): PublishedEvents {
  const list: unknown[] = Array.isArray(answer) ? answer : [answer]
  return list.filter((item): item is PublishedEvents[number] =>
    typeof item === 'object' && item !== null && 'offset' in item && 'payload' in item)
}
