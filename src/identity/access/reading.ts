import type { EventType } from '../../../schemas/events.ts'
import { environments as allEnvironments, type Environment } from '../../../schemas/scope.ts'
import { authorize, authorizeTopic, isAllowed, permissionsAt, type Place } from './permissions.ts'
import type { PermissionSet } from './permission-set.ts'
import type { Principal } from './principal.ts'
import { TopicPatterns } from '../../foundation/topic-pattern.ts'

/*
 * Who may read which fact: the one check that every way out of the platform calls. Events are read by their topic;
 * whatever tells who looks at a document (its channel, and events of that channel) needs `sync:read` as well.
 */

/** What the check looks at of an event. */
export interface EventFact { readonly topic: string, readonly key: string | null }

export const documentPrefix = 'doc:'
/** Their events are of channels: the key is the channel's name. */
export const channelTopics: ReadonlySet<string> = new Set(['presence.updated', 'socket.message'])

/** Whether the channel is that of a document. */
export const isDocumentChannel = (name: string): boolean => name.startsWith(documentPrefix)

/** Whether the event tells of the channel of a document. Cheap: it is asked of every delivery. */
export const isOfDocumentChannel = ({ topic, key }: EventFact): boolean =>
  key !== null && key.startsWith(documentPrefix) && channelTopics.has(topic)

/** Whether these permissions include the right to read the event. */
export const coversEvent = (held: PermissionSet, event: EventFact): boolean =>
  held.subscribe.covers(event.topic) && (!isOfDocumentChannel(event) || held.allows('sync:read'))

export const mayReadEvent = (principal: Principal, place: Place, event: EventFact): boolean =>
  coversEvent(permissionsAt(principal, place), event)

/** Whether every event of the topic may be read, whatever its key. */
export const mayReadTopic = (principal: Principal, place: Place, topic: string): boolean =>
  mayReadEvent(principal, place, { topic, key: documentPrefix })

/** Whether the principal may know of the channel and of who is in it, as far as the channel's name decides. */
export const mayReadChannel = (principal: Principal, place: Place, channel: string): boolean =>
  !isDocumentChannel(channel) || mayReadDocuments(principal, place)

/** Whether the principal may know what is in documents. */
export const mayReadDocuments = (principal: Principal, place: Place): boolean =>
  isAllowed(principal, place, 'sync:read')

/** What a webhook listens to. */
export interface ListensTo {
  readonly events: readonly string[]
  readonly topics: readonly string[] | null
  readonly environments: readonly Environment[] | null
}

/** Topics that events of a type are on; of all other types the events may be on any topic. */
const topicsOfType: Partial<Record<EventType, string>> = {
  'document.created': 'sync.*.created',
  'document.updated': 'sync.*.updated',
  'document.deleted': 'sync.*.deleted',
  'presence.updated': 'presence.updated',
  'socket.message': 'socket.message',
  'socket.connect': 'socket.connect',
  'socket.disconnect': 'socket.disconnect'
}

/** Patterns that together have every topic of which the webhook gets events. */
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
 * Whoever has events sent somewhere must be allowed to read all of them, in each environment that they come from.
 * Throws ForbiddenError `PERMISSION_DENIED`.
 */
export function authorizeListeningTo (principal: Principal, applicationId: string, webhook: ListensTo): void {
  const topics = topicsListenedTo(webhook)
  const hasChannels = topics.some(pattern =>
    [...channelTopics].some(topic => new TopicPatterns([pattern]).covers(topic))
  )
  for (const environment of webhook.environments ?? allEnvironments) {
    const place = { applicationId, environment }
    for (const topic of topics) authorizeTopic(principal, place, 'subscribe', topic)
    if (hasChannels) authorize(principal, place, 'sync:read')
  }
}
