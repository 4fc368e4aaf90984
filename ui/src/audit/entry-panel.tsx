import { Link } from '@tanstack/react-router'
import { Code, CopyButton } from '../components/code.tsx'
import { DetailPanel } from '../components/detail-panel.tsx'
import { JsonDiff } from '../components/diff-view.tsx'
import { JsonView } from '../components/json-view.tsx'
import { Properties } from '../components/properties.tsx'
import { Empty, Skeleton } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { usePlaceName } from '../people/names.ts'
import { actorName, kindOf, type Entry } from './entries.tsx'
import type { AuditSearch } from './routes.ts'

const filterLook = 'text-accent underline underline-offset-2 hover:no-underline'

/** The details of an entry, with the state before and after the change. */
export function EntryPanel ({
  entry,
  isSearching,
  search,
  onClose
}: {
  entry: Entry | undefined
  isSearching: boolean
  search: AuditSearch
  onClose: () => void
}) {
  if (entry === undefined) {
    return (
      <DetailPanel title='Audit entry' onClose={onClose}>
        {isSearching
          ? (
            <Skeleton lines={6} />
            )
          : (
            <Empty title='The entry is not there'>It was removed after the retention of the audit log.</Empty>
            )}
      </DetailPanel>
    )
  }
  return (
    <DetailPanel
      title={entry.action}
      onClose={onClose}
      actions={<CopyButton label='Copy the link to this entry' text={() => location.href} />}
    >
      <div className='grid gap-5'>
        <Facts entry={entry} search={search} />
        <States entry={entry} />
      </div>
    </DetailPanel>
  )
}

function Facts ({ entry, search }: { entry: Entry; search: AuditSearch }) {
  const placeName = usePlaceName()
  const { actor, applicationId, environment, resource, resourceId } = entry
  const closed = { ...search, open: undefined, at: undefined }
  return (
    <Properties
      items={[
        ['Time', <Time key='time' at={entry.at} isExact />],
        [
          'Actor',
          <span key='actor'>
            {actor.kind === 'session'
              ? (
                <Link to='/users/$id' params={{ id: actor.id }} className='font-medium hover:underline'>
                  {actorName(entry)}
                </Link>
                )
              : (
                  actorName(entry)
                )}{' '}
            <span className='text-muted'>{kindOf(entry)}</span>
            <br />
            <Code isCopyable>{actor.id}</Code>{' '}
            <Link to='/audit' search={{ ...closed, actor: actor.id }} className={filterLook}>
              Only this actor
            </Link>
          </span>
        ],
        ['Action', <Code key='action'>{entry.action}</Code>],
        resourceId !== null && [
          'Resource',
          <span key='resource'>
            {resource} <Code isCopyable>{resourceId}</Code>{' '}
            <Link to='/audit' search={{ ...closed, resource, resourceId, action: undefined }} className={filterLook}>
              Its history
            </Link>
          </span>
        ],
        [
          'Application',
          applicationId === null
            ? 'the platform'
            : `${placeName(applicationId)}${environment === null ? '' : `, ${environment}`}`
        ],
        ['Address', entry.address ?? '–'],
        ['Browser', entry.userAgent ?? '–'],
        entry.requestId !== null && [
          'Request',
          <Code key='request' isCopyable>
            {entry.requestId}
          </Code>
        ]
      ]}
    />
  )
}

function States ({ entry: { before, after } }: { entry: Entry }) {
  if (before === null && after === null) return <p className='text-muted'>The entry has no state.</p>
  if (before !== null && after !== null) {
    return (
      <section>
        <h3 className='mb-2 font-semibold'>Before and after</h3>
        <JsonDiff before={before} after={after} />
      </section>
    )
  }
  return (
    <section>
      <h3 className='mb-2 font-semibold'>{before === null ? 'After' : 'Before'}</h3>
      <JsonView value={before ?? after} label='State' />
    </section>
  )
}
