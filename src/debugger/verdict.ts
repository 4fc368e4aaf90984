import type { Condition, ExplainAnswer } from '../../schemas/debugger.ts'
import { TopicPatterns } from '../foundation/topic-pattern.ts'
import { judge, type Filter, type Judgement } from '../delivery/matching/filter.ts'

export type Outcome = ExplainAnswer['outcome']

/** One condition on the way of an event, and what it means when it does not hold. */
export interface Asked extends Condition {
  cause?: Cause
  /** What the event is to the asker then; `not_delivered` unless it says otherwise. */
  otherwise?: Outcome
}

export interface Verdict { outcome: Outcome, cause: Cause | null, message: string, conditions: Condition[] }

/** The first condition that does not hold decides. */
export function verdictOf (asked: readonly Asked[], delivered: string): Verdict {
  const failing = asked.find(({ holds }) => !holds)
  return {
    outcome: failing === undefined ? 'delivered' : failing.otherwise ?? 'not_delivered',
    cause: failing?.cause ?? null,
    message: failing?.message ?? delivered,
    conditions: asked.map(({ cause, otherwise, ...condition }) => condition)
  }
}

/** Whether a topic, or a pattern, takes in the event's topic: what the delivery asks, too. */
export function askTopic (subscribedTo: string, topic: string): Asked {
  const holds = subscribedTo === topic ||
    (subscribedTo.includes('*') && new TopicPatterns([subscribedTo]).covers(topic))
  return {
    condition: 'topic',
    holds,
    wanted: subscribedTo,
    found: topic,
    cause: 'TOPIC_NOT_MATCHED',
    message: holds ? `${subscribedTo} takes in ${topic}` : `${subscribedTo} does not take in ${topic}`
  }
}

/** Whether patterns that somebody may subscribe to take in the topic. */
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

/** What is said of a filter, and of what follows from it, to somebody who may not read the payload. */
export const hiddenFilter: Asked = {
  condition: 'filter',
  holds: false,
  cause: 'PAYLOAD_HIDDEN',
  otherwise: 'unknown',
  message: 'Whether the filter holds is hidden: it needs the permission to subscribe to the topic'
}

/** Each test of a filter; `isHidden`: for somebody who may not read the payload. */
export function askFilter (filter: Filter | undefined, payload: unknown, isHidden = false): Asked[] {
  if (filter === undefined) { return [{ condition: 'filter', holds: true, message: 'There is no filter: every event matches' }] }
  if (isHidden) return [hiddenFilter]
  return judge(filter, payload).map(({ path, operator, wanted, found, holds }) => ({
    condition: 'filter',
    holds,
    path,
    operator,
    wanted,
    ...(found !== undefined && { found }),
    cause: 'FILTER_NOT_MATCHED',
    message: `The filter ${holds ? 'holds' : 'does not hold'}: ${inWords({ path, operator, wanted, found })}`
  }))
}

const shown = (value: unknown): string => {
  const text = JSON.stringify(value) as string | undefined
  return text === undefined ? 'absent' : text.length > 100 ? `${text.slice(0, 100)}…` : text
}

const inWords = ({ path, operator, wanted, found }: Omit<Judgement, 'holds'>): string =>
  `${path.slice(0, 100)} is ${shown(found)}, and is to be ${operator} ${shown(wanted)}`

/** Why an event did not arrive somewhere: exact and stable; docs/DEBUGGER.md is printed from it. */
export const causes = {
  APPLICATION_DIFFERS: 'The credential is for another application.',
  CATCHING_UP: 'The subscription is on its way to the event: its past is still being delivered.',
  CIRCUIT_OPEN: 'The webhook\'s endpoint has failed so often that it is left alone for a while; the delivery waits.',
  CREDENTIAL_ENDED: 'The socket had been closed before the event, because its credential had ended.',
  CREDENTIAL_INVALID: 'The credential is malformed, unknown, expired or revoked.',
  DELIVERY_DEAD: 'Every attempt to deliver it to the webhook has failed: it can be retried.',
  DELIVERY_PENDING: 'The webhook\'s delivery waits for its first or next attempt.',
  ENVIRONMENT_DIFFERS: 'The event is of another environment.',
  EVENT_REFUSED: 'The event never came to be: it was refused for another reason, or could not be stored.',
  EVENT_TYPE_NOT_LISTED: 'The webhook does not listen to events of this type.',
  FILTER_NOT_MATCHED: 'The filter does not match the payload.',
  LOG_STARTED_ANEW: 'The subscription was for an earlier life of the topic\'s log.',
  NODE_GONE: 'The node that held the socket died before the event; `unknown`: at about its time.',
  NOT_CONNECTED: 'The socket had closed before the event.',
  NOT_KEPT: 'What would tell is kept no longer.',
  NOT_ROUTED: 'Nothing was owed to the webhook: it was made, changed or switched on after the event.',
  NOT_ROUTED_YET: 'The node that holds the socket has not come to the event yet.',
  NOT_SUBSCRIBED: 'Nobody with this credential has subscribed to the topic.',
  NOT_SUBSCRIBED_YET: 'The subscription began after the event.',
  PAYLOAD_HIDDEN:
    'Whether a filter matches is told to whoever may read the topic: it would tell what is in the payload.',
  PERMISSION_DENIED: 'The credential may not subscribe to the topic.',
  RESYNCED: 'The subscription had been given up before the event reached it: the client was told by `resync`.',
  SCHEMA_VIOLATED: 'The event never came to be: its payload does not keep to the schema of its topic.',
  TOPIC_NOT_FOUND: 'The event never came to be: there was no such topic.',
  TOPIC_NOT_MATCHED: 'The subscription, or the webhook, is for other topics.',
  UNSUBSCRIBED: 'The client had unsubscribed before the event.',
  WEBHOOK_INACTIVE: 'The webhook is switched off.'
} as const
export type Cause = keyof typeof causes
