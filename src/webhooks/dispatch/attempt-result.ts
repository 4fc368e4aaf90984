import type { WebhookSettings } from '../../config/webhook-settings.ts'
import type { Ended } from './endpoint-worker.ts'
import type { Result } from './queue.ts'
import type { RetrySchedule } from './retry-schedule.ts'

/** An ended attempt, and the circumstances in which it ended. */
export interface EndedAttempt extends Ended {
  /** When it ended. */
  now: number
  /** Whether the webhook has had a new URL since the attempt began. */
  isReplaced: boolean
  /** Whether the shutdown of this server interrupted the request. */
  isBrokenOff: boolean
}

/** Returns whether an attempt counts: one that the server interrupted or could not start is no failure. */
export const isCounted = ({ isBrokenOff, isUndecided }: EndedAttempt): boolean => !isBrokenOff && !isUndecided

/** Returns the function that decides how a delivery continues after an attempt: delivered, due again, or given up. */
export function createAttemptResult (schedule: RetrySchedule, settings: WebhookSettings) {
  function outcomeOf (ended: EndedAttempt): Pick<Result, 'state' | 'nextAt' | 'failures'> {
    const { claimed, attempt, void: void_, now, isBrokenOff } = ended
    const { failures } = claimed
    if (!isCounted(ended)) return { state: 'pending', nextAt: isBrokenOff ? now : now + settings.pollMs, failures }
    if (attempt.success) return { state: 'delivered', nextAt: now, failures }
    const waitMs = void_ === undefined ? schedule.delayMs(failures + 1) : undefined
    return waitMs === undefined
      ? { state: 'dead', nextAt: now, failures: failures + 1 }
      : { state: 'pending', nextAt: Math.max(now + waitMs, notBefore(ended)), failures: failures + 1 }
  }

  /**
   * A 410 deactivates the webhook, which gives up this delivery. If the URL was replaced meanwhile, the new endpoint
   * receives it.
   */
  function notBefore ({ attempt, now, isReplaced }: EndedAttempt): number {
    return now + (attempt.statusCode === 410 && !isReplaced ? settings.timeoutMs : attempt.retryAfterMs ?? 0)
  }

  return function resultOf (ended: EndedAttempt): Result {
    const { claimed, attempt, url } = ended
    const outcome = outcomeOf(ended)
    return {
      seq: claimed.seq,
      fence: claimed.fence,
      webhookId: claimed.webhook_id,
      isLaned: claimed.lane !== null,
      event: {
        scope: { applicationId: claimed.application_id, environment: claimed.environment },
        id: claimed.event_id,
        timestamp: claimed.event_at
      },
      ...outcome,
      success: attempt.success,
      statusCode: attempt.statusCode,
      error: errorOf(ended, outcome.state),
      responseBody: attempt.responseBody,
      responseHeaders: attempt.responseHeaders ?? null,
      sentAt: attempt.sentAt ?? null,
      durationMs: attempt.durationMs,
      url
    }
  }
}

/** Returns the error to record. The last one of a delivery also explains that it was given up. */
function errorOf ({ claimed, attempt, isBrokenOff }: EndedAttempt, state: Result['state']): string | null {
  if (isBrokenOff) return 'Interrupted: the server was shutting down'
  if (state !== 'dead' || attempt.error === null) return attempt.error
  const next = claimed.lane === null ? '' : '. The next delivery of its key follows'
  return `${attempt.error}; given up after ${claimed.failures + 1} failures${next}`
}
