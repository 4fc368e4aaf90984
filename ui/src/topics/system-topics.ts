/* The platform's own topics (docs/PROTOCOL.md). They need no registration, and nobody publishes to them. */

const prefixes = ['sync.', 'socket.', 'presence.', 'system.']

export const isSystemTopic = (name: string): boolean => prefixes.some(prefix => name.startsWith(prefix))

/** The topics that every environment has. */
const fixed: readonly (readonly [name: string, description: string])[] = [
  ['presence.updated', 'A member joined, changed its state in, or left a channel'],
  ['socket.connect', 'A client has connected'],
  ['socket.disconnect', 'A client has disconnected'],
  ['socket.message', 'A message was sent through a channel'],
  ['system.alert', 'An alert fires or is resolved']
]

const verbs = ['created', 'updated', 'deleted']

/** Returns the names and descriptions of the platform's topics, given the services that documents belong to. */
export function systemTopics (services: readonly string[]): { name: string; description: string }[] {
  return [
    ...fixed.map(([name, description]) => ({ name, description })),
    ...services.flatMap(service =>
      verbs.map(verb => ({ name: `sync.${service}.${verb}`, description: `A document of ${service} was ${verb}` }))
    )
  ]
}
