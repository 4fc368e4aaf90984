import type { EventType } from '../../../schemas/events.ts'

const reservedRoots: ReadonlySet<string> = new Set(['sync', 'socket', 'presence', 'system'])

/** The limit of the service's part is that of schemas/services.ts. */
const givenTopic = new RegExp([
  /^sync\.[a-z][a-z0-9_-]{0,62}\.(?:created|updated|deleted)$/,
  /^socket\.(?:message|connect|disconnect)$/,
  /^presence\.updated$/,
  /^system\.webhook\.deactivated$/,
  /^system\.alert$/
].map(({ source }) => source).join('|'))

/** The topic of `alert.firing` and `alert.resolved`. */
export const alertTopic = 'system.alert'

/** Returns whether the topic's root belongs to the platform. Such a topic cannot be registered or published to. */
export function isReserved (name: string): boolean {
  const dot = name.indexOf('.')
  return reservedRoots.has(dot === -1 ? name : name.slice(0, dot))
}

/**
 * Returns whether the topic is one of the platform's own, which need no registration. No other topic with a reserved
 * name exists.
 */
export const existsByItself = (name: string): boolean => givenTopic.test(name)

export type DocumentChange = 'created' | 'updated' | 'deleted'
export const documentTopic = (service: string, change: DocumentChange): string => `sync.${service}.${change}`

/** Returns the type of events on a topic, as far as it follows from the name. */
export function typeOfEventsOn (topic: string): EventType {
  const change = /^sync\.[^.]+\.(created|updated|deleted)$/.exec(topic)?.[1]
  if (change !== undefined) return `document.${change}` as EventType
  if (topic === alertTopic) return 'alert.firing'
  return existsByItself(topic) && !topic.startsWith('system.') ? topic as EventType : 'topic.event'
}
