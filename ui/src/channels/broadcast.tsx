import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { usePageScope } from '../app/scope.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { TextField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { JsonEditor, parseJson } from '../components/json-editor.tsx'
import { formatCount } from '../components/number.ts'
import { channelCode } from './channels.ts'
import { useWatch } from './watch.ts'

/** Sends a message to all members of the channel, and shows how many got it. */
export function Broadcast () {
  const scope = usePageScope()
  const { name: channel } = useWatch()
  const [result, setResult] = useState<string | undefined>()
  const broadcast = useAction(
    (api, body: { channel: string; event: string; data: unknown }) => api.POST('/api/socket/broadcast', { body }),
    { isErrorShown: true }
  )
  const form = useForm({ event: 'announcement', text: '{\n  "text": "Hello"\n}' }, async ({ event, text }) => {
    setResult(undefined)
    const { value, problem } = parseJson(text)
    if (problem !== undefined) return
    const { delivered } = await broadcast.mutateAsync({ channel, event, data: value })
    setResult(
      delivered === null
        ? 'Sent. You may not see how many members got it.'
        : `Delivered to ${formatCount(delivered)} ${delivered === 1 ? 'member' : 'members'}.`
    )
  })
  const { values, set, error } = form
  const { value: data, problem } = parseJson(values.text)
  const code = channelCode(
    scope,
    `const { delivered } = await channel.publish(${JSON.stringify(values.event)}, ${JSON.stringify(data ?? null)})`,
    channel
  )
  return (
    <section aria-label='Broadcast' className='grid gap-3 p-4'>
      <h2 className='font-semibold'>Broadcast</h2>
      <p className='text-muted'>
        Sends a message to every connected member. It is not kept for those who join later.
      </p>
      <Form form={form} fields={['event', 'data']} className='grid gap-3'>
        <TextField
          label='Event'
          value={values.event}
          error={error('event')}
          hint='The kind of message. Clients choose the names.'
          onChange={event => set({ event: event.target.value })}
        />
        <div className='grid gap-1'>
          <span className='font-medium'>Data</span>
          <JsonEditor label='Data' value={values.text} onChange={text => set({ text })} />
          {(problem ?? error('data')) !== undefined && (
            <p className='text-critical' role='alert'>
              {problem ?? error('data')}
            </p>
          )}
        </div>
        <div className='flex flex-wrap items-center justify-between gap-2'>
          <span role='status'>{result}</span>
          <span className='ml-auto flex items-center gap-1'>
            <CopyAs
              request={{
                method: 'POST',
                path: '/api/socket/broadcast',
                body: { channel, event: values.event, data: data ?? null }
              }}
              code={code}
            />
            <Button kind='primary' type='submit' isBusy={form.isBusy} disabled={problem !== undefined}>
              Broadcast
            </Button>
          </span>
        </div>
      </Form>
    </section>
  )
}
