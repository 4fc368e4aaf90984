import type { RealtimeEvent } from '@realtime-platform/client'
import { Link } from '@tanstack/react-router'
import type { DataOf } from '../../app/api.ts'
import { useGet } from '../../app/queries.ts'
import { usePageScope } from '../../app/scope.ts'
import { Badge, type Tone } from '../../components/badge.tsx'
import { Code } from '../../components/code.tsx'
import { ErrorNote } from '../../components/error-note.tsx'
import { Skeleton } from '../../components/states.tsx'
import { formatDuration } from '../../components/time.tsx'
import { pathLink } from '../path-link.ts'
import { StatusCell } from './status-cell.tsx'

type Trace = DataOf<'/api/debugger/traces/{eventId}'>

/** Who got an event, and after how long: from its trace, while it is pending read again and again. */
export function Recipients ({ event: { id, timestamp } }: { event: RealtimeEvent }) {
  const isYoung = Date.now() - timestamp < 30_000
  const { data, error } = useGet(
    '/api/debugger/traces/{eventId}',
    { path: { eventId: id } },
    { ...(isYoung && { refetchInterval: 2000 }) }
  )
  return (
    <section className='grid gap-2'>
      <h3 className='flex items-center gap-2 font-semibold'>
        Recipients
        {data !== undefined && (
          <span className='font-normal'>
            <StatusCell trace={data} />
          </span>
        )}
      </h3>
      {data !== undefined
        ? (
          <Found trace={data} />
          )
        : error === null
          ? (
            <Skeleton lines={2} />
            )
          : error.status === 404
            ? (
              <p className='text-muted'>The event was not sampled, or its trace is no longer kept.</p>
              )
            : (
              <ErrorNote error={error} />
              )}
    </section>
  )
}

function Found ({ trace }: { trace: Trace }) {
  const { routed, deliveries, webhookDeliveries, filtered } = trace
  const names = routed.flatMap(({ node, subscriptions }) =>
    subscriptions.filter(subscription => subscription.matched).map(({ subscriptionId }) => ({ node, subscriptionId }))
  )
  if (trace.matched === null) return <p className='text-muted'>You may not read who received events of this topic.</p>
  return (
    <>
      {names.length + webhookDeliveries.length === 0 && (
        <p className='text-muted'>
          No live subscription or webhook matched{(filtered ?? 0) > 0 && `; ${filtered} had a filter that did not`}.
        </p>
      )}
      {names.length > 0 && (
        <ul className='grid gap-1' aria-label='Subscriptions'>
          {names.map(({ subscriptionId, node }) => (
            <li key={subscriptionId} className='flex flex-wrap items-center gap-x-2'>
              <Code isCopyable>{subscriptionId}</Code>
              <Latency trace={trace} node={node} />
            </li>
          ))}
        </ul>
      )}
      {(trace.matched ?? 0) > names.length && names.length > 0 && (
        <p className='text-muted'>and {(trace.matched ?? 0) - names.length} more subscriptions</p>
      )}
      {deliveries.some(({ givenUp }) => givenUp > 0) && (
        <p className='text-warning'>
          {deliveries.reduce((sum, { givenUp }) => sum + givenUp, 0)} subscriptions ended because their client read
          too slowly.
        </p>
      )}
      {webhookDeliveries.length > 0 && (
        <ul className='grid gap-1' aria-label='Webhooks'>
          {webhookDeliveries.map(delivery => (
            <Webhook key={delivery.deliveryId} delivery={delivery} />
          ))}
        </ul>
      )}
    </>
  )
}

/** The latencies of a node: subscriptions are not timed one by one. */
function Latency ({ trace, node }: { trace: Trace; node: string }) {
  const sent = trace.deliveries.find(delivery => delivery.node === node)
  if (sent?.lastLatencyMs == null) return <span className='text-muted'>on its way</span>
  const { firstLatencyMs, lastLatencyMs } = sent
  return (
    <span className='text-muted' title={`Sent by ${node}`}>
      {firstLatencyMs === null || firstLatencyMs === lastLatencyMs
        ? formatDuration(lastLatencyMs)
        : `${formatDuration(firstLatencyMs)} – ${formatDuration(lastLatencyMs)}`}
    </span>
  )
}

const tones: Record<string, Tone> = { delivered: 'ok', pending: 'warning', dead: 'critical' }

function Webhook ({ delivery }: { delivery: Trace['webhookDeliveries'][number] }) {
  const scope = usePageScope()
  const { deliveryId, webhookId, state, attempts } = delivery
  const last = attempts.at(-1)
  return (
    <li className='flex flex-wrap items-center gap-x-2'>
      <Badge tone={tones[state] ?? 'neutral'}>{state}</Badge>
      <Link {...pathLink(scope, '/deliveries/$id', { id: deliveryId })} className='font-mono text-xs hover:underline'>
        {webhookId}
      </Link>
      <span className='text-muted'>
        {attempts.length} {attempts.length === 1 ? 'attempt' : 'attempts'}
        {last?.statusCode != null && `, ${last.statusCode}`}
        {last?.error != null && `, ${last.error}`}
        {last?.durationMs != null && ` in ${formatDuration(last.durationMs)}`}
      </span>
    </li>
  )
}
