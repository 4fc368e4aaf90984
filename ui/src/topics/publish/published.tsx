import type { RealtimeEvent } from '@realtime-platform/client'
import { Link } from '@tanstack/react-router'
import { usePageScope } from '../../app/scope.ts'
import { Code } from '../../components/code.tsx'
import { JsonView } from '../../components/json-view.tsx'
import { formatCount } from '../../components/number.ts'
import { Section } from '../../components/page.tsx'
import { Properties } from '../../components/properties.tsx'
import { Time } from '../../components/time.tsx'
import { EventLinks } from '../explorer/event-links.tsx'
import { pathLink } from '../path-link.ts'

export type PublishedEvents = readonly RealtimeEvent[]

/** The events that were published last, as they are in the log. */
export function Published ({ topic, events }: { topic: string; events: PublishedEvents }) {
  const scope = usePageScope()
  const [first] = events
  if (first === undefined) {
    return (
      <Section title='Published'>
        <p className='text-muted'>The event appears here with its offset when it is stored.</p>
      </Section>
    )
  }
  const last = first.offset + events.length - 1
  const linkTo = (offset: number) => pathLink(scope, '/topics/$name', { name: topic }, { event: offset })
  return (
    <Section title={events.length === 1 ? 'Published' : `${formatCount(events.length)} events published`}>
      <div className='grid gap-3' role='status'>
        <Properties
          items={[
            ['Offset', events.length === 1
              ? <OffsetLink key='offset' link={linkTo(first.offset)} offset={first.offset} />
              : (
                <span key='offset'>
                  <OffsetLink link={linkTo(first.offset)} offset={first.offset} />
                  {' to '}
                  <OffsetLink link={linkTo(last)} offset={last} />
                </span>
                )],
            ['Time', <Time key='time' at={first.timestamp} isExact />],
            ['ID', <Code key='id' isCopyable>{first.id}</Code>],
            ['Key', first.key ?? 'none']
          ]}
        />
        <EventLinks event={first} />
        <JsonView value={first.payload} label='Payload' />
      </div>
    </Section>
  )
}

const OffsetLink = ({ link, offset }: { link: ReturnType<typeof pathLink>; offset: number }) => (
  <Link {...link} className='text-accent hover:underline'>{formatCount(offset)}</Link>
)
