import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { integer } from '../app/search.ts'
import { Button } from '../components/button.tsx'
import { TextField } from '../components/field.tsx'
import { Section } from '../components/page.tsx'
import { DebuggerFrame } from './debugger-frame.tsx'
import { explainRoute } from './routes.ts'
import { WhyNot } from './why-not.tsx'

/** Explains why an event did or did not arrive. Other pages link to it with the event and the recipient. */
export function ExplainPage () {
  const search = explainRoute.useSearch()
  const navigate = useNavigate({ from: explainRoute.fullPath })
  const { eventId, topic, offset, subscriptionId, webhookId } = search
  const hasEvent = eventId !== undefined || (topic !== undefined && offset !== undefined)
  return (
    <DebuggerFrame>
      <div className='grid max-w-3xl gap-4'>
        <Section title='Event'>
          <EventForm key={JSON.stringify([eventId, topic, offset])} />
        </Section>
        {hasEvent && (
          <Section title='Why not?'>
            <WhyNot
              event={{ eventId, topic, offset }}
              recipient={{ subscriptionId, webhookId }}
              onChoose={recipient => {
                void navigate({
                  search: { ...search, subscriptionId: undefined, webhookId: undefined, ...recipient },
                  replace: true
                })
              }}
            />
          </Section>
        )}
      </div>
    </DebuggerFrame>
  )
}

function EventForm () {
  const search = explainRoute.useSearch()
  const navigate = useNavigate({ from: explainRoute.fullPath })
  const [eventId, setEventId] = useState(search.eventId ?? '')
  const [topic, setTopic] = useState(search.topic ?? '')
  const [offset, setOffset] = useState(String(search.offset ?? ''))
  const isById = eventId.trim() !== ''
  const isComplete = isById || (topic.trim() !== '' && integer(offset) !== undefined)
  return (
    <form
      className='grid gap-4'
      onSubmit={event => {
        event.preventDefault()
        if (!isComplete) return
        void navigate({
          search: {
            ...search,
            eventId: isById ? eventId.trim() : undefined,
            topic: isById ? undefined : topic.trim(),
            offset: isById ? undefined : integer(offset)
          }
        })
      }}
    >
      <TextField
        label='Event ID'
        placeholder='evt_…'
        value={eventId}
        onChange={event => setEventId(event.target.value)}
        hint='Or the topic and offset, for an event that was not sampled.'
      />
      {!isById && (
        <div className='grid items-start gap-4 sm:grid-cols-2'>
          <TextField label='Topic' value={topic} onChange={event => setTopic(event.target.value)} />
          <TextField
            label='Offset'
            inputMode='numeric'
            value={offset}
            onChange={event => setOffset(event.target.value)}
          />
        </div>
      )}
      <Button type='submit' disabled={!isComplete} className='justify-self-start'>
        Choose event
      </Button>
    </form>
  )
}
