import type { Span } from '../delivery/subscriber.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { Cause, Asked } from './verdict.ts'
import { beatEveryMs } from './tracing/node-heartbeat.ts'
import type { SubscriptionState } from './subscription-history.ts'
import type { NodeStep, TracedEvent } from './traced-event.ts'

/** How long after its commit an event may not have reached another node. */
const elsewhereWithinMs = 5000

/**
 * Checks whether a subscription existed when an event was published. For a subscription that lives on this node, or has
 * ended, offsets decide exactly. For one that lives on another node, or died with it, the node's last records decide.
 */
export function askWindow (event: LoggedEvent, traced: TracedEvent | undefined, state: SubscriptionState): Asked[] {
  const span = Object.hasOwn(state.spans, event.topic) ? state.spans[event.topic] : undefined
  const isKnown = state.isHere || (state.endedAt !== null && !state.isNodeGone)
  if (!isKnown) return [askBegan(event, span, state), askElsewhere(event, traced, span, state)]
  if (span === undefined) return [askNeverCame(event, state)]
  return [askBegan(event, span, state), state.endedAt === null ? askReached(event, span) : askEnded(event, span, state)]
}

/** Events during the subscription's span arrived under the permissions of that time. */
export function isInWindow ({ topic, epoch, offset }: LoggedEvent, { spans }: SubscriptionState): boolean {
  const span = Object.hasOwn(spans, topic) ? spans[topic] : undefined
  return span?.epoch === epoch && offset > span.after && offset <= (span.until ?? Infinity)
}

/** For a topic that another node has added to a pattern since its last record, only the time is known. */
function askBegan (event: LoggedEvent, span: Span | undefined, { startedAt }: SubscriptionState): Asked {
  if (span !== undefined && span.epoch !== event.epoch) {
    return {
      condition: 'subscribed',
      holds: false,
      wanted: span.epoch,
      found: event.epoch,
      cause: 'LOG_STARTED_ANEW',
      message: `The subscription was for the log of epoch ${span.epoch}, but the event is in the log of ${event.epoch}`
    }
  }
  return {
    condition: 'subscribed',
    holds: span === undefined ? event.timestamp >= startedAt : event.offset > span.after,
    wanted: span === undefined ? `from ${iso(startedAt)} on` : `above ${span.after}`,
    found: span === undefined ? iso(event.timestamp) : event.offset,
    cause: 'NOT_SUBSCRIBED_YET',
    message: `The subscription began at ${iso(startedAt)}${
      span === undefined ? '' : `, after offset ${span.after}`
    }; the event has offset ${event.offset} and time ${iso(event.timestamp)}`
  }
}

function askReached (event: LoggedEvent, { until = 0 }: Span): Asked {
  const holds = event.offset <= until
  return {
    condition: 'connected',
    holds,
    wanted: event.offset,
    found: until,
    cause: 'CATCHING_UP',
    otherwise: 'pending',
    message: holds
      ? `The subscription is live and has passed offset ${event.offset}`
      : `The subscription is live and has not reached offset ${event.offset} yet`
  }
}

function askEnded (event: LoggedEvent, { until = 0 }: Span, { endedAt, endReason }: SubscriptionState): Asked {
  const holds = event.offset <= until
  return {
    condition: 'connected',
    holds,
    wanted: `up to ${until}`,
    found: event.offset,
    cause: causeOfEnd(endReason ?? ''),
    message: holds
      ? `The subscription received the event; it ended at ${iso(endedAt ?? 0)}: ${endReason}`
      : `The subscription ended at ${iso(endedAt ?? 0)} (${endReason}), before the event of ${
        iso(event.timestamp)
      } reached it`
  }
}

/** Explains a pattern subscription that never had a span for the topic. */
function askNeverCame (event: LoggedEvent, { endedAt, endReason }: SubscriptionState): Asked {
  if (endedAt === null) {
    return {
      condition: 'connected',
      holds: false,
      cause: 'NOT_ROUTED_YET',
      otherwise: 'pending',
      message: `The subscription is live and has not reached ${event.topic} yet`
    }
  }
  return {
    condition: 'connected',
    holds: false,
    wanted: event.topic,
    cause: event.timestamp < endedAt ? 'NOT_SUBSCRIBED_YET' : causeOfEnd(endReason ?? ''),
    message: `The subscription ended at ${
      iso(endedAt)
    } (${endReason}) without reaching ${event.topic}; the event has time ${iso(event.timestamp)}`
  }
}

function askElsewhere (
  event: LoggedEvent, traced: TracedEvent | undefined, span: Span | undefined,
  { id, node, nodeSeenAt, isNodeGone }: SubscriptionState
): Asked {
  const step = traced?.steps.find(step => step.node === node)
  const asked = { condition: 'connected', wanted: event.offset, found: iso(nodeSeenAt) }
  if (span === undefined && step !== undefined && !isAmong(id, step)) {
    return {
      ...asked,
      holds: false,
      cause: 'NOT_SUBSCRIBED_YET',
      message: `The node with the socket had not added ${event.topic} to the subscription yet`
    }
  }
  const isReached = step !== undefined || event.offset <= (span?.until ?? 0) ||
    event.timestamp + elsewhereWithinMs <= nodeSeenAt
  if (isReached) return { ...asked, holds: true, message: `The node with the socket had passed offset ${event.offset}` }
  if (!isNodeGone) {
    return {
      ...asked,
      holds: false,
      cause: 'NOT_ROUTED_YET',
      otherwise: 'pending',
      message: `The node with the socket has not reported offset ${event.offset} yet`
    }
  }
  const isBefore = nodeSeenAt + beatEveryMs < event.timestamp
  return {
    ...asked,
    holds: false,
    cause: 'NODE_GONE',
    otherwise: isBefore ? 'not_delivered' : 'unknown',
    message: `The node with the socket died; it last reported at ${iso(nodeSeenAt)}, and the event has time ${
      iso(event.timestamp)
    }`
  }
}

/** Whether a node may have counted the subscription: it names only the first ones. */
const isAmong = (id: string, { matched, filtered, matchedIds, filteredIds }: NodeStep): boolean =>
  matched > matchedIds.length || filtered > filteredIds.length || matchedIds.includes(id) || filteredIds.includes(id)

const iso = (time: number): string => new Date(time).toISOString()

function causeOfEnd (reason: string): Cause {
  switch (reason) {
    case 'UNSUBSCRIBED': return 'UNSUBSCRIBED'
    case 'SLOW_CONSUMER':
    case 'RETENTION_PASSED':
    case 'PATTERN_TOO_WIDE':
    case 'DATABASE_UNAVAILABLE': return 'RESYNCED'
    case 'PERMISSION_DENIED': return 'PERMISSION_DENIED'
    default: return reason.includes('CREDENTIAL_') ? 'CREDENTIAL_ENDED' : 'NOT_CONNECTED'
  }
}
