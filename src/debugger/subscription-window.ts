import type { Span } from '../delivery/subscriber.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { Cause, Asked } from './verdict.ts'
import { beatEveryMs } from './tracing/nodes.ts'
import type { SubscriptionState } from './subscription-history.ts'
import type { NodeStep, TracedEvent } from './traced-event.ts'

/** How long after its commit another node may not have heard of an event. */
const elsewhereWithinMs = 5000

/**
 * Whether a subscription was there for an event. Of one that lives here, or has ended, it is known by offsets, which
 * leave no doubt; of one that lives on another node, or died with it, by what that node had written down.
 */
export function askPresence (event: LoggedEvent, traced: TracedEvent | undefined, state: SubscriptionState): Asked[] {
  const span = Object.hasOwn(state.spans, event.topic) ? state.spans[event.topic] : undefined
  const isKnown = state.isHere || (state.endedAt !== null && !state.isNodeGone)
  if (!isKnown) return [askBegan(event, span, state), askElsewhere(event, traced, span, state)]
  if (span === undefined) return [askNeverCame(event, state)]
  return [askBegan(event, span, state), state.endedAt === null ? askReached(event, span) : askEnded(event, span, state)]
}

/** What came while it was there did so with whatever permission there was then. */
export function wasThereFor ({ topic, epoch, offset }: LoggedEvent, { spans }: SubscriptionState): boolean {
  const span = Object.hasOwn(spans, topic) ? spans[topic] : undefined
  return span?.epoch === epoch && offset > span.after && offset <= (span.until ?? Infinity)
}

/** Of a topic that another node has taken in since it last wrote of the pattern, only the time is known. */
function askBegan (event: LoggedEvent, span: Span | undefined, { startedAt }: SubscriptionState): Asked {
  if (span !== undefined && span.epoch !== event.epoch) {
    return {
      condition: 'subscribed',
      holds: false,
      wanted: span.epoch,
      found: event.epoch,
      cause: 'LOG_STARTED_ANEW',
      message: `The subscription was for the log of epoch ${span.epoch}, the event is of ${event.epoch}`
    }
  }
  return {
    condition: 'subscribed',
    holds: span === undefined ? event.timestamp >= startedAt : event.offset > span.after,
    wanted: span === undefined ? `from ${iso(startedAt)} on` : `above ${span.after}`,
    found: span === undefined ? iso(event.timestamp) : event.offset,
    cause: 'NOT_SUBSCRIBED_YET',
    message: `The subscription began at ${iso(startedAt)}${
      span === undefined ? '' : `, above offset ${span.after}`
    }; the event has offset ${event.offset}, of ${iso(event.timestamp)}`
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
    message: `The subscription is live, and ${holds ? 'past' : 'on its way to'} offset ${event.offset}`
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
      ? `The subscription was there for it; it ended at ${iso(endedAt ?? 0)}: ${endReason}`
      : `The subscription ended at ${iso(endedAt ?? 0)} (${endReason}), before the event of ${
        iso(event.timestamp)
      } reached it`
  }
}

/** A pattern that had nothing to do with the topic. */
function askNeverCame (event: LoggedEvent, { endedAt, endReason }: SubscriptionState): Asked {
  if (endedAt === null) {
    return {
      condition: 'connected',
      holds: false,
      cause: 'NOT_ROUTED_YET',
      otherwise: 'pending',
      message: `The subscription is live, and has not come to ${event.topic} yet`
    }
  }
  return {
    condition: 'connected',
    holds: false,
    wanted: event.topic,
    cause: event.timestamp < endedAt ? 'NOT_SUBSCRIBED_YET' : causeOfEnd(endReason ?? ''),
    message: `The subscription ended at ${
      iso(endedAt)
    } (${endReason}) without having come to ${event.topic}; the event is of ${iso(event.timestamp)}`
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
      message: `The node that holds the socket had not come to ${event.topic} with it`
    }
  }
  const isReached = step !== undefined || event.offset <= (span?.until ?? 0) ||
    event.timestamp + elsewhereWithinMs <= nodeSeenAt
  if (isReached) { return { ...asked, holds: true, message: `The node that held the socket was past offset ${event.offset}` } }
  if (!isNodeGone) {
    return {
      ...asked,
      holds: false,
      cause: 'NOT_ROUTED_YET',
      otherwise: 'pending',
      message: `The node that holds the socket has not told yet of offset ${event.offset}`
    }
  }
  const isBefore = nodeSeenAt + beatEveryMs < event.timestamp
  return {
    ...asked,
    holds: false,
    cause: 'NODE_GONE',
    otherwise: isBefore ? 'not_delivered' : 'unknown',
    message: `The node that held the socket was last heard of at ${iso(nodeSeenAt)}, and died; the event is of ${
      iso(event.timestamp)
    }`
  }
}

/** Whether a subscription may be among those that a node has counted: it has named only the first. */
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
