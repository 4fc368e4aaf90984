import type { EventType } from '../../../schemas/events.ts'
import { environments as allEnvironments, type Environment } from '../../../schemas/scope.ts'
import { authorize, authorizeTopic, isAllowed, permissionsAt, type Place } from './permissions.ts'
import type { PermissionSet } from './permission-set.ts'
import type { Principal } from './principal.ts'
import { TopicPatterns } from '../../foundation/topic-pattern.ts'

/*
 * Decides who may read an event. Every part of the platform that returns events or facts about them uses these checks.
 * Events are read by topic; a document's channel, and the events about that channel, also require `documents:read`.
 */

/** The part of an event that decides who may read it. */
export interface EventFact { readonly topic: string, readonly key: string | null }

export const documentPrefix = 'doc:'
/** Topics of events about channels. The key is the channel's name. */
export const channelTopics: ReadonlySet<string> = new Set(['presence.updated', 'socket.message'])

/** Returns whether the channel belongs to a document. */
export const isDocumentChannel = (name: string): boolean => name.startsWith(documentPrefix)

/** Returns whether the event is about the channel of a document. Called for every delivery, so it must stay cheap. */
export const isOfDocumentChannel = ({ topic, key }: EventFact): boolean =>
  key !== null && key.startsWith(documentPrefix) && channelTopics.has(topic)

/** Returns whether the permissions include reading the event. */
export const coversEvent = (held: PermissionSet, event: EventFact): boolean =>
  held.subscribe.covers(event.topic) && (!isOfDocumentChannel(event) || held.allows('documents:read'))

export const mayReadEvent = (principal: Principal, place: Place, event: EventFact): boolean =>
  coversEvent(permissionsAt(principal, place), event)

/** Returns whether the principal may read every event of the topic, with any key. */
export const mayReadTopic = (principal: Principal, place: Place, topic: string): boolean =>
  mayReadEvent(principal, place, { topic, key: documentPrefix })

/** Returns whether the principal may read every event of every topic that the pattern matches. */
export const mayReadPattern = (principal: Principal, place: Place, pattern: string): boolean =>
  mayReadTopic(principal, place, pattern) && (!includesChannels(pattern) || mayReadDocuments(principal, place))

const includesChannels = (pattern: string): boolean => {
  const matching = new TopicPatterns([pattern])
  return [...channelTopics].some(topic => matching.covers(topic))
}

/** Returns whether the principal may see the channel and its members, as far as its name decides. */
export const mayReadChannel = (principal: Principal, place: Place, channel: string): boolean =>
  !isDocumentChannel(channel) || mayReadDocuments(principal, place)

/** Returns whether the principal may read documents. */
export const mayReadDocuments = (principal: Principal, place: Place): boolean =>
  isAllowed(principal, place, 'documents:read')

/** The selection of events of a webhook. */
export interface ListensTo {
  readonly events: readonly string[]
  readonly topics: readonly string[] | null
  readonly environments: readonly Environment[] | null
}

/** The topics of event types. Events of all other types can be on any topic. */
const topicsOfType: Partial<Record<EventType, string>> = {
  'document.created': 'sync.*.created',
  'document.updated': 'sync.*.updated',
  'document.deleted': 'sync.*.deleted',
  'presence.updated': 'presence.updated',
  'socket.message': 'socket.message',
  'socket.connect': 'socket.connect',
  'socket.disconnect': 'socket.disconnect',
  'alert.firing': 'system.alert',
  'alert.resolved': 'system.alert'
}

/** Returns patterns that together match every topic that the webhook can receive events from. */
export function topicsListenedTo ({ events, topics }: Pick<ListensTo, 'events' | 'topics'>): string[] {
  const ofTypes = events.map(type => topicsOfType[type as EventType] ?? '**')
  const narrowed = ofTypes.flatMap(ofType => (topics ?? ['**']).flatMap(pattern => narrower(ofType, pattern) ?? []))
  return [...new Set(narrowed)]
}

function narrower (a: string, b: string): string | undefined {
  const [ofA, ofB] = [new TopicPatterns([a]), new TopicPatterns([b])]
  if (ofA.covers(b)) return b
  if (ofB.covers(a)) return a
  return ofA.meets(b) ? b : undefined
}

/**
 * Requires the right to read every event that a webhook selects, in each of its environments. Throws ForbiddenError
 * `PERMISSION_DENIED`.
 */
export function authorizeListeningTo (principal: Principal, applicationId: string, webhook: ListensTo): void {
  const topics = topicsListenedTo(webhook)
  const hasChannels = topics.some(includesChannels)
  for (const environment of webhook.environments ?? allEnvironments) {
    const place = { applicationId, environment }
    for (const topic of topics) authorizeTopic(principal, place, 'subscribe', topic)
    if (hasChannels) authorize(principal, place, 'documents:read')
  }
}
