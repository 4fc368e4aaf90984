import { Type, type Static } from '@sinclair/typebox'
import { Enum, EnvironmentName, EpochMs, Nullable } from './common.ts'

/*
 * Subscriptions and credentials in the socket protocol. The fields are the same over Socket.IO and `/ws`;
 * socket-protocol.ts has the list of all requests.
 */

export const returnModes = ['full', 'diff', 'both'] as const
export type ReturnMode = typeof returnModes[number]

const topicNameLengthMax = 300
const Offset = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const EpochText = Type.String({ maxLength: 64 })
const TopicKey = Type.String({ maxLength: topicNameLengthMax })

const subscriptionIdExample = 'sub_b3F0aGVyc3ViczEx'
export const SubscriptionId = Type.String({
  minLength: 1, maxLength: 64, description: 'The id of the subscription.', examples: [subscriptionIdExample]
})

export const SubscribeRequest = Type.Object({
  topic: Type.String({
    minLength: 1,
    maxLength: topicNameLengthMax,
    pattern: '^(?:\\*{1,2}|[a-z0-9]+)(?:\\.(?:\\*{1,2}|[a-z0-9_-]+))*$',
    description: 'A topic, or a pattern: `*` matches one segment, `**` at the end one or more.'
  }),
  filter: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), {
      maxProperties: 32,
      description:
        'Conditions on the payload, by dotted path. Every one must match. A condition is a value, or an object of ' +
          'the operators `eq`, `ne`, `gt`, `gte`, `lt`, `lte`, `in`, `exists` and `prefix`.'
    })
  ),
  returnMode: Type.Optional(
    Enum('ReturnMode', returnModes, {
      description:
        'The form of document payloads: the whole document, the change, or both. Without it, the whole document.'
    })
  ),
  after: Type.Optional(
    Type.Union([Offset, Type.Record(TopicKey, Offset, { maxProperties: 2000 })], {
      description:
        'Resume after this offset. For a pattern: an object with an offset for each topic; the offset under the ' +
          'pattern itself is for topics that are not named.'
    })
  ),
  epoch: Type.Optional(Type.String({ maxLength: 64, description: 'The epoch that `after` belongs to.' })),
  epochs: Type.Optional(
    Type.Record(TopicKey, EpochText, {
      maxProperties: 2000,
      description: 'For a pattern: by topic, the epochs that `after` belongs to.'
    })
  ),
  since: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description:
        'Start with the first event at or after this time, in epoch milliseconds. Not together with `after` or ' +
          '`rewind`.'
    })
  ),
  rewind: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 10000,
      description:
        'Start with up to this many of the latest events. With `after`, only if `after` cannot be recovered.'
    })
  )
}, {
  $id: 'SubscribeRequest',
  additionalProperties: false,
  description: 'Starts a subscription to a topic, or to all topics that match a pattern.',
  examples: [
    { topic: 'order.placed' },
    { topic: 'order.placed', filter: { 'customer.id': 'c1', total: { gte: 20 } }, rewind: 10 },
    { topic: 'order.placed', after: 40, epoch: 'k3J9sQ2x' },
    { topic: 'order.placed', since: 1705312800000 },
    { topic: 'order.*', after: { 'order.*': 0, 'order.placed': 40 }, epochs: { 'order.placed': 'k3J9sQ2x' } },
    { topic: 'sync.session.*', returnMode: 'both' }
  ]
})
export type SubscribeRequest = Static<typeof SubscribeRequest>

export const SubscribeAnswer = Type.Object({
  subscriptionId: SubscriptionId,
  topic: Type.String({ description: 'The topic.', examples: ['order.placed'] }),
  offset: Type.Integer({
    minimum: 0, description: 'Every matching event above this offset arrives.', examples: [41]
  }),
  epoch: Type.String({ description: "The epoch of the topic's log.", examples: ['k3J9sQ2x'] }),
  recovered: Type.Boolean({
    description: 'True if `after` or `since` was given and no event since then is missing.', examples: [false]
  })
}, {
  $id: 'SubscribeAnswer',
  description: 'The subscription to a topic has begun.',
  examples: [{
    subscriptionId: subscriptionIdExample, topic: 'order.placed', offset: 41, epoch: 'k3J9sQ2x', recovered: false
  }]
})
export type SubscribeAnswer = Static<typeof SubscribeAnswer>

export const SubscribePatternAnswer = Type.Object({
  subscriptionId: SubscriptionId,
  topic: Type.String({ description: 'The pattern.', examples: ['order.*'] }),
  offsets: Type.Record(Type.String(), Type.Integer({ minimum: 0 }), {
    description:
      'By topic: every matching event above this offset arrives. Topics without events are not listed and start at 0.',
    examples: [{ 'order.placed': 41 }]
  }),
  epochs: Type.Record(Type.String(), Type.String(), {
    description: 'By topic: the epoch of its log.', examples: [{ 'order.placed': 'k3J9sQ2x' }]
  }),
  recovered: Type.Boolean({
    description:
      'True if `after` was given and no event is missing of any topic that it named, or if `since` was given and ' +
        'none is missing of any topic.',
    examples: [false]
  })
}, {
  $id: 'SubscribePatternAnswer',
  description: 'The subscription to a pattern has begun.',
  examples: [{
    subscriptionId: subscriptionIdExample,
    topic: 'order.*',
    offsets: { 'order.placed': 41 },
    epochs: { 'order.placed': 'k3J9sQ2x' },
    recovered: true
  }]
})
export type SubscribePatternAnswer = Static<typeof SubscribePatternAnswer>

export const UnsubscribeRequest = Type.Object({ subscriptionId: SubscriptionId }, {
  $id: 'UnsubscribeRequest',
  additionalProperties: false,
  description: 'Ends a subscription. None of its events arrives after the answer.',
  examples: [{ subscriptionId: subscriptionIdExample }]
})
export type UnsubscribeRequest = Static<typeof UnsubscribeRequest>

export const UnsubscribeAnswer = Type.Object({ subscriptionId: SubscriptionId }, {
  $id: 'UnsubscribeAnswer',
  description: 'The subscription has ended.',
  examples: [{ subscriptionId: subscriptionIdExample }]
})

export const AuthRequest = Type.Object({
  token: Type.String({
    minLength: 1, maxLength: 8192,
    description: 'A token from `POST /auth/token`, an API key (`rtk_…`), or a session token (`sess_…`).'
  }),
  applicationId: Type.Optional(
    Type.String({
      maxLength: 64, description: 'The application. Required with a session token, unless a header names it.'
    })
  ),
  environment: Type.Optional(
    Type.String({ maxLength: 32, description: "The environment. Without it, the token's, or else `development`." })
  )
}, {
  $id: 'AuthRequest',
  additionalProperties: false,
  description:
    'Presents a credential. On an open connection it replaces the one before; it must be for the same subject, ' +
      'application and environment, so `applicationId` and `environment` have no effect.',
  examples: [{ token: 'eyJhbGciOiJIUzI1NiIsImtpZCI6ImtleV9hYmMxMjMifQ.eyJzdWIiOiJ1c2VyLTcifQ.c2lnbmF0dXJl' }]
})
export type AuthRequest = Static<typeof AuthRequest>

const expiresAt = Nullable(EpochMs('When the credential expires.'), {
  description: 'When the credential expires; null for an API key that does not. Epoch milliseconds.'
})

export const AuthAnswer = Type.Object({
  expiresAt,
  lost: Type.Optional(
    Type.Array(
      Type.Object({
        subscriptionId: SubscriptionId,
        topic: Type.String({ description: 'The topic.', examples: ['order.paid'] })
      }, { $id: 'LostTopic', description: 'A topic that a pattern subscription no longer includes.' }),
      { minItems: 1, description: 'Topics of patterns that the fresh credential does not cover. Absent if none.' }
    )
  )
}, {
  $id: 'AuthAnswer',
  description: 'The fresh credential has replaced the one before.',
  examples: [
    { expiresAt: 1705316400000 },
    { expiresAt: 1705316400000, lost: [{ subscriptionId: subscriptionIdExample, topic: 'order.paid' }] }
  ]
})

/** The first answer over `/ws`. */
export const Authenticated = Type.Object({
  socketId: Type.String({ description: 'The id of the connection.', examples: ['conn_b3F0aGVyY29ubjEx'] }),
  applicationId: Type.String({ description: "The connection's application.", examples: ['app_abc123'] }),
  environment: EnvironmentName,
  expiresAt
}, {
  $id: 'Authenticated',
  description: 'The connection is open. It belongs to one application and one environment.',
  examples: [{
    socketId: 'conn_b3F0aGVyY29ubjEx',
    applicationId: 'app_abc123',
    environment: 'development',
    expiresAt: 1705316400000
  }]
})
export type Authenticated = Static<typeof Authenticated>
