import { Type, type Static } from '@sinclair/typebox'
import { Enum, EnvironmentName, EpochMs, Nullable, Page, ref, Text } from './common.ts'
import { eventTypes } from './events.ts'

export const WebhookId = Type.String({
  minLength: 1, maxLength: 64, pattern: '^wh_[A-Za-z0-9_-]+$', description: 'The webhook.', examples: ['wh_abc123']
})
export const DeliveryId = Type.String({
  minLength: 36,
  maxLength: 36,
  pattern: '^dlv_[0-9a-f]{32}$',
  description: 'The delivery; its requests carry it as `webhook-id`.',
  examples: ['dlv_0d4f1c2a52e94b8e9c550d8a4f0f8f11']
})

export const WebhookEventName = Enum('WebhookEventType', [...eventTypes, '*'], {
  description: 'A type of event, whatever its source; `*` is all of them.', examples: ['document.updated']
})
export type WebhookEventName = Static<typeof WebhookEventName>

export const endpointStates = ['pending', 'delivered', 'dead'] as const
export type DeliveryState = typeof endpointStates[number]
const State = Enum('DeliveryState', endpointStates, {
  description: '`pending`: it will be tried, or is being tried. `dead`: given up, until it is retried.',
  examples: ['delivered']
})

const Url = Type.String({
  minLength: 1,
  maxLength: 2048,
  pattern: '^[Hh][Tt][Tt][Pp][Ss]?:[^\\s\\u0000-\\u001f]+$',
  description: 'Where events are posted to: https, at a public address.',
  examples: ['https://example.com/webhook']
})
const Secret = Type.String({
  minLength: 8,
  maxLength: 256,
  pattern: '^[\\x21-\\x7e]+$',
  description:
    'The key that signs. `whsec_` and base64 of 24 to 64 bytes (also as `v1,whsec_…`); any other text signs as its ' +
      'UTF-8 bytes, even when it looks like base64.',
  examples: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']
})
const Events = Type.Array(WebhookEventName, {
  minItems: 1, maxItems: eventTypes.length + 1, uniqueItems: true, description: 'The types of event that it fires for.',
  examples: [['database.event', 'document.updated']]
})
const Topics = Type.Array(Type.String({ minLength: 1, maxLength: 300 }), {
  minItems: 1,
  maxItems: 100,
  description:
    'Topics and topic patterns: `*` stands for one segment, `**` at the end for the rest. Without them, every topic.',
  examples: [['order.*']]
})
const Filter = Type.Record(Type.String(), Type.Unknown(), {
  description: 'As of a subscription: what the payload must have.', examples: [{ status: 'paid' }]
})
const Environments = Type.Array(EnvironmentName, {
  minItems: 1, maxItems: 3, uniqueItems: true,
  description: 'The environments whose events it fires for. Without them, all.', examples: [['production']]
})
const Ordering = Enum('WebhookOrdering', ['none', 'key'], {
  description:
    '`key`: events of one key are delivered one after the other, in the order of their offsets; one that is given ' +
      'up lets the next go. Events without a key have no order.',
  examples: ['none']
})
const RateLimit = Type.Integer({
  minimum: 1, maximum: 10_000, description: 'Requests a second, from each node of the platform.', examples: [100]
})
const Description = Text(2000, { description: 'For people.', examples: ['Tells the warehouse'] })

export const Webhook = Type.Object({
  id: Type.String({ examples: ['wh_abc123'] }),
  url: Type.String({ examples: ['https://example.com/webhook'] }),
  events: Type.Array(Type.String(), { examples: [['database.event', 'document.updated']] }),
  topics: Nullable(Type.Array(Type.String()), { examples: [null] }),
  filter: Nullable(Type.Record(Type.String(), Type.Unknown()), { examples: [null] }),
  environments: Nullable(Type.Array(EnvironmentName), { examples: [null] }),
  ordering: Ordering,
  rateLimit: Nullable(Type.Integer(), { examples: [null] }),
  description: Nullable(Type.String(), { examples: ['Tells the warehouse'] }),
  active: Type.Boolean({
    description: 'One that is not active gets no new events; what it is owed already waits.', examples: [true]
  }),
  deactivatedReason: Nullable(Enum('DeactivationReason', ['gone', 'failing']), {
    description: 'Why the platform has switched it off: it answered 410, or did nothing but fail for days.',
    examples: [null]
  }),
  failingSince: Nullable(Type.Integer(), {
    description: 'The first failure since its last success. Epoch milliseconds.', examples: [null]
  }),
  applicationId: Type.String({ examples: ['app_abc123'] }),
  createdAt: EpochMs('When it was created.'),
  updatedAt: EpochMs('When it was last changed.')
}, { $id: 'Webhook', description: 'Never with its secret.' })
export type Webhook = Static<typeof Webhook>

export const WebhookWithSecret = Type.Composite([
  Webhook,
  Type.Object({
    secret: Type.Optional(
      Type.String({
        description: 'The secret that was generated: it is shown this once.',
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
  active: Type.Optional(Type.Boolean({ description: 'As by `activate` and `deactivate`.', examples: [true] }))
}, { $id: 'WebhookUpdate', additionalProperties: false, minProperties: 1, examples: [{ events: ['*'] }] })
export type WebhookUpdate = Static<typeof WebhookUpdate>

export const SecretRotation = Type.Object({ secret: Type.Optional(Secret) }, {
  $id: 'SecretRotation', additionalProperties: false, examples: [{ secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }]
})
export type SecretRotation = Static<typeof SecretRotation>

/** How one attempt ended. */
const attemptFields = {
  statusCode: Nullable(Type.Integer(), { description: 'Of the answer; null when there was none.', examples: [200] }),
  success: Type.Boolean({ examples: [true] }),
  durationMs: Nullable(Type.Integer(), { description: 'How long it took.', examples: [84] }),
  error: Nullable(Type.String(), { description: 'What went wrong.', examples: [null] }),
  responseBody: Nullable(Type.String(), {
    description: 'The beginning of the answer, at most 1 KiB.', examples: ['ok']
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
    description: 'Null: it was a test.', examples: ['dlv_0d4f1c2a52e94b8e9c550d8a4f0f8f11']
  }),
  event: Type.String({ examples: ['database.event'] }),
  url: Type.String({ examples: ['https://example.com/webhook'] }),
  attempts: Type.Integer({ description: 'Which attempt at the delivery it was.', examples: [1] }),
  deliveredAt: EpochMs('When it ended.'),
  ...attemptFields
}, { $id: 'WebhookLog', description: 'One attempt.' })
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
  replayOf: Nullable(Type.String(), { description: 'The replay that asked for it.', examples: [null] }),
  state: State,
  attempts: Type.Integer({ description: 'How often it was tried.', examples: [1] }),
  nextAttemptAt: Nullable(Type.Integer(), {
    description:
      'When it is due, or while it is being tried, when it is due if nothing is heard of that. Epoch milliseconds.',
    examples: [null]
  }),
  settledAt: Nullable(Type.Integer(), {
    description: 'When it was delivered or given up. Epoch milliseconds.', examples: [1705312800000]
  }),
  statusCode: Nullable(Type.Integer(), { description: 'Of its last answer.', examples: [200] }),
  error: Nullable(Type.String(), { description: 'Of its last attempt.', examples: [null] }),
  createdAt: EpochMs('When its event was written, or its replay asked for.')
}, { $id: 'WebhookDelivery', description: 'What one webhook is owed of one event.' })
export type WebhookDelivery = Static<typeof WebhookDelivery>

export const Redrive = Type.Object({
  webhookId: Type.Optional(WebhookId),
  from: Type.Optional(
    Type.Integer({
      minimum: 0, maximum: Number.MAX_SAFE_INTEGER,
      description: 'Of events written at or after it. Epoch milliseconds.', examples: [1705312800000]
    })
  ),
  to: Type.Optional(
    Type.Integer({
      minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'Of events written before it. Epoch milliseconds.',
      examples: [1705399200000]
    })
  ),
  dryRun: Type.Optional(Type.Boolean({ default: false, description: 'Only count.', examples: [true] }))
}, { $id: 'Redrive', additionalProperties: false, examples: [{ webhookId: 'wh_abc123', dryRun: true }] })
export type Redrive = Static<typeof Redrive>

export const RedriveAnswer = Type.Object({
  matched: Type.Integer({
    description: 'Dead deliveries that the request speaks of, of webhooks that are active.', examples: [120]
  }),
  redriven: Type.Integer({ description: 'Those that were set going again.', examples: [120] }),
  remaining: Type.Integer({ description: 'Those that one request does not get to: ask again.', examples: [0] })
}, { $id: 'RedriveAnswer' })
export type RedriveAnswer = Static<typeof RedriveAnswer>

export const WebhookPath = Type.Object({ id: WebhookId })
export const DeliveryPath = Type.Object({ id: DeliveryId })

const filters = {
  event: Type.Optional(
    Enum('EventType', eventTypes, { description: 'Of this type of event only.', examples: ['document.updated'] })
  ),
  webhookId: Type.Optional(Type.String({ ...WebhookId, description: 'Of this webhook only.' }))
}
export const LogsQuery = Type.Object({
  ...filters,
  success: Type.Optional(
    Type.Boolean({ description: 'Those that succeeded, or those that did not.', examples: [false] })
  ),
  deliveryId: Type.Optional(Type.String({ ...DeliveryId, description: 'Of this delivery only.' })),
  ...Page
}, { additionalProperties: false })
export type LogsQuery = Static<typeof LogsQuery>

export const DeliveriesQuery = Type.Object({
  ...filters,
  state: Type.Optional(State),
  eventId: Type.Optional(
    Type.String({
      minLength: 1, maxLength: 64, pattern: '^evt_[A-Za-z0-9_-]+$', description: 'Of this event only.',
      examples: ['evt_b3F0aGVyZXZlbnQx']
    })
  ),
  ...Page
}, { additionalProperties: false })
export type DeliveriesQuery = Static<typeof DeliveriesQuery>

export const WebhookList = Type.Array(ref(Webhook))
