import type { Trace, WebhookDeliveryTrace } from '../../schemas/debugger.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { Asker } from './asker.ts'
import { at } from './detail.ts'
import type { TracedEvent, WebhookCounts } from './traced-event.ts'

export interface TraceParts {
  deliveries: WebhookDeliveryTrace[]
  counts: WebhookCounts
  /** While the log has it. */
  event: LoggedEvent | undefined
  maySee: Asker['maySee']
}

/** The whole life of an event, as far as it is known. */
export function toTrace (traced: TracedEvent, { deliveries, counts, event, maySee }: TraceParts): Trace {
  const { stored, index, steps } = traced
  const { run, refusal, createdAt } = stored
  const waitedMs = run === undefined ? refusal?.waitedMs ?? 0 : at(run.waitedMs, index)
  const isSeen = maySee(stored.topic)
  const version = traced.schemaVersion
  const isViolation = refusal?.error.code === 'SCHEMA_VIOLATED'
  return {
    ...traced.toSummary(counts, maySee),
    received: { at: createdAt - waitedMs, waitedMs },
    schema: version === null
      ? null
      : {
          at: createdAt + (run?.checkedMs ?? 0), version, valid: !isViolation, errors: isViolation && isSeen ? refusal.error.details ?? [] : []
        },
    stored: run === undefined || traced.offset === null ? null : { at: createdAt + run.storedMs, offset: traced.offset, epoch: run.epoch, node: stored.node },
    routed: steps.map(({ node, routedMs, matched, filtered, matchedIds, filteredIds }) => ({
      node,
      at: Math.round(createdAt + routedMs),
      matched,
      filtered,
      // With a filter that is known from elsewhere, who matched would tell what is in the payload.
      subscriptions: !isSeen
        ? []
        : [
            ...matchedIds.map(subscriptionId => ({ subscriptionId, matched: true })), ...filteredIds.map(subscriptionId => ({ subscriptionId, matched: false }))
          ]
    })),
    deliveries: steps.filter(({ matched }) => matched > 0).map(({ node, matched, lost, firstMs, lastMs }) => ({
      node,
      delivered: matched - lost,
      givenUp: lost,
      firstAt: firstMs === null ? null : Math.round(createdAt + firstMs),
      lastAt: lastMs === null ? null : Math.round(createdAt + lastMs),
      firstLatencyMs: firstMs,
      lastLatencyMs: lastMs
    })),
    webhookDeliveries: deliveries,
    payload: payloadOf(traced, event, isSeen),
    ...(isSeen && event !== undefined && { event: event.toEvent() }),
    ...(isSeen && refusal?.payload !== undefined && { refusedPayload: refusal.payload, refusedPayloadBytes: refusal.payloadBytes ?? 0 }),
    ...(isSeen && refusal?.origin !== undefined && { origin: refusal.origin })
  }
}

function payloadOf ({ stored }: TracedEvent, event: LoggedEvent | undefined, isSeen: boolean): Trace['payload'] {
  if (!isSeen) return 'not_permitted'
  if (stored.refusal !== undefined) return stored.refusal.payload === undefined ? 'not_kept' : 'shown'
  return event === undefined ? 'not_retained' : 'shown'
}
