import { Check, CircleAlert, CircleDashed, Clock } from 'lucide-react'
import type { TraceSummary } from './statuses.ts'

/** Shows in a few words, with an icon, who got an event. Empty until it is known. */
export function StatusCell ({ trace }: { trace: TraceSummary | null | undefined }) {
  if (trace === undefined) return null
  if (trace === null) {
    return (
      <span className='text-muted' title='The event was not sampled, or its trace is no longer kept'>
        no trace
      </span>
    )
  }
  const { Icon, colour, text } = statusOf(trace)
  return (
    <span className={`inline-flex items-center gap-1 ${colour}`}>
      <Icon size={12} aria-hidden />
      {text}
    </span>
  )
}

export function statusOf ({ status, matched, delivered, webhooks, error }: TraceSummary) {
  const dead = webhooks?.dead ?? 0
  if (dead > 0) {
    return { Icon: CircleAlert, colour: 'text-critical', text: `${dead} webhook${dead === 1 ? '' : 's'} failed` }
  }
  const done = (delivered ?? 0) + (webhooks?.delivered ?? 0)
  const all = (matched ?? 0) + (webhooks === null ? 0 : webhooks.pending + webhooks.delivered + dead)
  switch (status) {
    case 'delivered': {
      const text = matched === null ? 'delivered' : `delivered ${done}/${all}`
      // Webhooks may still be retrying.
      if ((webhooks?.pending ?? 0) > 0) return { Icon: Clock, colour: 'text-warning', text }
      return { Icon: Check, colour: 'text-ok', text }
    }
    case 'pending':
      return { Icon: Clock, colour: 'text-warning', text: `pending ${done}/${all}` }
    case 'failed':
    case 'rejected':
      return { Icon: CircleAlert, colour: 'text-critical', text: error?.code ?? status }
    case 'no_subscribers':
      return { Icon: CircleDashed, colour: 'text-muted', text: 'no subscribers' }
    default:
      return { Icon: Check, colour: 'text-muted', text: 'stored' }
  }
}
