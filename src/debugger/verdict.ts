import type { Condition, ExplainAnswer } from '../../schemas/debugger.ts'
import { TopicPatterns } from '../foundation/topic-pattern.ts'
import { judge, type Filter, type Judgement } from '../delivery/matching/filter.ts'
import type { Cause } from './causes.ts'

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
  const holds = subscribedTo === topic || (subscribedTo.includes('*') && new TopicPatterns([subscribedTo]).covers(topic))
  return {
    condition: 'topic', holds, wanted: subscribedTo, found: topic, cause: 'TOPIC_NOT_MATCHED', message: holds ? `${subscribedTo} takes in ${topic}` : `${subscribedTo} does not take in ${topic}`
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
  condition: 'filter', holds: false, cause: 'PAYLOAD_HIDDEN', otherwise: 'unknown', message: 'Whether the filter holds is hidden: it needs the permission to subscribe to the topic'
}

/** Each test of a filter; `isHidden`: for somebody who may not read the payload. */
export function askFilter (filter: Filter | undefined, payload: unknown, isHidden = false): Asked[] {
  if (filter === undefined) return [{ condition: 'filter', holds: true, message: 'There is no filter: every event matches' }]
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
