import { RealtimeError } from '@realtime-platform/client'
import { useEffect, useState } from 'react'
import type { Scope } from '../app/api.ts'
import { useLive, useLiveState } from '../app/live.ts'
import { useAction } from '../app/actions.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { Code } from '../components/code.tsx'
import { ErrorNote } from '../components/error-note.tsx'
import { TextAreaField } from '../components/field.tsx'
import { Form, useForm } from '../components/form.tsx'
import { Time } from '../components/time.tsx'
import { useReach } from '../people/names.ts'
import { Snippets } from './snippets.tsx'
import { Result, Step } from './step.tsx'

interface Arrived {
  id: string
  offset: number
  timestamp: number
  payload: unknown
}

/** Publishes an event, and shows it when it arrives over the page's own subscription. */
export function EventSteps ({ scope, topic }: { scope: Scope; topic: string }) {
  const { events, isReady, error } = useArrivals(topic)
  return (
    <>
      <Step number={3} title='Publish an event' state={events.length > 0 ? 'done' : 'current'}>
        <Publish scope={scope} topic={topic} />
        <Snippets scope={scope} topic={topic} />
      </Step>
      <Step number={4} title='Watch it arrive' state={events.length > 0 ? 'done' : 'current'}>
        <Arrivals events={events} isReady={isReady} error={error} topic={topic} />
      </Step>
    </>
  )
}

const shownMax = 20

function useArrivals (topic: string) {
  const client = useLive()
  const [events, setEvents] = useState<readonly Arrived[]>([])
  const [isReady, setReady] = useState(false)
  const [error, setError] = useState<RealtimeError | null>(null)
  useEffect(() => {
    setEvents([])
    setError(null)
    const fail = (failure: unknown) =>
      setError(failure instanceof RealtimeError ? failure : new RealtimeError('FAILED', String(failure)))
    const subscription = client
      .topic(topic)
      .subscribe(
        ({ id, offset, timestamp, payload }) =>
          setEvents(current => [{ id, offset, timestamp, payload }, ...current].slice(0, shownMax)),
        { rewind: 5, onGap: () => {}, onError: fail }
      )
    subscription.ready.then(() => setReady(true), fail)
    return () => {
      setReady(false)
      subscription.unsubscribe()
    }
  }, [client, topic])
  return { events, isReady, error }
}

function Publish ({ scope, topic }: { scope: Scope; topic: string }) {
  const mayPublish = useReach().in(scope.applicationId, 'events:create')
  const publish = useAction(
    (api, body: { payload: unknown }) =>
      api.POST('/api/topics/{name}/events', { params: { path: { name: topic } }, body }),
    { isErrorShown: true, scope }
  )
  const [stored, setStored] = useState<{ offset: number } | null>(null)
  const form = useForm({ payload: '{ "total": 42 }' }, async ({ payload }) => {
    const answer = await publish.mutateAsync({ payload: parse(payload) })
    setStored(Array.isArray(answer) ? null : { offset: answer.offset })
  })
  if (!mayPublish) {
    return <p className='text-muted'>Publishing requires events:create. Events of others still arrive below.</p>
  }
  return (
    <Form form={form} fields={['payload']} className='grid max-w-lg gap-3'>
      <TextAreaField
        label='Payload'
        hint='Any JSON value.'
        rows={2}
        className='font-mono text-xs'
        value={form.values.payload}
        error={form.error('payload')}
        onChange={event => form.set({ payload: event.target.value })}
      />
      <div className='flex flex-wrap items-center gap-3'>
        <Button kind='primary' type='submit' isBusy={form.isBusy}>
          Publish event
        </Button>
        {stored !== null && (
          <Result>
            Stored at offset <Code>{String(stored.offset)}</Code>
          </Result>
        )}
      </div>
    </Form>
  )
}

function parse (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new RealtimeError('JSON_INVALID', 'The payload is not JSON', {
      details: [{ path: '/payload', message: 'is not valid JSON. Texts and names need double quotes' }]
    })
  }
}

function Arrivals ({
  events,
  isReady,
  error,
  topic
}: {
  events: readonly Arrived[]
  isReady: boolean
  error: RealtimeError | null
  topic: string
}) {
  const state = useLiveState(useLive())
  if (error !== null) return <ErrorNote error={error} />
  const isLive = state?.state === 'connected' && isReady
  return (
    <div className='grid gap-2'>
      <p className='flex flex-wrap items-center gap-2 text-muted'>
        {isLive
          ? (
            <Badge tone='ok'>subscribed</Badge>
            )
          : (
            <Badge tone='warning'>
              {state?.state === 'connected' ? 'subscribing' : (state?.state ?? 'connecting')}
            </Badge>
            )}
        {events.length === 0
          ? `This page listens to ${topic}. Publish an event, here or from your terminal.`
          : 'Events that have arrived, newest first.'}
      </p>
      {events.length > 0 && (
        <table className='w-full rounded border border-line bg-surface' aria-label='Events that have arrived'>
          <thead>
            <tr className='border-b border-line text-left text-xs text-muted'>
              <th className='w-20 px-3 py-1.5 text-right font-medium'>Offset</th>
              <th className='w-36 px-3 py-1.5 font-medium'>Time</th>
              <th className='px-3 py-1.5 font-medium'>Payload</th>
            </tr>
          </thead>
          <tbody>
            {events.map(({ id, offset, timestamp, payload }) => (
              <tr key={id} className='border-b border-line/60'>
                <td className='px-3 py-1.5 text-right'>{offset}</td>
                <td className='px-3 py-1.5'>
                  <Time at={timestamp} />
                </td>
                <td className='max-w-0 truncate px-3 py-1.5 font-mono text-xs'>{JSON.stringify(payload)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  )
}
