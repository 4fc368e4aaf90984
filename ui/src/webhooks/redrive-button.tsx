import { RotateCcw } from 'lucide-react'
import { useQuery } from '@tanstack/react-query'
import { unwrap } from '@realtime-platform/client/admin'
import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { apiFor, scopeKey } from '../app/api.ts'
import { useMay } from '../app/me.ts'
import { usePageScope } from '../app/scope.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { ConfirmDialog } from '../components/dialog.tsx'
import { formatCount } from '../components/number.ts'
import type { Delivery, StatusClass } from './status.ts'

export interface DeliveryFilter {
  state: Delivery['state'] | undefined
  statusClass: StatusClass | undefined
  topic: string | undefined
  webhookId: string | undefined
  eventId: string | undefined
  environment: Delivery['environment'] | undefined
  from: number | undefined
  to: number | undefined
}

const words = (count: number): string => `${formatCount(count)} ${count === 1 ? 'delivery' : 'deliveries'}`

/** Redrives the dead deliveries that match the filter of the list. The server counts them first. */
export function RedriveButton ({ query: { state, ...filter } }: { query: DeliveryFilter }) {
  const may = useMay()
  const scope = usePageScope()
  const [isAsking, setAsking] = useState(false)
  // Only dead deliveries can be redriven.
  const isPossible = may('webhooks:update') && (state === undefined || state === 'dead')
  const count = useQuery({
    queryKey: ['/api/webhooks/redrive', scopeKey(scope), filter],
    queryFn: ({ signal }) =>
      unwrap(apiFor(scope).POST('/api/webhooks/redrive', { body: { ...filter, dryRun: true }, signal })),
    enabled: isPossible,
    refetchInterval: 10_000
  })
  const redrive = useAction(api => api.POST('/api/webhooks/redrive', { body: filter }), {
    invalidates: ['/api/webhooks'],
    done: ({ redriven }) => `${words(redriven)} pending again`,
    onDone: () => setAsking(false)
  })
  const matched = count.data?.matched ?? 0
  if (!isPossible) return null
  return (
    <>
      <Button
        icon={<RotateCcw size={14} aria-hidden />}
        disabled={matched === 0}
        title={matched === 0 ? 'No dead delivery of an active webhook matches the filter' : ''}
        onClick={() => setAsking(true)}
      >
        {matched === 0 ? 'Redrive' : `Redrive ${words(matched)}`}
      </Button>
      <ConfirmDialog
        title={`Redrive ${words(matched)}`}
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        onConfirm={() => redrive.mutate(undefined)}
        verb={`Redrive ${words(matched)}`}
        name='redrive'
        isBusy={redrive.isPending}
      >
        <p>
          The server counts {words(matched)} of active webhooks that are dead and match:{' '}
          <strong className='text-text'>{inWords(filter)}</strong>. Each is sent again with a new schedule of retries
          and its webhook-id.
        </p>
        <div className='mt-2 flex items-center gap-1'>
          <CopyAs request={{ method: 'POST', path: '/api/webhooks/redrive', body: filter }} />
          Copy the request
        </div>
      </ConfirmDialog>
    </>
  )
}

function inWords ({ statusClass, topic, webhookId, eventId, environment, from, to }: Omit<DeliveryFilter, 'state'>) {
  const parts = [
    environment === undefined ? 'all environments' : environment,
    topic !== undefined && `topic ${topic}`,
    statusClass !== undefined && (statusClass === 'none' ? 'no response' : `answer ${statusClass}`),
    webhookId !== undefined && `webhook ${webhookId}`,
    eventId !== undefined && `event ${eventId}`,
    from !== undefined && `since ${new Date(from).toISOString()}`,
    to !== undefined && `before ${new Date(to).toISOString()}`
  ]
  return parts.filter(part => part !== false).join(', ')
}
