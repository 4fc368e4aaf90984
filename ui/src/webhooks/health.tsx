import { useGet } from '../app/queries.ts'
import { Badge } from '../components/badge.tsx'
import { formatShare } from '../components/number.ts'
import { Time } from '../components/time.tsx'
import { healthOf, type Webhook } from './status.ts'

export function HealthBadge ({ webhook }: { webhook: Webhook }) {
  const { tone, word, explanation } = healthOf(webhook)
  return (
    <Badge tone={tone} title={explanation}>
      {word}
    </Badge>
  )
}

/** The health in a sentence, with the time since which it lasts. */
export function HealthLine ({ webhook }: { webhook: Webhook }) {
  const { explanation } = healthOf(webhook)
  return (
    <span className='text-muted'>
      {explanation}
      {webhook.active && webhook.failingSince !== null && (
        <>
          {' '}
          First failure: <Time at={webhook.failingSince} isExact />.
        </>
      )}
      {webhook.pausedUntil !== undefined && (
        <>
          {' '}
          Next request: <Time at={webhook.pausedUntil} isExact />
        </>
      )}
    </span>
  )
}

const sum = (points: readonly (readonly (number | null)[])[] | undefined): number =>
  (points ?? []).reduce((total, [, value]) => total + (value ?? 0), 0)

export interface Counts {
  succeeded: number
  failed: number
}

/** Counts the requests of a webhook in a range that ends at a whole minute. */
export function useCounts (webhookId: string, from: number, to: number): Counts | undefined {
  const query = { webhookId, from, to }
  const succeeded = useGet(
    '/api/metrics/series',
    { query: { ...query, metric: 'deliveries' } },
    { staleTime: 60_000 }
  )
  const failed = useGet(
    '/api/metrics/series',
    { query: { ...query, metric: 'deliveryFailures' } },
    { staleTime: 60_000 }
  )
  if (succeeded.data === undefined || failed.data === undefined) return undefined
  return { succeeded: sum(succeeded.data.points), failed: sum(failed.data.points) }
}

export const shareOf = ({ succeeded, failed }: Counts): string | undefined =>
  succeeded + failed === 0 ? undefined : formatShare(succeeded / (succeeded + failed))

/** The share of requests that succeeded in the last 24 hours, and their number. */
export function SuccessRate ({ webhookId }: { webhookId: string }) {
  const to = Math.floor(Date.now() / 60_000) * 60_000
  const counts = useCounts(webhookId, to - 86_400_000, to)
  const share = counts === undefined ? undefined : shareOf(counts)
  if (counts === undefined || share === undefined) return <span className='text-muted'>–</span>
  const total = counts.succeeded + counts.failed
  const isLow = counts.succeeded / total < 0.95
  return (
    <span className={isLow ? 'text-critical' : ''} title={`${counts.failed} of ${total} requests failed`}>
      {share}
    </span>
  )
}
