import { Type, type TObject, type TSchema } from '@sinclair/typebox'
import { ErrorBody } from './common.ts'
import { SocketEvent } from './socket-messages.ts'

/*
 * The two encodings of the socket protocol. A frame of `/ws` is an object with the fields of the message, its `type`,
 * and the `id` of the request. Over Socket.IO the name of the event is the type, and an acknowledgement is an object
 * with the fields of the answer and `ok`.
 */

export const FrameId = Type.Union([
  Type.String({ maxLength: 128 }),
  Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER })
], { $id: 'FrameId', description: 'Chosen by the client. The answer repeats it exactly.', examples: [1] })

/** Returns the schema of a frame that carries a message. Frames of requests and of answers may have an `id`. */
export function frameOf (type: string, message: TSchema, { hasId }: { hasId: boolean }): TSchema {
  return eachMember(message, ({ $id, properties, additionalProperties, description = '', examples = [] }) =>
    Type.Object({
      type: Type.Literal(type), ...properties, ...(hasId && { id: Type.Optional(FrameId) })
    }, {
      $id: `${$id}Frame`,
      description,
      ...(additionalProperties !== undefined && { additionalProperties }),
      examples: (examples as object[]).map(example => ({ type, ...example, ...(hasId && { id: 1 }) }))
    }))
}

/** Returns the schema of the acknowledgement that carries an answer. */
export function acknowledgementOf (answer: TSchema): TSchema {
  return eachMember(answer, ({ $id, properties, description = '', examples = [] }) =>
    Type.Object({ ok: Type.Literal(true), ...properties }, {
      $id: `${$id}Ack`, description, examples: (examples as object[]).map(example => ({ ok: true, ...example }))
    }))
}

function eachMember (schema: TSchema, convert: (member: TObject) => TObject): TSchema {
  const members = schema['anyOf'] as TObject[] | undefined
  return members === undefined
    ? convert(schema as TObject)
    : Type.Union(members.map(convert), { description: schema.description ?? '' })
}

const [event] = SocketEvent['examples'] as [{ topic: string }]

export const EventFrame = Type.Object({
  type: Type.Literal('event'),
  topic: Type.String({ description: 'The topic of the event.', examples: ['order.placed'] }),
  data: SocketEvent
}, {
  $id: 'EventFrame',
  description: 'An event that matched a subscription of the connection.',
  examples: [{ type: 'event', topic: event.topic, data: event }]
})

const refused = { error: 'NotFoundError', message: 'Topic not found: order.placed', code: 'TOPIC_NOT_FOUND' }

export const ErrorFrame = frameOf('error', {
  ...ErrorBody,
  description: 'A refused request, or a frame that is no request and therefore has no `id`.',
  examples: [refused]
}, { hasId: true })

export const Refusal = Type.Object({ ok: Type.Literal(false), ...ErrorBody.properties }, {
  $id: 'Refusal', description: 'A refused request.', examples: [{ ok: false, ...refused }]
})

export const PingFrame = frameOf('ping', Type.Object({}, {
  $id: 'Ping', description: 'For browsers, which cannot send WebSocket pings.', examples: [{}]
}), { hasId: true })

export const PongFrame = frameOf('pong', Type.Object({}, {
  $id: 'Pong', description: 'The answer to `ping`.', examples: [{}]
}), { hasId: true })
