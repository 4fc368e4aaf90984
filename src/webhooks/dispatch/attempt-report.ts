import { bucketOf } from '../../foundation/observability/latency-buckets.ts'
import type { LiveStats } from '../../foundation/observability/live-stats.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import { isCounted, type EndedAttempt } from './attempt-result.ts'
import { deliveryId } from './endpoint-worker.ts'
import type { Result } from './queue.ts'

export interface AttemptReportOptions {
  metrics: Metrics
  liveStats: LiveStats
  log: {
    debug (fields: object, message: string): void
    warn (fields: object, message: string): void
    error (fields: object, message: string): void
  }
}

/** Returns the function that reports an ended attempt to the operator, in metrics and log lines. */
export function createAttemptReport ({ metrics, liveStats, log }: AttemptReportOptions) {
  function measure (ended: EndedAttempt, result: Result): void {
    const { claimed, attempt, now } = ended
    const { state } = result
    metrics.webhookDeliveries.inc({
      status: !isCounted(ended) ? 'interrupted' : state === 'pending' ? 'failed' : state
    })
    metrics.webhookAttemptDuration.observe(attempt.durationMs / 1000)
    if (claimed.attempts > 1) metrics.webhookRetries.inc()
    const latencyMs = Math.max(0, now - claimed.created_at)
    if (state === 'delivered') metrics.webhookLatency.observe(latencyMs / 1000)
    if (!isCounted(ended)) return
    const stats = liveStats.webhook(result.event.scope, claimed.webhook_id)
    if (!attempt.success) stats.failed++
    else {
      stats.succeeded++
      stats.latency.add(bucketOf(latencyMs), 1)
    }
  }

  return function report (ended: EndedAttempt, result: Result): void {
    const { claimed: { lane }, void: void_ } = ended
    measure(ended, result)
    const line = lineOf(ended, result)
    log.debug(line, 'delivery.attempted')
    if (result.state === 'dead') {
      log.warn({ ...line, ...(lane !== null && { key: lane, next: 'the next delivery of its key follows' }) },
        'delivery.dead')
    }
    if (void_ === 'expired') log.error(line, 'delivery.event_expired')
    if (void_ === 'not_permitted') log.warn(line, 'delivery.not_permitted')
  }
}

function lineOf ({ claimed, attempt }: EndedAttempt, { state }: Result) {
  return {
    deliveryId: deliveryId(claimed.id),
    webhookId: claimed.webhook_id,
    eventId: claimed.event_id,
    applicationId: claimed.application_id,
    attempt: claimed.attempts,
    status: attempt.statusCode,
    state,
    error: attempt.error,
    durationMs: attempt.durationMs
  }
}
