import type { EventType } from '../../../schemas/events.ts'

const reservedRoots: ReadonlySet<string> = new Set(['sync', 'socket', 'presence', 'system'])

/** The service's part has the same bound as schemas/services.ts. */
const givenTopic =
  /^(?:sync\.[a-z][a-z0-9_-]{0,62}\.(?:created|updated|deleted)|socket\.(?:message|connect|disconnect)|presence\.updated|system\.webhook\.deactivated)$/

/** Whether the topic's root belongs to the platform: nobody registers such a topic or publishes to it. */
export function isReserved (name: string): boolean {
  const dot = name.indexOf('.')
  return reservedRoots.has(dot === -1 ? name : name.slice(0, dot))
}

/**
 * Whether the topic is one of the platform's own: those need no registration. A reserved name that is none of them
 * never exists.
 */
export const existsByItself = (name: string): boolean => givenTopic.test(name)

export type DocumentChange = 'created' | 'updated' | 'deleted'
export const documentTopic = (service: string, change: DocumentChange): string => `sync.${service}.${change}`

/** The type of events on a topic, as far as its name tells. */
export function typeOfEventsOn (topic: string): EventType {
  const change = /^sync\.[^.]+\.(created|updated|deleted)$/.exec(topic)?.[1]
  if (change !== undefined) return `document.${change}` as EventType
  return existsByItself(topic) ? topic as EventType : 'topic.event'
}
