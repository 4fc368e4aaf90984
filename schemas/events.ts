import { Type, type Static } from '@sinclair/typebox'
import { Enum, EnvironmentName, EpochMs, IdempotencyHeaders, Nullable, ref, Text } from './common.ts'
import { OrderName } from './lists.ts'

export const eventTypes = [
  'document.created', 'document.updated', 'document.deleted', 'presence.updated', 'socket.message',
  'socket.connect', 'socket.disconnect', 'database.event', 'topic.event', 'alert.firing', 'alert.resolved'
] as const
export type EventType = typeof eventTypes[number]

export const eventSources = ['database', 'sync', 'socket', 'api'] as const
export type EventSource = typeof eventSources[number]

export const RealtimeEvent = Type.Object({
  id: Type.String({ description: 'Identifies the event.', examples: ['evt_b3F0aGVyZXZlbnQx'] }),
  topic: Type.String({ description: 'The topic of the event.', examples: ['session.status'] }),
  offset: Type.Integer({
    minimum: 1, description: "Position in the topic's log: 1, 2, 3, without gaps, in commit order.", examples: [42]
  }),
  epoch: Type.String({
    description: 'Identifies one life of the log. Offsets of different epochs cannot be compared.',
    examples: ['k3J9sQ2x']
  }),
  type: Enum('EventType', eventTypes, { description: 'The kind of the event.', examples: ['topic.event'] }),
  source: Enum('EventSource', eventSources, {
    description: 'The origin of the event: a row change, a document, a socket, or a publisher.', examples: ['api']
  }),
  applicationId: Type.String({ description: 'The application of the event.', examples: ['app_abc123'] }),
  environment: EnvironmentName,
  timestamp: EpochMs('When the event was written.'),
  schemaVersion: Nullable(Type.Integer(), {
    description: 'The schema version that the payload was checked against. null: it was not checked.'
  }),
  key: Nullable(Type.String(), {
    description: "Ordering key: the document id, the row's primary key, or the key that the publisher gave."
  }),
  payload: Type.Unknown({ description: 'The data of the event.', examples: [{ sessionId: 's1', status: 'ended' }] }),
  meta: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), {
      description: 'The origin of the event: service, documentId, revision, …'
    })
  )
}, { $id: 'RealtimeEvent' })
export type RealtimeEvent = Static<typeof RealtimeEvent>

/** The fields of one event to publish. */
export const publishable = {
  payload: Type.Unknown({
    description:
      'Any JSON value of at most 256 KiB and 64 levels. A number that a double cannot represent exactly, such as a ' +
        '64-bit id, is refused: send it as a string.',
    examples: [{ sessionId: 's1', status: 'ended' }]
  }),
  key: Type.Optional(
    Type.String({
      minLength: 1, maxLength: 512, pattern: '^[^\\u0000]*$', description: 'Ordering key.', examples: ['s1']
    })
  )
}

export const EventPublish = Type.Object(publishable, { additionalProperties: false, $id: 'EventPublish' })
export type EventPublish = Static<typeof EventPublish>

export const publishBatchMax = 1000

/**
 * Combines both forms in one object, because for a union of closed objects validators report errors of the wrong
 * branch. Exactly one of `payload` and `events` must be present.
 */
export const PublishBody = Type.Object({
  payload: Type.Optional(publishable.payload),
  key: publishable.key,
  events: Type.Optional(
    Type.Array(ref(EventPublish), {
      minItems: 1, maxItems: publishBatchMax, description: 'A batch. It is stored as a whole or not at all.'
    })
  )
}, {
  $id: 'PublishBody',
  additionalProperties: false,
  description: 'Either one event (`payload`, `key?`) or a batch (`events`).',
  examples: [{ payload: { sessionId: 's1', status: 'ended' }, key: 's1' }]
})
export type PublishBody = Static<typeof PublishBody>

export const PublishHeaders = Type.Object({
  ...IdempotencyHeaders.properties,
  prefer: Type.Optional(Type.String({
    description:
      '`return=minimal` for a response with `offset`, `count` and `epoch` instead of the events (RFC 7240). Other ' +
        'preferences are ignored.',
    examples: ['return=minimal']
  }))
})

export const PublishReceipt = Type.Object({
  offset: Type.Integer({
    minimum: 1, description: 'The offset of the event, or of the first event of a batch.', examples: [42]
  }),
  count: Type.Integer({
    minimum: 1, description: 'How many events were stored. Their offsets follow one another.', examples: [1]
  }),
  epoch: Type.String({ description: "The epoch of the topic's log.", examples: ['k3J9sQ2x'] })
}, { $id: 'PublishReceipt', description: 'The place of stored events.' })
export type PublishReceipt = Static<typeof PublishReceipt>

/** Limits how many events one request for history reads to find those with a key or a filter. */
export const historyScanMax = 10_000

const Offset = (minimum: number, options: Record<string, unknown>) =>
  Type.Optional(Type.Integer({ minimum, maximum: Number.MAX_SAFE_INTEGER, ...options }))

export const HistoryQuery = Type.Object({
  order: Type.Optional({
    ...OrderName,
    default: 'asc',
    description: '`asc`: from the oldest event. `desc`: from the latest.',
    examples: ['asc']
  }),
  after: Offset(0, {
    description: 'Only events above this offset. Default: from the oldest retained event.', examples: [41]
  }),
  before: Offset(1, { description: 'Only events below this offset.', examples: [1000] }),
  from: Offset(0, {
    description: 'Only events at or after this time, in epoch milliseconds.', examples: [1705312800000]
  }),
  to: Offset(0, {
    description: 'Only events at or before this time, in epoch milliseconds.', examples: [4102444800000]
  }),
  key: Type.Optional(Text(512, { description: 'Only events with this key.', examples: ['s1'] })),
  filter: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 16_384,
      description:
        'Only events whose payload matches this filter: JSON, in the language of subscriptions ' +
          '([filters](/docs/PROTOCOL.md#filters)).',
      examples: ['{"status":"ended"}']
    })
  ),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: 'Events per page.' }))
}, { additionalProperties: false })
export type HistoryQuery = Static<typeof HistoryQuery>
