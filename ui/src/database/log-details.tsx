import { Link } from '@tanstack/react-router'
import { useMay } from '../app/me.ts'
import { useGet } from '../app/queries.ts'
import { Badge } from '../components/badge.tsx'
import { Code } from '../components/code.tsx'
import { DetailPanel } from '../components/detail-panel.tsx'
import { JsonView } from '../components/json-view.tsx'
import { Section } from '../components/page.tsx'
import { Properties } from '../components/properties.tsx'
import { Loaded } from '../components/states.tsx'
import { formatDuration, Time } from '../components/time.tsx'
import { eventLink, mappingLink, topicLink } from './links.ts'
import { statusTones, type LogEntry } from './log-page.tsx'

/** One outcome: the transaction, the events that it made, or the reason why there are none. */
export function LogDetails ({ entry, onClose }: { entry: LogEntry; onClose: () => void }) {
  const may = useMay()
  const { status, table, topic, events, code, message, lsn, xid, committedAt, createdAt, mappingId } = entry
  return (
    <DetailPanel title={`${table} → ${topic}`} onClose={onClose}>
      <div className='grid gap-4'>
        {message !== null && (
          <div role='alert' className='rounded border border-critical/40 bg-critical-soft px-3 py-2'>
            <p className='break-words'>{message}</p>
            <p className='font-mono text-xs text-muted'>{code}</p>
          </div>
        )}
        <Properties
          items={[
            [
              'Status',
              <Badge key='s' tone={statusTones[status]}>
                {status}
              </Badge>
            ],
            ['Changes', events === 0 ? 'their number is unknown' : events],
            [
              'Mapping',
              <Link key='m' {...mappingLink(mappingId)} className='text-accent underline'>
                {mappingId}
              </Link>
            ],
            [
              'Topic',
              <Link key='t' {...topicLink(topic)} className='text-accent underline'>
                {topic}
              </Link>
            ],
            ['Table', <Code key='b'>{table}</Code>],
            ['Committed', <Time key='c' at={committedAt} isExact />],
            [
              'Stored',
              <span key='o'>
                <Time at={createdAt} isExact />
                <span className='ml-2 text-muted'>{formatDuration(Math.max(createdAt - committedAt, 0))} later</span>
              </span>
            ],
            [
              'Transaction',
              <Code key='x' isCopyable>
                {String(xid)}
              </Code>
            ],
            [
              'LSN',
              <Code key='l' isCopyable>
                {lsn}
              </Code>
            ]
          ]}
        />
        {status === 'delivered' && may('events:read') && <MadeEvents entry={entry} />}
      </div>
    </DetailPanel>
  )
}

const shownMax = 20

/** The events of the transaction. They were stored in the same transaction as the entry. */
function MadeEvents ({ entry: { topic, createdAt, xid, mappingId } }: { entry: LogEntry }) {
  const around = useGet('/api/topics/{name}/events', {
    path: { name: topic },
    query: { from: createdAt - 10_000, to: createdAt + 10_000, limit: 200, order: 'asc' }
  })
  return (
    <Section title='Events'>
      <Loaded query={around}>
        {found => {
          const own = found.filter(
            ({ meta }) =>
              meta?.['xid'] === xid && (meta['mappingId'] === undefined || meta['mappingId'] === mappingId)
          )
          return own.length === 0
            ? (
              <p className='text-muted'>Its events are no longer in the log of the topic, or among too many others.</p>
              )
            : (
              <ul className='grid gap-3'>
                {own.slice(0, shownMax).map(({ offset, key, payload, meta }) => (
                  <li key={offset} className='grid gap-1'>
                    <p className='flex flex-wrap gap-x-3'>
                      <Link {...eventLink(topic, offset)} className='text-accent underline'>
                        Offset {offset}
                      </Link>
                      {key !== null && <span className='text-muted'>key {key}</span>}
                      <span className='text-muted'>{String(meta?.['operation'] ?? '')}</span>
                    </p>
                    <JsonView value={payload} label={`Payload of offset ${offset}`} />
                  </li>
                ))}
              </ul>
              )
        }}
      </Loaded>
    </Section>
  )
}
