import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { useMay } from '../app/me.ts'
import { useGet } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { Code } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { ConfirmDialog } from '../components/dialog.tsx'
import { formatCount } from '../components/number.ts'
import { Page, Section } from '../components/page.tsx'
import { Person } from '../components/person.tsx'
import { Properties } from '../components/properties.tsx'
import { Stat } from '../components/stat.tsx'
import { Loaded } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { useDebuggerCrumb } from './debugger-frame.tsx'
import { replayRoute } from './routes.ts'
import { replayTones, targetWords, type Replay } from './words.ts'

const isOver = ({ state }: Replay): boolean => state !== 'pending' && state !== 'running'

/** The progress of a replay, as it happens. */
export function ReplayPage () {
  const { id } = replayRoute.useParams()
  const scope = usePageScope()
  const crumb = useDebuggerCrumb()
  const query = useGet('/api/debugger/replays/{id}', { path: { id } }, { refetchInterval: 1000 })
  return (
    <Page
      title={query.data?.topic == null ? 'Replay' : `Replay of ${query.data.topic}`}
      crumbs={[crumb, { label: 'Replays', link: { to: `${scopePath}/debugger/replays`, params: { ...scope } } }]}
      actions={
        <>
          <CopyAs request={{ method: 'GET', path: '/api/debugger/replays/{id}', params: { id } }} />
          {query.data !== undefined && !isOver(query.data) && <CancelButton replay={query.data} />}
        </>
      }
    >
      <Loaded query={query}>{replay => <Progress replay={replay} />}</Loaded>
    </Page>
  )
}

function CancelButton ({ replay: { id, total, done } }: { replay: Replay }) {
  const may = useMay()
  const [isAsking, setAsking] = useState(false)
  const cancel = useAction(api => api.POST('/api/debugger/replays/{id}/cancel', { params: { path: { id } } }), {
    invalidates: ['/api/debugger/replays'],
    done: 'Replay cancelled',
    onDone: () => setAsking(false)
  })
  if (!may('debugger:create')) return null
  return (
    <>
      <CopyAs request={{ method: 'POST', path: '/api/debugger/replays/{id}/cancel', params: { id } }} />
      <Button kind='danger' onClick={() => setAsking(true)}>
        Cancel replay
      </Button>
      <ConfirmDialog
        title='Cancel replay'
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        onConfirm={() => cancel.mutate(undefined)}
        verb='Stop sending'
        name={id}
        isBusy={cancel.isPending}
      >
        {formatCount(total - done)} events are not sent. Those that were sent stay sent.
      </ConfirmDialog>
    </>
  )
}

function Progress ({ replay }: { replay: Replay }) {
  const scope = usePageScope()
  const share = replay.total === 0 ? 1 : replay.done / replay.total
  const shown = (value: number | null) => (value === null ? '–' : formatCount(value))
  return (
    <div className='grid max-w-4xl gap-4'>
      <div className='grid gap-2'>
        <p className='flex flex-wrap items-center gap-3' role='status'>
          <Badge tone={replayTones[replay.state] ?? 'neutral'}>{replay.state}</Badge>
          {formatCount(replay.done)} of {formatCount(replay.total)} events
          {replay.message !== null && <span className='text-critical'>{replay.message}</span>}
        </p>
        <div
          role='progressbar'
          aria-label='Replayed events'
          aria-valuemin={0}
          aria-valuemax={100}
          aria-valuenow={Math.round(share * 100)}
          className='h-2 overflow-hidden rounded-full bg-hover'
        >
          <div className='h-full bg-accent' style={{ width: `${share * 100}%` }} />
        </div>
      </div>
      <div className='grid gap-3 sm:grid-cols-2 lg:grid-cols-4'>
        <Stat name='Sent to subscriptions' value={shown(replay.sent)} />
        <Stat
          name='Passed over'
          value={shown(replay.passedOver)}
          {...((replay.passedOver ?? 0) > 0 && { tone: 'warning' as const })}
        />
        <Stat name='Webhook deliveries' value={shown(replay.webhookDeliveries)} />
        <Stat
          name='No longer stored'
          value={formatCount(replay.missing)}
          {...(replay.missing > 0 && { tone: 'warning' as const })}
        />
      </div>
      <Section title='Replay'>
        <Properties
          items={[
            [
              'Recipients',
              replay.webhookId === null
                ? (
                    targetWords[replay.target]
                  )
                : (
                  <Link
                    to={`${scopePath}/webhooks/$id`}
                    params={{ ...scope, id: replay.webhookId }}
                    className='text-accent hover:underline'
                  >
                    Webhook {replay.webhookId}
                  </Link>
                  )
            ],
            ['Rate', `${formatCount(replay.ratePerSecond)} events/s`],
            ['Requested by', <Person id={replay.requestedBy} />],
            ['Requested', <Time at={replay.createdAt} />],
            ['Started', <Time at={replay.startedAt} />],
            ['Finished', <Time at={replay.finishedAt} />],
            ['ID', <Code isCopyable>{replay.id}</Code>]
          ]}
        />
      </Section>
      <p className='text-muted'>
        A socket whose buffer is more than a quarter full is passed over, so that a replay never causes a resync.
      </p>
    </div>
  )
}
