import type { Condition, ExplainAnswer } from '../../schemas/debugger.ts'
import { TopicPatterns } from '../foundation/topic-pattern.ts'
import { judge, type Filter, type Judgement } from '../delivery/matching/filter.ts'

export type Outcome = ExplainAnswer['outcome']

/** One condition for an event to arrive, and the consequence if it does not hold. */
export interface Asked extends Condition {
  cause?: Cause
  /** The outcome when the condition does not hold; `not_delivered` by default. */
  otherwise?: Outcome
}

export interface Verdict { outcome: Outcome, cause: Cause | null, message: string, conditions: Condition[] }

/** Derives the verdict from the first condition that does not hold. */
export function verdictOf (asked: readonly Asked[], delivered: string): Verdict {
  const failing = asked.find(({ holds }) => !holds)
  return {
    outcome: failing === undefined ? 'delivered' : failing.otherwise ?? 'not_delivered',
    cause: failing?.cause ?? null,
    message: failing?.message ?? delivered,
    conditions: asked.map(({ cause, otherwise, ...condition }) => condition)
  }
}

/** Checks whether a topic or pattern covers the event's topic, as delivery does. */
export function askTopic (subscribedTo: string, topic: string): Asked {
  const holds = subscribedTo === topic ||
    (subscribedTo.includes('*') && new TopicPatterns([subscribedTo]).covers(topic))
  return {
    condition: 'topic',
    holds,
    wanted: subscribedTo,
    found: topic,
    cause: 'TOPIC_NOT_MATCHED',
    message: holds ? `${subscribedTo} covers ${topic}` : `${subscribedTo} does not cover ${topic}`
  }
}

/** Checks whether permitted patterns cover the topic. */
export function askPermission (permitted: TopicPatterns, topic: string): Asked {
  const holds = permitted.covers(topic)
  return {
    condition: 'permission',
    holds,
    wanted: `subscribe:${topic}`,
    found: permitted.patterns.map(pattern => `subscribe:${pattern}`),
    cause: 'PERMISSION_DENIED',
    message: holds ? `Subscribing to ${topic} is permitted` : `Subscribing to ${topic} is not permitted`
  }
}

/** Stands in for the conditions of a filter when the principal may not read the payload. */
export const hiddenFilter: Asked = {
  condition: 'filter',
  holds: false,
  cause: 'PAYLOAD_HIDDEN',
  otherwise: 'unknown',
  message: 'Whether the filter matches is hidden: seeing it requires permission to subscribe to the topic'
}

/** Returns each condition of a filter. `isHidden`: the principal may not read the payload. */
export function askFilter (filter: Filter | undefined, payload: unknown, isHidden = false): Asked[] {
  if (filter === undefined) {
    return [{ condition: 'filter', holds: true, message: 'There is no filter, so every event matches' }]
  }
  if (isHidden) return [hiddenFilter]
  return judge(filter, payload).map(({ path, operator, wanted, found, holds }) => ({
    condition: 'filter',
    holds,
    path,
    operator,
    wanted,
    ...(found !== undefined && { found }),
    cause: 'FILTER_NOT_MATCHED',
    message: `The filter ${holds ? 'matches' : 'does not match'}: ${inWords({ path, operator, wanted, found })}`
  }))
}

const shown = (value: unknown): string => {
  const text = JSON.stringify(value) as string | undefined
  return text === undefined ? 'absent' : text.length > 100 ? `${text.slice(0, 100)}…` : text
}

const inWords = ({ path, operator, wanted, found }: Omit<Judgement, 'holds'>): string =>
  `${path.slice(0, 100)} is ${shown(found)}, expected ${operator} ${shown(wanted)}`

/** Why an event did not arrive somewhere. Codes are stable. docs/DEBUGGER.md is generated from this list. */
export const causes = {
  APPLICATION_DIFFERS: 'The credential is for another application.',
  CATCHING_UP: 'The subscription is still catching up and has not reached the event yet.',
  CIRCUIT_OPEN: 'The webhook\'s endpoint failed repeatedly, so the platform pauses it. The delivery waits.',
  CREDENTIAL_ENDED: 'The socket was closed before the event because its credential had ended.',
  CREDENTIAL_INVALID: 'The credential is malformed, unknown, expired or revoked.',
  DELIVERY_DEAD: 'Every attempt to deliver the event to the webhook failed. You can retry the delivery.',
  DELIVERY_PENDING: 'The webhook\'s delivery waits for its first or next attempt.',
  ENVIRONMENT_DIFFERS: 'The event is in another environment.',
  EVENT_REFUSED: 'The event was rejected for another reason, or could not be stored.',
  EVENT_TYPE_NOT_LISTED: 'The webhook does not listen to events of this type.',
  FILTER_NOT_MATCHED: 'The filter does not match the payload.',
  LOG_STARTED_ANEW: 'The subscription belonged to an earlier epoch of the topic\'s log.',
  NODE_GONE: 'The node with the socket died before the event; with outcome `unknown`: at about the same time.',
  NOT_CONNECTED: 'The socket was closed before the event.',
  NOT_KEPT: 'The records that would show it have expired.',
  NOT_ROUTED: 'No delivery was made: the webhook was created, changed or activated after the event.',
  NOT_ROUTED_YET: 'The node with the socket has not processed the event yet.',
  NOT_SUBSCRIBED: 'No subscription to the topic was made with this credential.',
  NOT_SUBSCRIBED_YET: 'The subscription began after the event.',
  PAYLOAD_HIDDEN: 'The result of the filter is hidden, because you may not read the topic.',
  PERMISSION_DENIED: 'The credential may not subscribe to the topic.',
  RESYNCED: 'The subscription ended with `resync` before the event reached it.',
  SCHEMA_VIOLATED: 'The event was rejected: its payload violates the schema of its topic.',
  TOPIC_NOT_FOUND: 'The event was rejected: the topic did not exist.',
  TOPIC_NOT_MATCHED: 'The subscription or webhook is for other topics.',
  UNSUBSCRIBED: 'The client had unsubscribed before the event.',
  WEBHOOK_INACTIVE: 'The webhook is inactive.'
} as const
export type Cause = keyof typeof causes
