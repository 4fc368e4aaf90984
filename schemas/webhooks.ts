import { Type, type Static } from '@sinclair/typebox'
import { Enum, EnvironmentName, EpochMs, Nullable, ref, Text } from './common.ts'
import { eventTypes } from './events.ts'
import { listFields, listShape, TimeLimit } from './lists.ts'

export const WebhookId = Type.String({
  minLength: 1, maxLength: 64, pattern: '^wh_[A-Za-z0-9_-]+$', description: 'The webhook.', examples: ['wh_abc123']
})
export const DeliveryId = Type.String({
  minLength: 36,
  maxLength: 36,
  pattern: '^dlv_[0-9a-f]{32}$',
  description: 'The ID of the delivery. Its requests carry it as `webhook-id`.',
  examples: ['dlv_0d4f1c2a52e94b8e9c550d8a4f0f8f11']
})

export const WebhookEventName = Enum('WebhookEventType', [...eventTypes, '*'], {
  description: 'A type of event, from any source. `*` stands for all types.', examples: ['document.updated']
})
export type WebhookEventName = Static<typeof WebhookEventName>

export const endpointStates = ['pending', 'delivered', 'dead'] as const
export type DeliveryState = typeof endpointStates[number]
const State = Enum('DeliveryState', endpointStates, {
  description: '`pending`: waiting for an attempt, or an attempt is in progress. `delivered`: accepted by the ' +
    'endpoint. `dead`: given up, until you retry or redrive it.',
  examples: ['delivered']
})

const Url = Type.String({
  minLength: 1,
  maxLength: 2048,
  pattern: '^[Hh][Tt][Tt][Pp][Ss]?:[^\\s\\u0000-\\u001f]+$',
  description: 'The URL that receives events by POST. It must use https and lead to a public address.',
  examples: ['https://example.com/webhook']
})
const Secret = Type.String({
  minLength: 8,
  maxLength: 256,
  pattern: '^[\\x21-\\x7e]+$',
  description:
    'The signing key. With the prefix `whsec_` (or `v1,whsec_`), base64 of 24 to 64 bytes. Any other text is used as ' +
      'UTF-8 bytes, even if it looks like base64.',
  examples: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']
})
const Events = Type.Array(WebhookEventName, {
  minItems: 1, maxItems: eventTypes.length + 1, uniqueItems: true, description: 'The types of event to deliver.',
  examples: [['database.event', 'document.updated']]
})
const Topics = Type.Array(Type.String({ minLength: 1, maxLength: 300 }), {
  minItems: 1,
  maxItems: 100,
  description:
    'Topics and topic patterns to deliver. In a pattern `*` stands for one segment, `**` at the end for all ' +
      'remaining segments. Omit to deliver every topic.',
  examples: [['order.*']]
})
const Filter = Type.Record(Type.String(), Type.Unknown(), {
  description: 'Conditions on the payload, with the syntax of subscription filters.', examples: [{ status: 'paid' }]
})
const Environments = Type.Array(EnvironmentName, {
  minItems: 1, maxItems: 3, uniqueItems: true,
  description: 'The environments whose events to deliver. Omit to deliver those of all.', examples: [['production']]
})
const Ordering = Enum('WebhookOrdering', ['none', 'key'], {
  description:
    '`key`: events with the same key are delivered one after the other, in the order of their offsets. After a dead ' +
      'delivery the next one of its key follows. Events without a key have no order.',
  examples: ['none']
})
const RateLimit = Type.Integer({
  minimum: 1, maximum: 10_000, description: 'Maximum requests per second from each node of the platform.',
  examples: [100]
})
const Description = Text(2000, { description: 'A note for your team.', examples: ['Notifies the warehouse'] })

export const Webhook = Type.Object({
  id: Type.String({ examples: ['wh_abc123'] }),
  url: Type.String({ examples: ['https://example.com/webhook'] }),
  events: Type.Array(Type.String(), { examples: [['database.event', 'document.updated']] }),
  topics: Nullable(Type.Array(Type.String()), { examples: [null] }),
  filter: Nullable(Type.Record(Type.String(), Type.Unknown()), { examples: [null] }),
  environments: Nullable(Type.Array(EnvironmentName), { examples: [null] }),
  ordering: Ordering,
  rateLimit: Nullable(Type.Integer(), { examples: [null] }),
  description: Nullable(Type.String(), { examples: ['Notifies the warehouse'] }),
  active: Type.Boolean({
    description: 'An inactive webhook receives no new events; its pending deliveries wait.', examples: [true]
  }),
  deactivatedReason: Nullable(Enum('DeactivationReason', ['gone', 'failing']), {
    description: 'Why the platform deactivated the webhook. `gone`: the endpoint responded with 410. `failing`: ' +
      'every request failed for days. Null otherwise.',
    examples: [null]
  }),
  failingSince: Nullable(Type.Integer(), {
    description: 'When the first request since the last success failed, in epoch milliseconds.', examples: [null]
  }),
  applicationId: Type.String({ examples: ['app_abc123'] }),
  createdAt: EpochMs('When the webhook was created.'),
  updatedAt: EpochMs('When the webhook was last changed.'),
  pausedUntil: Type.Optional(
    Type.Integer({
      description: 'The endpoint fails, so the node that responds sends it nothing until this time, in epoch ' +
        'milliseconds. Only in responses to GET, and absent while requests are sent.',
      examples: [1705312800000]
    })
  )
}, { $id: 'Webhook', description: 'A webhook. Its secret is never returned.' })
export type Webhook = Static<typeof Webhook>

export const WebhookWithSecret = Type.Composite([
  Webhook,
  Type.Object({
    secret: Type.Optional(
      Type.String({
        description: 'The generated secret. This response is the only one that contains it.',
        examples: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']
      })
    )
  })
], { $id: 'WebhookWithSecret' })
export type WebhookWithSecret = Static<typeof WebhookWithSecret>

export const WebhookCreate = Type.Object({
  url: Url,
  secret: Type.Optional(Secret),
  events: Events,
  topics: Type.Optional(Topics),
  filter: Type.Optional(Filter),
  environments: Type.Optional(Environments),
  ordering: Type.Optional(Type.Unsafe<Static<typeof Ordering>>({ ...Ordering, default: 'none' })),
  rateLimit: Type.Optional(RateLimit),
  description: Type.Optional(Description)
}, { $id: 'WebhookCreate', additionalProperties: false })
export type WebhookCreate = Static<typeof WebhookCreate>

export const WebhookUpdate = Type.Object({
  url: Type.Optional(Url),
  events: Type.Optional(Events),
  topics: Type.Optional(Nullable(Topics)),
  filter: Type.Optional(Nullable(Filter)),
  environments: Type.Optional(Nullable(Environments)),
  ordering: Type.Optional(Ordering),
  rateLimit: Type.Optional(Nullable(RateLimit)),
  description: Type.Optional(Nullable(Description)),
  active: Type.Optional(
    Type.Boolean({ description: 'Same effect as the routes `activate` and `deactivate`.', examples: [true] })
  )
}, { $id: 'WebhookUpdate', additionalProperties: false, minProperties: 1, examples: [{ events: ['*'] }] })
export type WebhookUpdate = Static<typeof WebhookUpdate>

export const SecretRotation = Type.Object({ secret: Type.Optional(Secret) }, {
  $id: 'SecretRotation', additionalProperties: false, examples: [{ secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }]
})
export type SecretRotation = Static<typeof SecretRotation>

/** The result of one attempt. */
const attemptFields = {
  statusCode: Nullable(Type.Integer(), {
    description: 'The HTTP status of the response; null without a response.', examples: [200]
  }),
  success: Type.Boolean({ examples: [true] }),
  durationMs: Nullable(Type.Integer(), { description: 'Duration of the attempt in milliseconds.', examples: [84] }),
  error: Nullable(Type.String(), { description: 'Why the attempt failed; null on success.', examples: [null] }),
  responseBody: Nullable(Type.String(), {
    description: 'The beginning of the response body, at most 1 KiB.', examples: ['ok']
  }),
  responseHeaders: Nullable(Type.Record(Type.String(), Type.String()), {
    description: 'The headers of the response without cookies, at most 4 KiB; null without a response.',
    examples: [{ 'content-type': 'text/plain' }]
  })
}

export const WebhookTestResult = Type.Object({
  deliveryId: Type.String({
    description: 'The `webhook-id` of the request.',
    examples: ['dlv_0d4f1c2a52e94b8e9c550d8a4f0f8f11']
  }),
  ...attemptFields
}, { $id: 'WebhookTestResult' })
export type WebhookTestResult = Static<typeof WebhookTestResult>

export const WebhookLog = Type.Object({
  id: Type.String({ examples: ['log_abc123'] }),
  webhookId: Type.String({ examples: ['wh_abc123'] }),
  deliveryId: Nullable(Type.String(), {
    description: 'The delivery; null for a test.', examples: ['dlv_0d4f1c2a52e94b8e9c550d8a4f0f8f11']
  }),
  event: Type.String({ examples: ['database.event'] }),
  url: Type.String({ examples: ['https://example.com/webhook'] }),
  attempts: Type.Integer({ description: 'The number of this attempt within its delivery.', examples: [1] }),
  deliveredAt: EpochMs('When the attempt ended.'),
  sentAt: Nullable(Type.Integer(), {
    description:
      'The time in the signature of the request, in epoch milliseconds; null if none was sent, and for tests.',
    examples: [1705312800000]
  }),
  ...attemptFields
}, { $id: 'WebhookLog', description: 'One attempt to make a delivery.' })
export type WebhookLog = Static<typeof WebhookLog>

export const WebhookDelivery = Type.Object({
  id: Type.String({ examples: ['dlv_0d4f1c2a52e94b8e9c550d8a4f0f8f11'] }),
  webhookId: Type.String({ examples: ['wh_abc123'] }),
  eventId: Type.String({ examples: ['evt_b3F0aGVyZXZlbnQx'] }),
  event: Type.String({ description: 'The type of the event.', examples: ['document.updated'] }),
  topic: Type.String({ examples: ['sync.session.updated'] }),
  offset: Type.Integer({ examples: [42] }),
  key: Nullable(Type.String(), { examples: ['doc_a1b2c3d4'] }),
  environment: EnvironmentName,
  replayOf: Nullable(Type.String(), { description: 'The replay that created the delivery, if any.', examples: [null] }),
  state: State,
  attempts: Type.Integer({ description: 'How many attempts were made.', examples: [1] }),
  nextAttemptAt: Nullable(Type.Integer(), {
    description:
      'When the next attempt is due, in epoch milliseconds. While an attempt is in progress: when it is repeated if ' +
        'its result stays unknown.',
    examples: [null]
  }),
  settledAt: Nullable(Type.Integer(), {
    description: 'When the delivery became delivered or dead, in epoch milliseconds.', examples: [1705312800000]
  }),
  statusCode: Nullable(Type.Integer(), { description: 'The HTTP status of the last response.', examples: [200] }),
  error: Nullable(Type.String(), { description: 'The error of the last attempt.', examples: [null] }),
  createdAt: EpochMs('When the event was stored, or its replay was requested.')
}, { $id: 'WebhookDelivery', description: 'The delivery of one event to one webhook.' })
export type WebhookDelivery = Static<typeof WebhookDelivery>

export const WebhookDeliveryDetails = Type.Composite([
  WebhookDelivery,
  Type.Object({
    request: Type.Object({
      url: Type.String({ description: 'Where the last attempt went.', examples: ['https://example.com/webhook'] }),
      headers: Type.Record(Type.String(), Type.String(), {
        description:
          'The headers of the last attempt. `webhook-timestamp` and `webhook-signature` are absent before the first ' +
            'attempt, and the signature also when the secrets that made it are no longer stored.',
        examples: [{ 'content-type': 'application/json', 'webhook-id': 'dlv_0d4f1c2a52e94b8e9c550d8a4f0f8f11' }]
      }),
      body: Nullable(Type.String(), {
        description: 'The body, byte for byte as it is signed; null when the event is no longer stored.',
        examples: ['{"type":"topic.event","timestamp":"2024-01-15T10:00:00.000Z","data":{}}']
      })
    }),
    log: Type.Array(ref(WebhookLog), { description: 'The latest 100 attempts, newest first.' })
  })
], { $id: 'WebhookDeliveryDetails', description: 'A delivery with its request and attempts.' })
export type WebhookDeliveryDetails = Static<typeof WebhookDeliveryDetails>

export const statusClasses = ['2xx', '3xx', '4xx', '5xx', 'none'] as const
export type StatusClass = typeof statusClasses[number]

/** The filters that the list of deliveries and a redrive share. */
const deliveryFilters = {
  event: Type.Optional(
    Enum('EventType', eventTypes, { description: 'Only this type of event.', examples: ['document.updated'] })
  ),
  eventId: Type.Optional(
    Type.String({
      minLength: 1, maxLength: 64, pattern: '^evt_[A-Za-z0-9_-]+$', description: 'Only this event.',
      examples: ['evt_b3F0aGVyZXZlbnQx']
    })
  ),
  topic: Type.Optional(Text(300, { description: 'Only events of this topic.', examples: ['session.status'] })),
  environment: Type.Optional({ ...EnvironmentName, description: 'Only events of this environment.' }),
  statusClass: Type.Optional(
    Enum('StatusClass', statusClasses, {
      description:
        'Only deliveries whose last response has such a status. `none`: there was an attempt, and no response.',
      examples: ['5xx']
    })
  )
}

export const Redrive = Type.Object({
  webhookId: Type.Optional(WebhookId),
  ...deliveryFilters,
  from: Type.Optional(
    Type.Integer({
      minimum: 0, maximum: Number.MAX_SAFE_INTEGER,
      description: 'Only events stored at or after this time, in epoch milliseconds.', examples: [1705312800000]
    })
  ),
  to: Type.Optional(
    Type.Integer({
      minimum: 0, maximum: Number.MAX_SAFE_INTEGER,
      description: 'Only events stored before this time, in epoch milliseconds.',
      examples: [1705399200000]
    })
  ),
  dryRun: Type.Optional(Type.Boolean({
    default: false, description: 'Only count the deliveries; change nothing.', examples: [true]
  }))
}, { $id: 'Redrive', additionalProperties: false, examples: [{ webhookId: 'wh_abc123', dryRun: true }] })
export type Redrive = Static<typeof Redrive>

export const RedriveAnswer = Type.Object({
  matched: Type.Integer({
    description: 'Dead deliveries of active webhooks that the request selects.', examples: [120]
  }),
  redriven: Type.Integer({ description: 'Deliveries that are pending again.', examples: [120] }),
  remaining: Type.Integer({
    description: 'Deliveries beyond the limit of one request. Repeat the request for them.', examples: [0]
  })
}, { $id: 'RedriveAnswer' })
export type RedriveAnswer = Static<typeof RedriveAnswer>

export const WebhookPath = Type.Object({ id: WebhookId })
export const DeliveryPath = Type.Object({ id: DeliveryId })

export const webhookList = listShape('webhooks', {
  sorts: ['createdAt', 'updatedAt'], order: 'asc', search: ['url', 'description']
})
export const WebhookQuery = Type.Object({
  ...listFields(webhookList, 'example.com'),
  active: Type.Optional(Type.Boolean({ description: 'Only active webhooks, or only inactive ones.' })),
  event: Type.Optional(
    Enum('EventType', eventTypes, {
      description: 'Only webhooks that receive this type of event.', examples: ['document.updated']
    })
  )
}, { additionalProperties: false })
export type WebhookQuery = Static<typeof WebhookQuery>

const filters = {
  event: Type.Optional(
    Enum('EventType', eventTypes, { description: 'Only this type of event.', examples: ['document.updated'] })
  ),
  webhookId: Type.Optional(Type.String({ ...WebhookId, description: 'Only this webhook.' }))
}

export const attemptList = listShape('attempts', {
  sorts: ['deliveredAt'], order: 'desc', search: ['event', 'url', 'error']
})
export const LogsQuery = Type.Object({
  ...filters,
  success: Type.Optional(
    Type.Boolean({ description: '`true`: only successful attempts. `false`: only failed ones.', examples: [false] })
  ),
  deliveryId: Type.Optional(Type.String({ ...DeliveryId, description: 'Only this delivery.' })),
  from: TimeLimit('Only attempts at or after this time.'),
  to: TimeLimit('Only attempts before this time.'),
  ...listFields(attemptList, 'example.com')
}, { additionalProperties: false })
export type LogsQuery = Static<typeof LogsQuery>

export const deliveryList = listShape('deliveries', {
  sorts: ['createdAt'], order: 'desc', search: ['event', 'topic', 'key', 'eventId']
})

export const DeliveriesQuery = Type.Object({
  ...filters,
  ...deliveryFilters,
  state: Type.Optional(State),
  from: TimeLimit('Only deliveries created at or after this time.'),
  to: TimeLimit('Only deliveries created before this time.'),
  ...listFields(deliveryList, 'session')
}, { additionalProperties: false })
export type DeliveriesQuery = Static<typeof DeliveriesQuery>

export const WebhookList = Type.Array(ref(Webhook))
