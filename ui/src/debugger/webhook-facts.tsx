import { Link } from '@tanstack/react-router'
import { useList } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { formatDuration, Time } from '../components/time.tsx'
import { shortUrl } from '../webhooks/status.ts'
import type { Trace } from './words.ts'

type Delivery = Trace['webhookDeliveries'][number]

const tones: Record<string, 'ok' | 'info' | 'critical'> = { delivered: 'ok', pending: 'info', dead: 'critical' }

/** The webhook deliveries of an event, each with its attempts and the next try. */
export function WebhookFacts ({ trace: { webhookDeliveries } }: { trace: Trace }) {
  const webhooks = useList('/api/webhooks', { query: { limit: 200 } })
  const urls = new Map((webhooks.items ?? []).map(({ id, url }) => [id, shortUrl(url)]))
  return (
    <ul className='grid gap-2'>
      {webhookDeliveries.map(delivery => (
        <li key={delivery.deliveryId} className='rounded border border-line bg-surface p-3'>
          <DeliveryFacts delivery={delivery} name={urls.get(delivery.webhookId) ?? delivery.webhookId} />
        </li>
      ))}
    </ul>
  )
}

function DeliveryFacts ({ delivery, name }: { delivery: Delivery; name: string }) {
  const scope = usePageScope()
  const { deliveryId, state, attempts, nextAttemptAt, replayOf } = delivery
  return (
    <div className='grid gap-2'>
      <p className='flex flex-wrap items-center gap-x-3 gap-y-1'>
        <Badge tone={tones[state] ?? 'critical'}>{state}</Badge>
        <Link
          to={`${scopePath}/deliveries/$deliveryId`}
          params={{ ...scope, deliveryId }}
          className='min-w-0 truncate font-medium hover:underline'
        >
          {name}
        </Link>
        {replayOf !== null && <span className='text-muted'>by replay {replayOf}</span>}
        {nextAttemptAt !== null && (
          <span className='ml-auto text-muted'>
            {nextAttemptAt <= Date.now() ? 'Due now' : <>Next try <Time at={nextAttemptAt} /></>}
          </span>
        )}
      </p>
      {attempts.length > 0 && (
        <ol className='grid gap-0.5'>
          {attempts.map(({ attempt, at, success, statusCode, error, durationMs }) => (
            <li key={attempt} className='grid grid-cols-[4.5rem_auto_auto_minmax(0,1fr)] sm:grid-cols-[4.5rem_5.5rem_4rem_minmax(0,1fr)] items-baseline gap-x-2'>
              <span className='text-muted'>Attempt {attempt}</span>
              <span className={success ? 'text-ok' : 'text-critical'}>{statusCode ?? 'No response'}</span>
              <span className='text-right text-muted'>{durationMs === null ? '–' : formatDuration(durationMs)}</span>
              <span className='min-w-0 break-words text-muted'>
                <Time at={at} />
                {error !== null && ` · ${error}`}
              </span>
            </li>
          ))}
        </ol>
      )}
    </div>
  )
}
