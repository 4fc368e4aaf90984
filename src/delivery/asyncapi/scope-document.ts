import type { Scope } from '../../../schemas/scope.ts'
import type { ActiveSchemas, ActiveTopic } from '../../registry/schemas/active-schemas.ts'
import type { CheckerPool } from '../../registry/schemas/checker-pool.ts'
import { componentOf } from '../../registry/schemas/component-schemas.ts'
import { patiently } from '../../registry/schemas/patience.ts'
import { isReserved } from '../../registry/topics/topic-names.ts'
import { createAsyncApiDocument } from './document.ts'

/** The topics of one chunk. */
const chunkTopics = 200

/**
 * Yields the AsyncAPI document of a scope as JSON: the document of the socket protocol, with a channel for each
 * registered topic and the active schemas as components.
 */
export async function * scopeDocument (
  scope: Scope, schemas: ActiveSchemas, checker: CheckerPool
): AsyncGenerator<string, void> {
  const { info, channels, operations, components, ...head } = createAsyncApiDocument()
  const { schemas: ownSchemas, ...otherComponents } = components
  yield open({ ...head, info: { ...info, ...infoOf(scope) } })
  yield `,"channels":${open(channels)}`
  yield * members(schemas.topics, topic => [[topic.name, channelOf(topic)]])
  yield `},"operations":${open(operations)}`
  yield * members(schemas.topics, operationsOf)
  yield `},"components":${open(otherComponents)},"schemas":${open(ownSchemas)}`
  for await (const topics of schemas.pages()) {
    const translated = await patiently(async () => await checker.translate(topics, scope.applicationId))
    if (translated !== '') yield `,${translated}`
  }
  yield '}}}'
}

/** Returns the JSON of an object with members, without its last brace. */
const open = (object: object): string => JSON.stringify(object).slice(0, -1)

function * members (
  topics: readonly ActiveTopic[], membersOf: (topic: ActiveTopic) => [name: string, value: object][]
): Generator<string, void> {
  for (let next = 0; next < topics.length; next += chunkTopics) {
    yield topics.slice(next, next + chunkTopics).flatMap(membersOf)
      .map(([name, value]) => `,${JSON.stringify(name)}:${JSON.stringify(value)}`).join('')
  }
}

const infoOf = ({ applicationId, environment }: Scope) => ({
  title: `Realtime Platform: ${applicationId}, ${environment}`,
  description: [
    `The topics of the application ${applicationId} in ${environment}, with the active schemas of their payloads, and`,
    'the socket protocol that they are received with. The document describes the server: the action `send` marks',
    'messages to clients, `receive` messages from clients.'
  ].join(' ')
})

function channelOf ({ name, description, version }: ActiveTopic): object {
  const payload = version === null ? {} : { payload: { $ref: componentOf(name) } }
  const topic = { const: name }
  const event = {
    name: 'event',
    title: name,
    summary: 'An event on the topic, for its subscribers. Over `/ws`, it is the `data` of a frame.',
    payload: {
      allOf: [{ $ref: '#/components/schemas/SocketEvent' }], type: 'object', properties: { topic, ...payload }
    }
  }
  const append = {
    name: 'append',
    title: name,
    summary: 'The request to publish to the topic. Over `/ws`, its frame has `type` and `id` beside these fields.',
    payload: {
      allOf: [{ $ref: '#/components/schemas/AppendRequest' }],
      type: 'object',
      properties: { topic, ...payload, events: { type: 'array', items: { type: 'object', properties: payload } } }
    }
  }
  return {
    address: name,
    title: name,
    description,
    servers: [{ $ref: '#/servers/socketIo' }, { $ref: '#/servers/webSocket' }],
    messages: { event, ...!isReserved(name) && { append } }
  }
}

function operationsOf ({ name }: ActiveTopic): [string, object][] {
  const channel = { $ref: `#/channels/${name}` }
  const operation = (message: string, action: 'send' | 'receive', summary: string): [string, object] =>
    [`${name}.${message}`, { action, channel, summary, messages: [{ $ref: `${channel.$ref}/messages/${message}` }] }]
  const event = operation('event', 'send', `Sends an event on ${name} to its subscribers.`)
  // Only the platform publishes to reserved topics.
  return isReserved(name) ? [event] : [event, operation('append', 'receive', `Publishes to ${name}.`)]
}
