import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useMay } from '../app/me.ts'
import { useGet } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { buttonLook } from '../components/button.tsx'
import { Code } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Page, Section } from '../components/page.tsx'
import { Empty, Loaded, Skeleton } from '../components/states.tsx'
import { useDebuggerCrumb } from './debugger-frame.tsx'
import { traceRoute } from './routes.ts'
import { SamplingButton } from './sampling.tsx'
import { Timeline } from './timeline.tsx'
import { WhyNot } from './why-not.tsx'
import { statusWords, type Trace } from './words.ts'

/** The way of one event: received, checked, stored, routed, delivered, and sent to webhooks. */
export function TracePage () {
  const { eventId } = traceRoute.useParams()
  const query = useGet('/api/debugger/traces/{eventId}', { path: { eventId } }, { refetchInterval: 3000 })
  const isMissing = query.data === undefined && query.error?.code === 'TRACE_NOT_FOUND'
  const crumb = useDebuggerCrumb()
  return (
    <Page
      title={query.data === undefined ? eventId : titleOf(query.data)}
      crumbs={[crumb]}
      actions={<TraceActions eventId={eventId} trace={query.data} />}
    >
      {isMissing
        ? (
          <NotSampled eventId={eventId} />
          )
        : (
          <Loaded query={query} skeleton={<Skeleton lines={12} className='max-w-xl' />}>
            {trace => (
              <div className='grid items-start gap-4 lg:grid-cols-[minmax(0,3fr)_minmax(20rem,2fr)]'>
                <div className='grid min-w-0 gap-4'>
                  <p className='flex flex-wrap items-center gap-x-3 gap-y-1'>
                    <Badge tone={statusWords[trace.status].tone}>{statusWords[trace.status].word}</Badge>
                    <span className='text-muted'>{statusWords[trace.status].explanation}</span>
                    <Code isCopyable>{trace.eventId}</Code>
                  </p>
                  <Timeline trace={trace} />
                </div>
                <Section title='Why not?'>
                  <WhyNot event={{ eventId }} trace={trace} />
                </Section>
              </div>
            )}
          </Loaded>
          )}
    </Page>
  )
}

const titleOf = ({ topic, offset }: Trace): string => (offset === null ? topic : `${topic} #${offset}`)

function TraceActions ({ eventId, trace }: { eventId: string; trace: Trace | undefined }) {
  const scope = usePageScope()
  const may = useMay()
  return (
    <>
      <CopyAs request={{ method: 'GET', path: '/api/debugger/traces/{eventId}', params: { eventId } }} />
      {trace !== undefined && trace.offset !== null && (
        <Link to={`${scopePath}/topics/$name`} params={{ ...scope, name: trace.topic }} className={buttonLook()}>
          Open the topic
        </Link>
      )}
      {trace !== undefined && trace.offset !== null && may('debugger:create') && (
        <Link
          to={`${scopePath}/debugger/replays/new`}
          params={{ ...scope }}
          search={{ eventId }}
          className={buttonLook()}
        >
          Replay
        </Link>
      )}
    </>
  )
}

function NotSampled ({ eventId }: { eventId: string }): ReactNode {
  const scope = usePageScope()
  const may = useMay()
  return (
    <Empty
      title='There is no trace of this event'
      action={
        <>
          <SamplingButton />
          <Link to={`${scopePath}/debugger/explain`} params={{ ...scope }} className={buttonLook()}>
            Explain by topic and offset
          </Link>
        </>
      }
    >
      <p>
        <code className='font-mono text-xs'>{eventId}</code> was not sampled, is older than the retention of traces,
        or never existed. Only the sampled share of events is traced.{' '}
        {may('debugger:update')
          ? 'Raise the share, and events that are published from then on are traced.'
          : 'A user with the permission debugger:update can raise the share.'}{' '}
        An event without a trace can still be explained by its topic and offset.
      </p>
    </Empty>
  )
}
