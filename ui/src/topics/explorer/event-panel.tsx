import { keepPreviousData, useQuery } from '@tanstack/react-query'
import type { RealtimeError, RealtimeEvent } from '@realtime-platform/client'
import { read } from '../../app/api.ts'
import { useMay } from '../../app/me.ts'
import { usePageScope } from '../../app/scope.ts'
import { Code, CopyButton } from '../../components/code.tsx'
import { CopyAs } from '../../components/copy-as.tsx'
import { DetailPanel } from '../../components/detail-panel.tsx'
import { JsonView } from '../../components/json-view.tsx'
import { formatCount } from '../../components/number.ts'
import { Properties } from '../../components/properties.tsx'
import { Empty, Loaded } from '../../components/states.tsx'
import { Time } from '../../components/time.tsx'
import { payloadColumn } from './columns.ts'
import type { LogSnapshot } from './event-log.ts'
import { EventLinks } from './event-links.tsx'
import { FieldMenu } from './field-menu.tsx'
import { Recipients } from './recipients.tsx'

interface EventPanelProps {
  topic: string
  offset: number
  snapshot: LogSnapshot
  columns: readonly string[]
  onColumn: (path: string, isShown: boolean) => void
  onFilter: (path: string, value: unknown) => void
  onKey: (key: string) => void
  onClose: () => void
}

/** The details of one event, from the list or from the log if the list does not have it. */
export function EventPanel ({ topic, offset, snapshot, onClose, ...rest }: EventPanelProps) {
  const scope = usePageScope()
  const loaded = snapshot.rows.findLast(row => row.kind === 'event' && row.event.offset === offset)
  const known = loaded?.kind === 'event' ? loaded.event : undefined
  const query = useQuery<RealtimeEvent | null, RealtimeError>({
    queryKey: ['event', scope.applicationId, scope.environment, topic, offset],
    queryFn: async ({ signal }) => {
      const { data } = await read(
        scope,
        '/api/topics/{name}/events',
        {
          path: { name: topic },
          query: { order: 'asc', after: offset - 1, limit: 1 }
        },
        signal
      )
      const found = data[0]
      return found?.offset === offset ? found : null
    },
    enabled: known === undefined,
    placeholderData: keepPreviousData
  })
  const event = known ?? (query.data?.offset === offset ? query.data : undefined)
  return (
    <DetailPanel
      title={`Event ${formatCount(offset)}`}
      onClose={onClose}
      actions={event !== undefined && <Actions event={event} />}
    >
      {event !== undefined
        ? (
          <Details event={event} {...rest} />
          )
        : (
          <Loaded query={query}>{found => (found === null ? <Missing offset={offset} /> : null)}</Loaded>
          )}
    </DetailPanel>
  )
}

const Missing = ({ offset }: { offset: number }) => (
  <Empty title={`The log has no event at offset ${formatCount(offset)}`}>
    It was removed by retention, or has not been written yet.
  </Empty>
)

function Actions ({ event }: { event: RealtimeEvent }) {
  const { topic, offset } = event
  const query = { order: 'asc', after: offset - 1, limit: 1 }
  return (
    <>
      <CopyButton text={() => JSON.stringify(event, null, 2)} label='Copy the event as JSON' className='size-8!' />
      <CopyAs
        request={{ method: 'GET', path: '/api/topics/{name}/events', params: { name: topic }, query }}
        code={`for await (const event of client.topic('${topic}').history({ after: ${offset - 1}, pageSize: 1 })) {
  console.log(event)
  break
}`}
      />
    </>
  )
}

type DetailsProps = Pick<EventPanelProps, 'columns' | 'onColumn' | 'onFilter' | 'onKey'> & { event: RealtimeEvent }

function Details ({ event, columns, onColumn, onFilter, onKey }: DetailsProps) {
  const may = useMay()
  const { key, meta, schemaVersion } = event
  return (
    <div className='grid gap-4'>
      <Properties
        items={[
          ['Time', <Time key='time' at={event.timestamp} isExact />],
          [
            'ID',
            <Code key='id' isCopyable>
              {event.id}
            </Code>
          ],
          [
            'Key',
            key === null
              ? (
                <span key='key' className='text-muted'>
                  none
                </span>
                )
              : (
                <span key='key' className='inline-flex items-center gap-2'>
                  <Code isCopyable>{key}</Code>
                  <button type='button' className='text-xs text-accent hover:underline' onClick={() => onKey(key)}>
                    only this key
                  </button>
                </span>
                )
          ],
          ['Type', `${event.type}, from ${event.source}`],
          ['Schema', schemaVersion === null ? 'not checked' : `version ${schemaVersion}`],
          ['Epoch', <Code key='epoch'>{event.epoch}</Code>]
        ]}
      />
      <EventLinks event={event} />
      <section className='grid gap-1'>
        <h3 className='font-semibold'>Payload</h3>
        <JsonView
          value={event.payload}
          label='Payload'
          renderName={(name, path, value) => (
            <FieldMenu
              name={name}
              path={path}
              value={value}
              isShown={columns.includes(payloadColumn(path))}
              onColumn={onColumn}
              onFilter={onFilter}
            />
          )}
        />
        <p className='text-xs text-muted'>Click the name of a field to show it as a column or to filter by it.</p>
      </section>
      {meta !== undefined && Object.keys(meta).length > 0 && (
        <section className='grid gap-1'>
          <h3 className='font-semibold'>Meta</h3>
          <JsonView value={meta} label='Meta' />
        </section>
      )}
      {may('debugger:read') && <Recipients event={event} />}
    </div>
  )
}
