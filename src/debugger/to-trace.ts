import type { Trace, WebhookDeliveryTrace } from '../../schemas/debugger.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import { at } from './tracing/detail.ts'
import type { TracedEvent, WebhookCounts } from './traced-event.ts'

export interface TraceParts {
  deliveries: WebhookDeliveryTrace[]
  counts: WebhookCounts
  /** The event, while the log contains it. */
  event: LoggedEvent | undefined
  /** Whether the principal may see the payload. */
  isSeen: boolean
}

/** Combines everything that is known about an event. */
export function toTrace (traced: TracedEvent, { deliveries, counts, event, isSeen }: TraceParts): Trace {
  const { stored, index, steps } = traced
  const { run, refusal, createdAt } = stored
  const waitedMs = run === undefined ? refusal?.waitedMs ?? 0 : at(run.waitedMs, index)
  // The events' timestamp may be ahead of the clock (ADR 13), and the clocks of other nodes behind this one's.
  const startedAt = createdAt - (run?.aheadMs ?? 0)
  const timeOf = (ms: number) => Math.max(startedAt, Math.round(createdAt + ms))
  const shown = isSeen ? steps : []
  const version = traced.schemaVersion
  const isViolation = refusal?.error.code === 'SCHEMA_VIOLATED'
  return {
    ...traced.toSummary(counts, isSeen),
    received: { at: startedAt - waitedMs, waitedMs },
    schema: version === null
      ? null
      : {
          at: startedAt + (run?.checkedMs ?? 0),
          version,
          valid: !isViolation,
          errors: isViolation && isSeen ? refusal.error.details ?? [] : []
        },
    stored: run === undefined || traced.offset === null
      ? null
      : {
          at: startedAt + run.storedMs, offset: traced.offset, epoch: run.epoch, node: stored.node, batch: run.count
        },
    // Together with known filters, the recipients would reveal something about the payload.
    routed: shown.map(({ node, routedMs, matched, filtered, matchedIds, filteredIds }) => ({
      node,
      at: timeOf(routedMs),
      matched,
      filtered,
      subscriptions: [
        ...matchedIds.map(subscriptionId => ({ subscriptionId, matched: true })),
        ...filteredIds.map(subscriptionId => ({ subscriptionId, matched: false }))
      ]
    })),
    deliveries: shown.filter(({ matched }) => matched > 0).map(({ node, matched, lost, firstMs, lastMs }) => ({
      node,
      delivered: matched - lost,
      givenUp: lost,
      firstAt: firstMs === null ? null : timeOf(firstMs),
      lastAt: lastMs === null ? null : timeOf(lastMs),
      firstLatencyMs: firstMs === null ? null : Math.max(0, firstMs),
      lastLatencyMs: lastMs === null ? null : Math.max(0, lastMs)
    })),
    webhookDeliveries: isSeen ? deliveries : [],
    payload: payloadOf(traced, event, isSeen),
    ...(isSeen && event !== undefined && { event: event.toEvent() }),
    ...(isSeen && refusal?.payload !== undefined &&
      { refusedPayload: refusal.payload, refusedPayloadBytes: refusal.payloadBytes ?? 0 }),
    ...(isSeen && refusal?.origin !== undefined && { origin: refusal.origin })
  }
}

function payloadOf ({ stored }: TracedEvent, event: LoggedEvent | undefined, isSeen: boolean): Trace['payload'] {
  if (!isSeen) return 'not_permitted'
  if (stored.refusal !== undefined) return stored.refusal.payload === undefined ? 'not_kept' : 'shown'
  return event === undefined ? 'not_retained' : 'shown'
}
