import { clsx } from 'clsx'
import { Check, ChevronRight, CircleDashed, Clock, X } from 'lucide-react'
import type { ReactNode } from 'react'
import { Code } from '../components/code.tsx'
import { JsonView } from '../components/json-view.tsx'
import { formatCount } from '../components/number.ts'
import { Properties } from '../components/properties.tsx'
import { formatDuration, Time } from '../components/time.tsx'
import { RoutedFacts } from './routed-facts.tsx'
import { WebhookFacts } from './webhook-facts.tsx'
import { sourceWords, type Trace } from './words.ts'

type StepState = 'done' | 'failed' | 'waiting' | 'none'

/** The steps of an event from top to bottom. Each opens its facts. */
export function Timeline ({ trace }: { trace: Trace }) {
  const { received, schema, stored, error } = trace
  const isRefused = stored === null
  return (
    <ol className='grid' aria-label='Steps of the event'>
      <Step
        state='done'
        title='Received'
        detail={`by ${sourceWords[trace.source] ?? trace.source}`}
        at={received.at}
        after={`${formatDuration(received.waitedMs)} in the queue`}
      >
        <ReceivedFacts trace={trace} />
      </Step>
      <Step
        state={schema === null ? 'none' : schema.valid ? 'done' : 'failed'}
        title={schema === null ? 'No schema' : `Schema v${schema.version} ${schema.valid ? 'checked' : 'violated'}`}
        detail={schema === null ? 'the topic has no active schema' : problemsOf(schema.errors.length)}
        at={schema?.at}
      >
        {schema !== null && schema.errors.length > 0 && <Problems errors={schema.errors} />}
      </Step>
      <Step
        state={isRefused ? 'failed' : 'done'}
        title={
          isRefused
            ? trace.status === 'failed'
              ? 'Not stored'
              : 'Rejected'
            : `Stored at offset ${formatCount(stored.offset)}`
        }
        detail={
          isRefused
            ? (error?.message ?? '')
            : stored.batch === 1
              ? 'by itself'
              : `in a batch of ${formatCount(stored.batch)}`
        }
        at={stored?.at ?? trace.timestamp}
        isOpen={isRefused}
      >
        <StoredFacts trace={trace} />
      </Step>
      {!isRefused && <Recipients trace={trace} />}
    </ol>
  )
}

function Recipients ({ trace }: { trace: Trace }) {
  const { matched, filtered, delivered, routed, deliveries, webhooks, webhookDeliveries } = trace
  if (matched === null) {
    return (
      <Step state='none' title='Recipients are hidden' detail='seeing them requires permission to read the topic' />
    )
  }
  const latencies = deliveries.flatMap(({ firstLatencyMs, lastLatencyMs }) => [firstLatencyMs, lastLatencyMs])
  const known = latencies.filter(latency => latency !== null)
  const { pending, delivered: accepted, dead } = webhooks ?? { pending: 0, delivered: 0, dead: 0 }
  const webhookWords = [
    accepted > 0 && `${accepted} delivered`,
    pending > 0 && `${pending} pending`,
    dead > 0 && `${dead} dead`
  ].filter(part => part !== false)
  return (
    <>
      <Step
        state={matched > 0 ? 'done' : 'none'}
        title='Routed'
        detail={`${matched} ${matched === 1 ? 'subscription' : 'subscriptions'} matched, ${filtered ?? 0} filtered`}
        at={routed[0]?.at}
      >
        {routed.length > 0 && <RoutedFacts trace={trace} />}
      </Step>
      <Step
        state={(delivered ?? 0) > 0 ? 'done' : 'none'}
        title={`Delivered to ${delivered ?? 0} of ${matched}`}
        detail={
          known.length === 0
            ? 'no live subscription'
            : `first after ${formatDuration(Math.min(...known))}, last after ${formatDuration(Math.max(...known))}`
        }
        at={deliveries[0]?.lastAt}
      >
        {deliveries.length > 0 && <DeliveryFacts trace={trace} />}
      </Step>
      <Step
        state={dead > 0 ? 'failed' : pending > 0 ? 'waiting' : accepted > 0 ? 'done' : 'none'}
        title='Webhooks'
        detail={webhookWords.length === 0 ? 'none matched' : webhookWords.join(', ')}
        at={webhookDeliveries[0]?.createdAt}
        isOpen={webhookDeliveries.length > 0}
        isLast
      >
        {webhookDeliveries.length > 0 && <WebhookFacts trace={trace} />}
      </Step>
    </>
  )
}

const stepIcons = { done: Check, failed: X, waiting: Clock, none: CircleDashed }
const stepLooks: Record<StepState, string> = {
  done: 'bg-ok-soft text-ok',
  failed: 'bg-critical-soft text-critical',
  waiting: 'bg-info-soft text-info',
  none: 'bg-sunken text-muted'
}
const stepWords: Record<StepState, string> = { done: 'done', failed: 'failed', waiting: 'waiting', none: 'none' }

function Step ({
  state,
  title,
  detail,
  at,
  after,
  isOpen = false,
  isLast = false,
  children
}: {
  state: StepState
  title: string
  detail: string
  at?: number | null | undefined
  after?: string
  isOpen?: boolean
  isLast?: boolean
  children?: ReactNode
}) {
  const Icon = stepIcons[state]
  const heading = (
    <span className='flex min-w-0 flex-1 flex-wrap items-baseline gap-x-2'>
      <span className='font-semibold'>{title}</span>
      <span className='min-w-0 break-words text-muted'>{detail}</span>
      {after !== undefined && <span className='text-muted'>· {after}</span>}
      {at !== undefined && at !== null && (
        <span className='ml-auto text-xs text-muted'>
          <Time at={at} isExact />
        </span>
      )}
    </span>
  )
  const hasFacts = children !== undefined && children !== false && children !== null
  return (
    <li className='grid grid-cols-[24px_minmax(0,1fr)] gap-x-3'>
      <div className='flex flex-col items-center'>
        <span className={clsx('grid size-6 shrink-0 place-items-center rounded-full', stepLooks[state])}>
          <Icon size={13} role='img' aria-label={stepWords[state]} />
        </span>
        {!isLast && <span className='w-px flex-1 bg-line' />}
      </div>
      {hasFacts
        ? (
          <details open={isOpen} className='group min-w-0 pb-5'>
            <summary className='flex min-w-0 list-none items-baseline gap-1 rounded-sm py-0.5 hover:bg-hover'>
              <ChevronRight
                size={13}
                className='shrink-0 translate-y-0.5 text-muted group-open:rotate-90'
                aria-hidden
              />
              {heading}
            </summary>
            <div className='mt-2 ml-[17px] min-w-0'>{children}</div>
          </details>
          )
        : (
          <div className='min-w-0 py-0.5 pb-5 pl-[17px]'>{heading}</div>
          )}
    </li>
  )
}

const problemsOf = (count: number): string =>
  count === 0 ? 'the payload is valid' : `${count} ${count === 1 ? 'problem' : 'problems'}`

const Problems = ({ errors }: { errors: readonly { path: string; message: string }[] }) => (
  <ul className='grid gap-1'>
    {errors.map(({ path, message }, i) => (
      <li key={i} className='break-words'>
        <code className='font-mono text-xs'>{path === '' ? '/' : path}</code> {message}
      </li>
    ))}
  </ul>
)

function ReceivedFacts ({ trace }: { trace: Trace }) {
  const { event, payload } = trace
  const reasons = {
    shown: '',
    not_permitted: 'The payload is hidden: seeing it requires permission to subscribe to the topic.',
    not_retained: 'The log no longer contains the event, so its payload cannot be shown.',
    not_kept: 'The payload of the rejected event was not kept.'
  }
  return (
    <div className='grid gap-3'>
      <Properties
        items={[
          ['Source', trace.source],
          ['Type', trace.type],
          event !== undefined && event.key !== null && ['Key', <Code isCopyable>{event.key}</Code>],
          ['In the queue', formatDuration(trace.received.waitedMs)]
        ]}
      />
      {event?.meta !== undefined && <JsonView value={event.meta} label='Origin (meta)' />}
      {trace.origin !== undefined && <JsonView value={trace.origin} label='Origin' />}
      {event !== undefined && <JsonView value={event.payload} label='Payload' />}
      {trace.refusedPayload !== undefined && (
        <pre
          tabIndex={0}
          aria-label='Rejected payload'
          className='max-h-60 overflow-auto rounded border border-line bg-sunken p-2 font-mono text-xs whitespace-pre-wrap'
        >
          {trace.refusedPayload}
        </pre>
      )}
      {event === undefined && trace.refusedPayload === undefined && <p className='text-muted'>{reasons[payload]}</p>}
    </div>
  )
}

function StoredFacts ({ trace: { stored, error } }: { trace: Trace }) {
  if (stored === null) {
    return (
      <div className='grid gap-2'>
        {error !== undefined && (
          <>
            <p className='break-words'>{error.message}</p>
            <Code>{error.code}</Code>
            {error.details !== undefined && <Problems errors={error.details} />}
          </>
        )}
      </div>
    )
  }
  return (
    <Properties
      items={[
        ['Offset', formatCount(stored.offset)],
        ['Epoch', <Code isCopyable>{stored.epoch}</Code>],
        ['Node', <Code>{stored.node}</Code>],
        ['Batch', `${formatCount(stored.batch)} traced ${stored.batch === 1 ? 'event' : 'events'} of the topic`],
        ['Committed', <Time at={stored.at} isExact />]
      ]}
    />
  )
}

const DeliveryFacts = ({ trace: { deliveries } }: { trace: Trace }) => (
  <table className='w-full text-left'>
    <thead className='text-xs text-muted'>
      <tr>
        <th className='font-medium'>Node</th>
        <th className='text-right font-medium'>Sent to</th>
        <th className='text-right font-medium'>Resynced</th>
        <th className='text-right font-medium'>First</th>
        <th className='text-right font-medium'>Last</th>
      </tr>
    </thead>
    <tbody>
      {deliveries.map(({ node, delivered, givenUp, firstLatencyMs, lastLatencyMs }) => (
        <tr key={node}>
          <td className='font-mono text-xs'>{node}</td>
          <td className='text-right'>{delivered}</td>
          <td className='text-right'>{givenUp}</td>
          <td className='text-right'>{firstLatencyMs === null ? '–' : formatDuration(firstLatencyMs)}</td>
          <td className='text-right'>{lastLatencyMs === null ? '–' : formatDuration(lastLatencyMs)}</td>
        </tr>
      ))}
    </tbody>
  </table>
)
