import { Link } from '@tanstack/react-router'
import { RotateCw } from 'lucide-react'
import { useAction } from '../app/actions.ts'
import { useMay } from '../app/me.ts'
import { useGet } from '../app/queries.ts'
import { scopePath, usePageScope } from '../app/scope.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { Code, CodeBlock, CopyButton } from '../components/code.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { DetailPanel } from '../components/detail-panel.tsx'
import { Properties } from '../components/properties.tsx'
import { Loaded, Skeleton } from '../components/states.tsx'
import { Time } from '../components/time.tsx'
import { AttemptList } from './attempt-list.tsx'
import { Headers } from './headers.tsx'
import { shortUrl, stateTones, type DeliveryDetails, type Webhook } from './status.ts'
import { VerifySnippets } from './verify-snippets.tsx'

/** A delivery: its request, every attempt with its answer, and the next try. */
export function DeliveryPanel ({
  id,
  webhooks,
  onClose
}: {
  id: string
  webhooks: ReadonlyMap<string, Webhook>
  onClose: () => void
}) {
  const query = useGet('/api/webhooks/deliveries/{id}/details', { path: { id } }, { refetchInterval: 3000 })
  return (
    <DetailPanel
      title='Delivery'
      onClose={onClose}
      actions={
        <RetryButton id={id} isPending={query.data?.state === 'pending'} />
      }
    >
      <Loaded query={query} skeleton={<Skeleton lines={12} />}>
        {delivery => <DeliveryFacts delivery={delivery} webhook={webhooks.get(delivery.webhookId)} />}
      </Loaded>
    </DetailPanel>
  )
}

function RetryButton ({ id, isPending }: { id: string; isPending: boolean }) {
  const may = useMay()
  const retry = useAction(api => api.POST('/api/webhooks/deliveries/{id}/retry', { params: { path: { id } } }), {
    invalidates: ['/api/webhooks'],
    done: 'Delivery is due now'
  })
  if (!may('webhooks:update')) {
    return <CopyAs request={{ method: 'GET', path: '/api/webhooks/deliveries/{id}/details', params: { id } }} />
  }
  return (
    <>
      <CopyAs request={{ method: 'POST', path: '/api/webhooks/deliveries/{id}/retry', params: { id } }} />
      <Button
        icon={<RotateCw size={14} aria-hidden />}
        isBusy={retry.isPending}
        title={isPending ? 'Tries now instead of at the next time of the schedule' : 'Sends the event again'}
        onClick={() => retry.mutate(undefined)}
      >
        Retry now
      </Button>
    </>
  )
}

function DeliveryFacts ({ delivery, webhook }: { delivery: DeliveryDetails; webhook: Webhook | undefined }) {
  const scope = usePageScope()
  const { request, log, state, eventId } = delivery
  const params = { ...scope, environment: delivery.environment }
  return (
    <div className='grid grid-cols-1 gap-5'>
      <div className='flex flex-wrap items-center gap-x-3 gap-y-1'>
        <Badge tone={stateTones[state]}>{state}</Badge>
        {state === 'pending' && <NextTry delivery={delivery} webhook={webhook} />}
        {state === 'dead' && <span>Given up. It is sent again when you retry or redrive it.</span>}
        {state === 'delivered' && (
          <span>
            Accepted <Time at={delivery.settledAt} />
          </span>
        )}
      </div>
      <Properties
        items={[
          [
            'Endpoint',
            <Link
              to={`${scopePath}/webhooks/$id`}
              params={{ ...scope, id: delivery.webhookId }}
              className='text-accent hover:underline'
            >
              {shortUrl(webhook?.url ?? request.url)}
            </Link>
          ],
          [
            'Event',
            <span className='flex flex-wrap gap-x-3'>
              <Link
                to={`${scopePath}/debugger/traces/$eventId`}
                params={{ ...params, eventId }}
                className='text-accent hover:underline'
              >
                {delivery.topic} #{delivery.offset}
              </Link>
              <Link
                to={`${scopePath}/debugger/explain`}
                params={params}
                search={{ eventId, webhookId: delivery.webhookId }}
                className='text-accent hover:underline'
              >
                Explain
              </Link>
            </span>
          ],
          ['Event ID', <Code isCopyable>{eventId}</Code>],
          ['Delivery ID', <Code isCopyable>{delivery.id}</Code>],
          delivery.key !== null && ['Key', <Code isCopyable>{delivery.key}</Code>],
          ['Environment', delivery.environment],
          delivery.replayOf !== null && [
            'Replay',
            <Link
              to={`${scopePath}/debugger/replays/$id`}
              params={{ ...params, id: delivery.replayOf }}
              className='text-accent hover:underline'
            >
              {delivery.replayOf}
            </Link>
          ],
          ['Created', <Time at={delivery.createdAt} />]
        ]}
      />
      <section className='grid grid-cols-1 gap-2'>
        <h3 className='font-semibold'>Attempts ({delivery.attempts})</h3>
        <AttemptList log={log} />
        {delivery.attempts > log.length && (
          <p className='text-muted'>Earlier attempts are no longer kept, or an attempt is in progress.</p>
        )}
      </section>
      <section className='grid grid-cols-1 gap-2'>
        <h3 className='font-semibold'>Request</h3>
        <p className='flex items-center gap-1 font-mono text-xs break-all'>
          POST {request.url}
          <CopyButton text={request.url} label='Copy the URL' />
        </p>
        <Headers headers={request.headers} label='Request headers' />
        {request.body === null
          ? (
            <p className='text-muted'>The event is no longer stored, so its body cannot be shown.</p>
            )
          : (
            <CodeBlock label='Signed body, byte for byte' text={request.body} className='[&_pre]:break-all [&_pre]:whitespace-pre-wrap' />
            )}
        <details>
          <summary className='text-accent'>Verify the signature</summary>
          <div className='mt-2 grid gap-2'>
            <p className='text-muted'>
              The signature is HMAC-SHA256 over webhook-id, webhook-timestamp and body, joined by dots.
            </p>
            <VerifySnippets />
          </div>
        </details>
      </section>
    </div>
  )
}

/** When the next attempt is made, or why it waits although it is due. */
function NextTry ({ delivery, webhook }: { delivery: DeliveryDetails; webhook: Webhook | undefined }) {
  const { nextAttemptAt } = delivery
  if (webhook?.active === false) return <span>Waits until the webhook is enabled.</span>
  if (webhook?.pausedUntil !== undefined) {
    return (
      <span>
        Waits: the endpoint fails and is paused until <Time at={webhook.pausedUntil} isExact />
      </span>
    )
  }
  if (nextAttemptAt === null || nextAttemptAt <= Date.now()) return <span>Due now</span>
  return (
    <span>
      Next try <Time at={nextAttemptAt} />
    </span>
  )
}
