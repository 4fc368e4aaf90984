import { Type, type Static } from '@sinclair/typebox'
import { Enum, EnvironmentName, EpochMs, ErrorDetail, Nullable, Page, ref } from './common.ts'
import { listFields, listShape } from './lists.ts'
import { eventSources, eventTypes, RealtimeEvent } from './events.ts'

const EventId = Type.String({
  pattern: '^evt_[A-Za-z0-9_-]{16}$', description: 'The ID of the event.', examples: ['evt_b3F0aGVyZXZlbnQx']
})
const TopicOf = Type.String({
  minLength: 1, maxLength: 300, pattern: '^[a-z0-9]+(\\.[a-z0-9_-]+)*$', examples: ['session.status']
})
const Offset = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, examples: [42] })
const Time = (description: string) =>
  Type.Integer({
    minimum: 0,
    maximum: 8_640_000_000_000_000,
    description: `${description} Epoch milliseconds.`,
    examples: [1705312800000]
  })
const Ms = (description: string) => Type.Number({ description: `${description} Milliseconds.`, examples: [1.4] })
const Text = (description: string, example: string) => Type.String({ description, examples: [example] })
const Count = (description: string, example: number) =>
  Type.Integer({ minimum: 0, ...(description !== '' && { description }), examples: [example] })
const SubscriptionId = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: '^[\\x21-\\x7e]+$',
  description: 'The ID of the subscription, from the response to `subscribe`.',
  examples: ['sub_b3F0aGVyc3ViIQ']
})
const WebhookId = Type.String({
  minLength: 1, maxLength: 64, pattern: '^[\\x21-\\x7e]+$', examples: ['wh_b3F0aGVyaG9vaw']
})

export const traceStatuses = ['delivered', 'no_subscribers', 'pending', 'rejected', 'failed', 'stored'] as const
export type TraceStatus = typeof traceStatuses[number]
const Status = Enum('TraceStatus', traceStatuses, {
  description:
    '`delivered`: sent to a socket or accepted by a webhook. `no_subscribers`: stored, without a recipient. ' +
      '`pending`: webhook deliveries are pending, and no other recipient got it. `rejected`: not accepted. ' +
      '`failed`: it could not be stored, or a webhook delivery is dead. `stored`: stored; its recipients are visible ' +
      'only with permission to read the topic.',
  examples: ['delivered']
})

export const TraceFilterFields = {
  topic: Type.Optional(
    Type.String({
      minLength: 1, maxLength: 300, pattern: '^(?:\\*{1,2}|[a-z0-9]+)(?:\\.(?:\\*{1,2}|[a-z0-9_-]+))*$',
      description: 'A topic or a topic pattern.', examples: ['session.*']
    })
  ),
  source: Type.Optional(
    Enum('EventSource', eventSources, { description: 'The source of the event.', examples: ['api'] })
  ),
  status: Type.Optional(Status),
  eventId: Type.Optional(EventId),
  from: Type.Optional(Time('Only events at or after this time.')),
  to: Type.Optional(Time('Only events at or before this time.'))
}
export const TraceQuery = Type.Object({ ...TraceFilterFields, ...Page }, { additionalProperties: false })
export type TraceQuery = Static<typeof TraceQuery>
export const StreamQuery = Type.Object(TraceFilterFields, { additionalProperties: false })
export type StreamQuery = Static<typeof StreamQuery>
export const StreamHeaders = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({
      maxLength: 8192,
      pattern: '^[A-Za-z0-9_-]*$',
      description: 'The `id` of the last message received. The stream continues after it.'
    })
  )
})

export const EventPath = Type.Object({ eventId: EventId })

const TraceError = Type.Object({
  error: Text('The class of the error.', 'ValidationError'),
  code: Text('The stable error code; see docs/ERRORS.md.', 'SCHEMA_VIOLATED'),
  message: Text(
    'Why the event was rejected.',
    'The payload violates version 2 of the schema of session.status: /payload/status must be string'
  ),
  details: Type.Optional(Type.Array(ErrorDetail))
})

const notTold = 'Null without permission to read the topic.'
const WebhookCounts = Type.Object({
  pending: Count('Pending deliveries.', 0),
  delivered: Count('Accepted deliveries.', 1),
  dead: Count('Deliveries that were given up.', 0)
}, { description: 'Webhook deliveries by state.' })

const summary = {
  eventId: EventId,
  topic: Type.String({ examples: ['session.status'] }),
  type: Type.String({
    description: 'The type in the envelope. For a rejected event, the type it would have had.',
    examples: [eventTypes[8]]
  }),
  source: Type.String({ examples: ['api'] }),
  status: Status,
  applicationId: Type.String({ examples: ['app_abc123'] }),
  environment: EnvironmentName,
  timestamp: EpochMs('When the event was stored or rejected.'),
  offset: Nullable(Type.Integer(), {
    description: "The offset in the topic's log; null when the event was not stored.", examples: [42]
  }),
  schemaVersion: Nullable(Type.Integer(), {
    description: 'The schema version that the payload was checked against, if any.', examples: [2]
  }),
  matched: Nullable(Count('', 2), {
    description: `Live subscriptions that the event matched, on all nodes that have reported so far. ${notTold}`
  }),
  filtered: Nullable(Count('', 1), {
    description: `Live subscriptions to the topic that the event did not match. ${notTold}`
  }),
  delivered: Nullable(Count('', 2), {
    description: `Matching subscriptions to whose socket the event was sent. ${notTold}`
  }),
  webhooks: Nullable(WebhookCounts, { description: `Webhook deliveries of the event by state. ${notTold}` }),
  lastLatencyMs: Nullable(Ms('From the timestamp of the event to the last socket.'), {
    description: `Time from the timestamp of the event to the last socket, in milliseconds. ${notTold}`
  }),
  error: Type.Optional(TraceError)
}

export const TraceSummary = Type.Object(summary, { $id: 'TraceSummary' })
export type TraceSummary = Static<typeof TraceSummary>

const RoutedOnNode = Type.Object({
  node: Text('The node that routed the event.', 'node_b3F0aGVybm9kZTEx'),
  at: EpochMs('When the node routed the event.'),
  matched: Count('Subscriptions that the event matched.', 2),
  filtered: Count('Subscriptions to the topic that the event did not match.', 1),
  subscriptions: Type.Array(
    Type.Object({ subscriptionId: SubscriptionId, matched: Type.Boolean({ examples: [true] }) }),
    { description: 'The first 20 subscriptions of each kind.' }
  )
})

const DeliveredOnNode = Type.Object({
  node: Text('The node that sent the event.', 'node_b3F0aGVybm9kZTEx'),
  delivered: Count('Subscriptions to whose socket the event was sent.', 2),
  givenUp: Count('Matching subscriptions that ended with `resync` because their client read too slowly.', 0),
  firstAt: Nullable(EpochMs('When the event was sent to the first socket.')),
  lastAt: Nullable(EpochMs('When the event was sent to the last socket.')),
  firstLatencyMs: Nullable(Ms('From the timestamp of the event to the first socket.')),
  lastLatencyMs: Nullable(Ms('From the timestamp of the event to the last socket.'))
})

export const WebhookAttemptTrace = Type.Object({
  at: EpochMs('When the attempt ended.'),
  attempt: Count('The number of the attempt.', 1),
  success: Type.Boolean({ examples: [true] }),
  statusCode: Nullable(Type.Integer(), { examples: [200] }),
  error: Nullable(Type.String(), { description: 'Why the attempt failed.' }),
  durationMs: Nullable(Type.Integer(), { examples: [12] })
})
export const WebhookDeliveryTrace = Type.Object({
  deliveryId: Type.String({ examples: ['5d0e7d4e-7a70-4b8c-9d1b-0f1f2a3b4c5d'] }),
  webhookId: WebhookId,
  state: Text('`pending`, `delivered` or `dead`.', 'delivered'),
  createdAt: EpochMs('When the delivery was created.'),
  nextAttemptAt: Nullable(EpochMs('When the next attempt is due.')),
  settledAt: Nullable(EpochMs('When the delivery became delivered or dead.')),
  replayOf: Nullable(Type.String(), { description: 'The replay that created the delivery, if any.', examples: [null] }),
  attempts: Type.Array(WebhookAttemptTrace)
}, { $id: 'WebhookDeliveryTrace' })
export type WebhookDeliveryTrace = Static<typeof WebhookDeliveryTrace>

export const Trace = Type.Object({
  ...summary,
  received: Type.Object({
    at: EpochMs('When the event was received.'),
    waitedMs: Ms('From the receipt to the transaction that stored the event, or to its rejection.')
  }),
  schema: Nullable(
    Type.Object({
      at: EpochMs('When the payload was checked.'), version: Type.Integer({ examples: [2] }),
      valid: Type.Boolean({ examples: [true] }), errors: Type.Array(ErrorDetail)
    }),
    { description: "The check against the topic's active schema; null without such a schema." }
  ),
  stored: Nullable(
    Type.Object({
      at: EpochMs('When the event was committed.'), offset: Offset, epoch: Type.String({ examples: ['k3J9sQ2x'] }),
      node: Text('The node that stored the event.', 'node_b3F0aGVybm9kZTEx'),
      batch: Type.Integer({
        description: 'How many traced events of the topic were stored together, in one transaction.', examples: [14]
      })
    }),
    { description: 'The place of the event in the log; null when it was rejected.' }
  ),
  routed: Type.Array(RoutedOnNode, {
    description:
      'One entry per node with subscriptions to the topic. Without permission to read the topic, `routed`, ' +
        '`deliveries` and `webhookDeliveries` are empty.'
  }),
  deliveries: Type.Array(DeliveredOnNode, { description: 'One entry per node with matching subscriptions.' }),
  webhookDeliveries: Type.Array(ref(WebhookDeliveryTrace)),
  payload: Enum('TracePayload', ['shown', 'not_permitted', 'not_retained', 'not_kept'], {
    description:
      'Whether the response contains the payload. `not_permitted`: you may not subscribe to the topic. ' +
        '`not_retained`: the log has dropped the event. `not_kept`: the event was rejected for a reason other than ' +
        'its schema.',
    examples: ['shown']
  }),
  event: Type.Optional(ref(RealtimeEvent)),
  refusedPayload: Type.Optional(
    Type.String({
      description: 'JSON text of the rejected payload, or its first 4 KiB.', examples: ['{"status":1}']
    })
  ),
  refusedPayloadBytes: Type.Optional(
    Type.Integer({ description: 'The length of the whole rejected payload in bytes.', examples: [12] })
  ),
  origin: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), {
      description: 'Where the rejection happened, for example the mapping and the row.',
      examples: [{ mappingId: 'map_123' }]
    })
  )
}, { $id: 'Trace' })
export type Trace = Static<typeof Trace>

export const Sampling = Type.Object({
  sample: Type.Number({
    minimum: 0, maximum: 1, description: 'The share of events to trace. Rejections are always traced.', examples: [0.1]
  }),
  isDefault: Type.Boolean({
    description: 'Whether the share is the default of the server (`TRACE_SAMPLE`).', examples: [false]
  })
}, { $id: 'TraceSampling' })
export type Sampling = Static<typeof Sampling>
export const SamplingUpdate = Type.Object({
  sample: Nullable(Type.Number({ minimum: 0, maximum: 1 }), {
    description: 'The share of events to trace; null restores the default of the server.', examples: [0.1]
  })
}, { $id: 'TraceSamplingUpdate', additionalProperties: false })
export type SamplingUpdate = Static<typeof SamplingUpdate>

export const Condition = Type.Object({
  condition: Text(
    'The condition that was checked: `stored`, `application`, `environment`, `topic`, `permission`, `subscribed`, ' +
      '`connected`, `filter`, `active`, `event_type`, `delivery`, …',
    'filter'
  ),
  holds: Type.Boolean({ examples: [false] }),
  message: Text('The result in words.', 'The filter does not match: status is "active", expected eq "ended"'),
  path: Type.Optional(
    Type.String({ description: 'For a filter: the dotted path into the payload.', examples: ['status'] })
  ),
  operator: Type.Optional(Type.String({ description: 'For a filter: its operator.', examples: ['eq'] })),
  wanted: Type.Optional(Type.Unknown({ description: 'The expected value.', examples: ['ended'] })),
  found: Type.Optional(
    Type.Unknown({
      description: 'The actual value; absent without permission to see the payload.', examples: ['active']
    })
  )
}, { $id: 'Condition' })
export type Condition = Static<typeof Condition>

export const RouteRequest = Type.Object({
  topic: TopicOf,
  payload: Type.Unknown({
    description: 'Any JSON of at most 256 KiB and 64 levels.', examples: [{ sessionId: 's1', status: 'ended' }]
  }),
  type: Type.Optional(
    Enum('EventType', eventTypes, {
      description: 'The type of the event. By default, the type of events on the topic.', examples: ['topic.event']
    })
  )
}, { $id: 'RouteRequest', additionalProperties: false })
export type RouteRequest = Static<typeof RouteRequest>

const RoutedSubscription = Type.Object({
  subscriptionId: SubscriptionId,
  subscribedTo: Type.String({ description: 'The topic or pattern of the subscription.', examples: ['session.*'] }),
  node: Text('The node with the socket.', 'node_b3F0aGVybm9kZTEx'),
  socketId: Type.String({ examples: ['conn_b3F0aGVyY29ubjEx'] }),
  matches: Type.Boolean({ examples: [true] }),
  conditions: Type.Array(ref(Condition))
})
const RoutedWebhook = Type.Object({
  webhookId: WebhookId, matches: Type.Boolean({ examples: [true] }), conditions: Type.Array(ref(Condition))
})

export const RouteAnswer = Type.Object({
  topic: Type.Object({
    name: Type.String({ examples: ['session.status'] }),
    exists: Type.Boolean({
      description: 'Whether the topic is registered or belongs to the platform.', examples: [true]
    }),
    isOwn: Type.Boolean({
      description: 'Whether the topic belongs to the platform, so that applications cannot publish to it.',
      examples: [false]
    })
  }),
  schema: Type.Object({
    version: Nullable(Type.Integer(), {
      description: 'The active version; null without a schema.', examples: [2]
    }),
    valid: Type.Boolean({ examples: [true] }),
    errors: Type.Array(ErrorDetail)
  }),
  accepted: Type.Boolean({ description: 'Whether such an event would be stored.', examples: [true] }),
  matched: Count('Live subscriptions on all nodes that would receive the event.', 2),
  filtered: Count('Live subscriptions to the topic that would not receive it.', 1),
  subscriptions: Type.Array(RoutedSubscription, { description: 'The first 100 subscriptions of each kind.' }),
  webhooks: Type.Array(RoutedWebhook)
}, { $id: 'RouteAnswer' })
export type RouteAnswer = Static<typeof RouteAnswer>

export const ExplainRequest = Type.Object({
  eventId: Type.Optional(EventId),
  topic: Type.Optional(TopicOf),
  offset: Type.Optional(Offset),
  subscriptionId: Type.Optional(SubscriptionId),
  webhookId: Type.Optional(WebhookId),
  token: Type.Optional(
    Type.String({
      minLength: 1, maxLength: 8192,
      description: 'A token, or the token of a session. Explains the subscriptions made with it. It is not stored.',
      examples: ['eyJhbGciOiJIUzI1NiJ9.e30.c2ln']
    })
  )
}, {
  $id: 'ExplainRequest',
  additionalProperties: false,
  description:
    'Name one event, by `eventId` or by `topic` and `offset`, and one of `subscriptionId`, `webhookId` and `token`.',
  examples: [{ eventId: 'evt_b3F0aGVyZXZlbnQx', subscriptionId: 'sub_b3F0aGVyc3ViIQ' }]
})
export type ExplainRequest = Static<typeof ExplainRequest>

export const outcomes = ['delivered', 'not_delivered', 'pending', 'unknown'] as const
const Outcome = Enum('ExplainOutcome', outcomes, {
  description:
    '`delivered`: sent to the socket, or accepted by the webhook. `pending`: on its way. `unknown`: the records that ' +
      'would show it are missing.',
  examples: ['not_delivered']
})
const explanation = {
  outcome: Outcome,
  cause: Nullable(Type.String(), {
    description:
      'Why the event did not arrive: `FILTER_NOT_MATCHED`, `NOT_SUBSCRIBED_YET`, `PERMISSION_DENIED`, … ' +
        '(docs/DEBUGGER.md lists all). Null when it was delivered.',
    examples: ['FILTER_NOT_MATCHED']
  }),
  message: Text('The cause in a sentence.', 'The filter does not match: status is "active", expected eq "ended"'),
  conditions: Type.Array(ref(Condition), {
    description: 'All conditions in the order of their checks. The first one that does not hold is the cause.'
  })
}
export const ExplainAnswer = Type.Object({
  eventId: Nullable(EventId),
  ...explanation,
  subscriptions: Type.Optional(
    Type.Array(Type.Object({ subscriptionId: SubscriptionId, ...explanation }), {
      description: 'With `token`: each subscription of its owner, the latest first.'
    })
  )
}, { $id: 'ExplainAnswer' })
export type ExplainAnswer = Static<typeof ExplainAnswer>

export const replayTargets = ['subscribers', 'webhooks', 'all'] as const
export const replayStates = ['pending', 'running', 'done', 'cancelled', 'failed'] as const
const Target = Enum('ReplayTarget', replayTargets, {
  description: 'The recipients of the replay.', examples: ['subscribers']
})
export const ReplayRequest = Type.Object({
  eventIds: Type.Optional(
    Type.Array(EventId, { minItems: 1, maxItems: 1000, description: 'The events to replay, in this order.' })
  ),
  topic: Type.Optional(TopicOf),
  fromOffset: Type.Optional(Offset),
  toOffset: Type.Optional(Offset),
  from: Type.Optional(Time('Only events at or after this time.')),
  to: Type.Optional(Time('Only events at or before this time.')),
  target: Target,
  webhookId: Type.Optional(WebhookId),
  ratePerSecond: Type.Optional(
    Type.Integer({
      minimum: 1, maximum: 10_000, default: 100, description: 'Maximum events per second.', examples: [100]
    })
  ),
  dryRun: Type.Optional(Type.Boolean({
    default: false, description: 'Only count the events; send nothing.', examples: [false]
  }))
}, {
  $id: 'ReplayRequest',
  additionalProperties: false,
  description: 'Name events by `eventIds`, or by `topic` with `fromOffset` and `toOffset`, or with `from` and `to`.',
  examples: [{ topic: 'session.status', fromOffset: 40, toOffset: 42, target: 'subscribers' }]
})
export type ReplayRequest = Static<typeof ReplayRequest>

export const Replay = Type.Object({
  id: Type.String({ description: 'The ID of the replay; empty for a dry run.', examples: ['rpl_b3F0aGVycmVwbGF5'] }),
  state: Enum('ReplayState', [...replayStates, 'dry_run'], { examples: ['running'] }),
  target: Target,
  webhookId: Nullable(Type.String(), { examples: [null] }),
  topic: Nullable(Type.String(), { examples: ['session.status'] }),
  ratePerSecond: Type.Integer({ examples: [100] }),
  total: Count('Number of events to replay.', 3),
  done: Count('Number of events replayed so far.', 1),
  sent: Nullable(Count('', 2), { description: `Events sent to subscriptions, counted per subscription. ${notTold}` }),
  passedOver: Nullable(Count('', 0), {
    description: `Events not sent because the buffer of the client's socket was too full. ${notTold}`
  }),
  missing: Count('Events that the log no longer contained.', 0),
  webhookDeliveries: Nullable(Count('', 0), { description: `Webhook deliveries created by the replay. ${notTold}` }),
  requestedBy: Text('The principal that requested the replay.', 'usr_b3F0aGVydXNlcg'),
  message: Nullable(Type.String(), { description: 'Why the replay failed.', examples: [null] }),
  createdAt: EpochMs('When the replay was requested.'),
  startedAt: Nullable(EpochMs('When the replay started.')),
  finishedAt: Nullable(EpochMs('When the replay ended.'))
}, { $id: 'Replay' })
export type Replay = Static<typeof Replay>

export const replayList = listShape('replays', {
  sorts: ['createdAt'], order: 'desc', search: ['topic', 'requestedBy', 'message']
})
export const ReplayQuery = Type.Object({
  ...listFields(replayList, 'session'),
  state: Type.Optional(Enum('StoredReplayState', replayStates, {
    description: 'Only replays in this state.', examples: ['running']
  })),
  target: Type.Optional({ ...Target, description: 'Only replays to this kind of recipient.' }),
  topic: Type.Optional({ ...TopicOf, description: 'Only replays that name this topic.' }),
  webhookId: Type.Optional({ ...WebhookId, description: 'Only replays to this webhook.' })
}, { additionalProperties: false })
export type ReplayQuery = Static<typeof ReplayQuery>

export const ReplayPath = Type.Object({
  id: Type.String({
    minLength: 1, maxLength: 64, pattern: '^[\\x21-\\x7e]+$', description: 'The ID of the replay.',
    examples: ['rpl_b3F0aGVycmVwbGF5']
  })
})
