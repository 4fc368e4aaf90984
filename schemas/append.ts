import { Type, type Static } from '@sinclair/typebox'
import { IdempotencyKey } from './common.ts'
import { publishable, publishBatchMax, PublishReceipt } from './events.ts'
import { TopicPath } from './topics.ts'

/* Publishing over a socket. The checks are those of `POST /api/topics/:name/events`. */

const { payload, key } = publishable
const place = PublishReceipt.properties

export const AppendEvent = Type.Object({ payload, key }, {
  $id: 'AppendEvent', additionalProperties: false, description: 'One event of a batch.',
  examples: [{ payload: { total: 42 }, key: 'c1' }]
})

export const AppendRequest = Type.Object({
  topic: Type.String({ ...TopicPath.properties.name, description: 'A registered topic.', examples: ['order.placed'] }),
  payload: Type.Optional(payload),
  key,
  events: Type.Optional(
    Type.Array(AppendEvent, {
      minItems: 1,
      maxItems: publishBatchMax,
      description: 'A batch, instead of `payload` and `key`. It is stored as a whole or not at all.'
    })
  ),
  idempotencyKey: Type.Optional({
    ...IdempotencyKey,
    description:
      'A retry with the same key and body has no second effect and gets the first answer, for 24 h, also if it is ' +
        'sent over REST with `Idempotency-Key`.'
  })
}, {
  $id: 'AppendRequest',
  additionalProperties: false,
  description: 'Publishes one event, or a batch of up to 1,000, to a topic.',
  examples: [
    { topic: 'order.placed', payload: { total: 42 }, key: 'c1', idempotencyKey: 'order-4711-placed' },
    { topic: 'order.placed', events: [{ payload: { total: 42 }, key: 'c1' }, { payload: { total: 7 } }] }
  ]
})
export type AppendRequest = Static<typeof AppendRequest>

/** `eventId`, because `id` is the request's in frames of `/ws`. */
export const AppendAnswer = Type.Object({
  eventId: Type.String({ description: 'The id of the event.', examples: ['evt_b3F0aGVyZXZlbnQx'] }),
  offset: Type.Integer({ minimum: 1, description: 'The offset of the event.', examples: [42] }),
  epoch: place.epoch
}, {
  $id: 'AppendAnswer',
  description: 'The event is stored.',
  examples: [{ eventId: 'evt_b3F0aGVyZXZlbnQx', offset: 42, epoch: 'k3J9sQ2x' }]
})

export const AppendBatchAnswer = Type.Object({
  offset: Type.Integer({ minimum: 1, description: 'The offset of the first event.', examples: [42] }),
  count: place.count,
  epoch: place.epoch
}, {
  $id: 'AppendBatchAnswer',
  description: 'The batch is stored.',
  examples: [{ offset: 42, count: 2, epoch: 'k3J9sQ2x' }]
})
