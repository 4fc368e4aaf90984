import { Type, type Static } from '@sinclair/typebox'
import { Enum, EnvironmentName, EpochMs, ErrorDetail, Nullable, Page, ref } from './common.ts'
import { eventSources, eventTypes, RealtimeEvent } from './events.ts'

const EventId = Type.String({
  pattern: '^evt_[A-Za-z0-9_-]{16}$', description: "The event's id.", examples: ['evt_b3F0aGVyZXZlbnQx']
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
  description: 'What the answer to `subscribe` called it.',
  examples: ['sub_b3F0aGVyc3ViIQ']
})
const WebhookId = Type.String({
  minLength: 1, maxLength: 64, pattern: '^[\\x21-\\x7e]+$', examples: ['wh_b3F0aGVyaG9vaw']
})

export const traceStatuses = ['delivered', 'no_subscribers', 'pending', 'rejected', 'failed', 'stored'] as const
export type TraceStatus = typeof traceStatuses[number]
const Status = Enum('TraceStatus', traceStatuses, {
  description:
    '`delivered`: somebody got it, over a socket or by a webhook; `no_subscribers`: nobody wanted it; `pending`: ' +
      'webhooks have not settled yet, and nobody else got it; `rejected`: it was refused; `failed`: it could not be ' +
      'stored, or a webhook has given up; `stored`: it is in the log, and the rest is told to whoever may read the ' +
      'topic.',
  examples: ['delivered']
})

export const TraceFilterFields = {
  topic: Type.Optional(
    Type.String({
      minLength: 1, maxLength: 300, pattern: '^(?:\\*{1,2}|[a-z0-9]+)(?:\\.(?:\\*{1,2}|[a-z0-9_-]+))*$',
      description: 'A topic, or a pattern of topics.', examples: ['session.*']
    })
  ),
  source: Type.Optional(
    Enum('EventSource', eventSources, { description: 'Where the event came from.', examples: ['api'] })
  ),
  status: Type.Optional(Status),
  eventId: Type.Optional(EventId),
  from: Type.Optional(Time('Events from this time on.')),
  to: Type.Optional(Time('Events up to this time.'))
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
      description: 'The `id` of the last message: the stream goes on after it.'
    })
  )
})

export const EventPath = Type.Object({ eventId: EventId })

const TraceError = Type.Object({
  error: Text('The class of the refusal.', 'ValidationError'),
  code: Text('Exact and stable; see docs/ERRORS.md.', 'SCHEMA_VIOLATED'),
  message: Text(
    'What was wrong.', 'The payload violates version 2 of the schema of session.status: /payload/status must be string'
  ),
  details: Type.Optional(Type.Array(ErrorDetail))
})

const notTold = 'Null for whoever may not read the topic.'
const WebhookCounts = Type.Object({
  pending: Count('Still to be sent.', 0), delivered: Count('Accepted.', 1), dead: Count('Given up.', 0)
}, { description: 'By state.' })

const summary = {
  eventId: EventId,
  topic: Type.String({ examples: ['session.status'] }),
  type: Type.String({
    description: 'As in the envelope; of what was refused, as it would have been.', examples: [eventTypes[8]]
  }),
  source: Type.String({ examples: ['api'] }),
  status: Status,
  applicationId: Type.String({ examples: ['app_abc123'] }),
  environment: EnvironmentName,
  timestamp: EpochMs('When it was written, or refused.'),
  offset: Nullable(Type.Integer(), {
    description: "Its place in the topic's log; null when it is not there.", examples: [42]
  }),
  schemaVersion: Nullable(Type.Integer(), {
    description: 'The version that it was checked against, if any.', examples: [2]
  }),
  matched: Nullable(Count('', 2), {
    description: `Live subscriptions that it matched, on all nodes that were told of it so far. ${notTold}`
  }),
  filtered: Nullable(Count('', 1), { description: `Subscriptions to its topic that it did not match. ${notTold}` }),
  delivered: Nullable(Count('', 2), {
    description: `Of those that matched, the ones whose socket it was handed to. ${notTold}`
  }),
  webhooks: Nullable(WebhookCounts, { description: `Its webhook deliveries, by state. ${notTold}` }),
  lastLatencyMs: Nullable(Ms('From its timestamp to the last socket.'), {
    description: `From its timestamp to the last socket. Milliseconds. ${notTold}`
  }),
  error: Type.Optional(TraceError)
}

export const TraceSummary = Type.Object(summary, { $id: 'TraceSummary' })
export type TraceSummary = Static<typeof TraceSummary>

const RoutedOnNode = Type.Object({
  node: Text('Who did it.', 'node_b3F0aGVybm9kZTEx'),
  at: EpochMs('When.'),
  matched: Count('Subscriptions that it matched.', 2),
  filtered: Count('Subscriptions to its topic that it did not match.', 1),
  subscriptions: Type.Array(
    Type.Object({ subscriptionId: SubscriptionId, matched: Type.Boolean({ examples: [true] }) }),
    { description: 'The first 20 of each kind.' }
  )
})

const DeliveredOnNode = Type.Object({
  node: Text('Who did it.', 'node_b3F0aGVybm9kZTEx'),
  delivered: Count('Subscriptions whose socket it was handed to.', 2),
  givenUp: Count('Subscriptions that matched, and were given up because their client read too slowly.', 0),
  firstAt: Nullable(EpochMs('When it was handed to the first socket.')),
  lastAt: Nullable(EpochMs('When it was handed to the last socket.')),
  firstLatencyMs: Nullable(Ms('From its timestamp to the first socket.')),
  lastLatencyMs: Nullable(Ms('From its timestamp to the last socket.'))
})

export const WebhookAttemptTrace = Type.Object({
  at: EpochMs('When it was made.'),
  attempt: Count('Which it was.', 1),
  success: Type.Boolean({ examples: [true] }),
  statusCode: Nullable(Type.Integer(), { examples: [200] }),
  error: Nullable(Type.String(), { description: 'Why there was no answer, or a bad one.' }),
  durationMs: Nullable(Type.Integer(), { examples: [12] })
})
export const WebhookDeliveryTrace = Type.Object({
  deliveryId: Type.String({ examples: ['5d0e7d4e-7a70-4b8c-9d1b-0f1f2a3b4c5d'] }),
  webhookId: WebhookId,
  state: Text('`pending`, `delivered` or `dead`.', 'delivered'),
  createdAt: EpochMs('When it was owed.'),
  nextAttemptAt: Nullable(EpochMs('When it is tried next.')),
  settledAt: Nullable(EpochMs('When it was delivered, or given up.')),
  replayOf: Nullable(Type.String(), { description: 'The replay that it belongs to, if any.', examples: [null] }),
  attempts: Type.Array(WebhookAttemptTrace)
}, { $id: 'WebhookDeliveryTrace' })
export type WebhookDeliveryTrace = Static<typeof WebhookDeliveryTrace>

export const Trace = Type.Object({
  ...summary,
  received: Type.Object({
    at: EpochMs('When it was handed in.'),
    waitedMs: Ms('From there to the transaction that wrote it, or to its refusal.')
  }),
  schema: Nullable(
    Type.Object({
      at: EpochMs('When it was checked.'), version: Type.Integer({ examples: [2] }),
      valid: Type.Boolean({ examples: [true] }), errors: Type.Array(ErrorDetail)
    }),
    { description: "The check against the topic's active schema; null when there was none to make." }
  ),
  stored: Nullable(
    Type.Object({
      at: EpochMs('When it was committed.'), offset: Offset, epoch: Type.String({ examples: ['k3J9sQ2x'] }),
      node: Text('Who wrote it.', 'node_b3F0aGVybm9kZTEx')
    }),
    { description: 'Its place in the log; null when it was refused.' }
  ),
  routed: Type.Array(RoutedOnNode, {
    description:
      'On each node where somebody listened to its topic; empty for whoever may not read the topic, as are the two ' +
        'after it.'
  }),
  deliveries: Type.Array(DeliveredOnNode, { description: 'On each node where it matched somebody.' }),
  webhookDeliveries: Type.Array(ref(WebhookDeliveryTrace)),
  payload: Enum('TracePayload', ['shown', 'not_permitted', 'not_retained', 'not_kept'], {
    description:
      'Whether the payload is in this answer: `not_permitted` without the permission to subscribe to the topic, ' +
        '`not_retained` when the log has dropped it, `not_kept` of what was refused for another reason than its ' +
        'schema.',
    examples: ['shown']
  }),
  event: Type.Optional(ref(RealtimeEvent)),
  refusedPayload: Type.Optional(
    Type.String({
      description: 'JSON text of the payload that was refused, or its first 4 KiB.', examples: ['{"status":1}']
    })
  ),
  refusedPayloadBytes: Type.Optional(Type.Integer({ description: 'How long it is.', examples: [12] })),
  origin: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), {
      description: 'Of what another part of the platform refused: which mapping, which row.',
      examples: [{ mappingId: 'map_123' }]
    })
  )
}, { $id: 'Trace' })
export type Trace = Static<typeof Trace>

export const Sampling = Type.Object({
  sample: Type.Number({
    minimum: 0, maximum: 1, description: 'The share of events that is traced. Refusals always are.', examples: [0.1]
  }),
  isDefault: Type.Boolean({ description: "Whether it is the server's, `TRACE_SAMPLE`.", examples: [false] })
}, { $id: 'TraceSampling' })
export type Sampling = Static<typeof Sampling>
export const SamplingUpdate = Type.Object({
  sample: Nullable(Type.Number({ minimum: 0, maximum: 1 }), {
    description: 'The share of events that is traced; null: as the server is configured.', examples: [0.1]
  })
}, { $id: 'TraceSamplingUpdate', additionalProperties: false })
export type SamplingUpdate = Static<typeof SamplingUpdate>

export const Condition = Type.Object({
  condition: Text(
    'What was asked: `stored`, `application`, `environment`, `topic`, `permission`, `subscribed`, `connected`, ' +
      '`filter`, `active`, `event_type`, `delivery`, …',
    'filter'
  ),
  holds: Type.Boolean({ examples: [false] }),
  message: Text('The answer in words.', 'status is "active", not "ended"'),
  path: Type.Optional(
    Type.String({ description: 'Of a filter: the dotted path into the payload.', examples: ['status'] })
  ),
  operator: Type.Optional(Type.String({ description: 'Of a filter.', examples: ['eq'] })),
  wanted: Type.Optional(Type.Unknown({ description: 'What would have held.', examples: ['ended'] })),
  found: Type.Optional(
    Type.Unknown({
      description: 'What was there; absent without the permission to see the payload.', examples: ['active']
    })
  )
}, { $id: 'Condition' })
export type Condition = Static<typeof Condition>

export const RouteRequest = Type.Object({
  topic: TopicOf,
  payload: Type.Unknown({
    description: 'Any JSON: at most 256 KiB and 64 levels deep.', examples: [{ sessionId: 's1', status: 'ended' }]
  }),
  type: Type.Optional(
    Enum('EventType', eventTypes, {
      description: 'The type that the event would have; by the topic when absent.', examples: ['topic.event']
    })
  )
}, { $id: 'RouteRequest', additionalProperties: false })
export type RouteRequest = Static<typeof RouteRequest>

const RoutedSubscription = Type.Object({
  subscriptionId: SubscriptionId,
  subscribedTo: Type.String({ description: 'The topic, or the pattern.', examples: ['session.*'] }),
  node: Text('Where its socket is.', 'node_b3F0aGVybm9kZTEx'),
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
    exists: Type.Boolean({ description: "Whether it is registered, or one of the platform's own.", examples: [true] }),
    isOwn: Type.Boolean({
      description: "Whether it is one of the platform's own, to which nobody publishes.", examples: [false]
    })
  }),
  schema: Type.Object({
    version: Nullable(Type.Integer(), {
      description: 'The active version; null: none, anything passes.', examples: [2]
    }),
    valid: Type.Boolean({ examples: [true] }),
    errors: Type.Array(ErrorDetail)
  }),
  accepted: Type.Boolean({ description: 'Whether such an event would get into the log.', examples: [true] }),
  matched: Count('Live subscriptions, on all nodes, that would get it.', 2),
  filtered: Count('Live subscriptions to the topic that would not.', 1),
  subscriptions: Type.Array(RoutedSubscription, { description: 'The first 100 of each kind.' }),
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
      description: "A token, or a session's: whoever connects with it. It is kept nowhere.",
      examples: ['eyJhbGciOiJIUzI1NiJ9.e30.c2ln']
    })
  )
}, {
  $id: 'ExplainRequest',
  additionalProperties: false,
  description: 'One event, by its id or by `topic` and `offset`, and one of `subscriptionId`, `webhookId` and `token`.',
  examples: [{ eventId: 'evt_b3F0aGVyZXZlbnQx', subscriptionId: 'sub_b3F0aGVyc3ViIQ' }]
})
export type ExplainRequest = Static<typeof ExplainRequest>

export const outcomes = ['delivered', 'not_delivered', 'pending', 'unknown'] as const
const Outcome = Enum('ExplainOutcome', outcomes, {
  description:
    '`delivered`: it was handed to the socket, or accepted by the webhook; `pending`: it is on its way; `unknown`: ' +
      'what would tell was not kept.',
  examples: ['not_delivered']
})
const explanation = {
  outcome: Outcome,
  cause: Nullable(Type.String(), {
    description:
      'Why not, in one word: `FILTER_NOT_MATCHED`, `NOT_SUBSCRIBED_YET`, `PERMISSION_DENIED`, … (docs/DEBUGGER.md ' +
        'has them all); null when it was delivered.',
    examples: ['FILTER_NOT_MATCHED']
  }),
  message: Text('The same in a sentence.', 'The filter does not match: status is "active", not "ended"'),
  conditions: Type.Array(ref(Condition), {
    description: 'In the order in which they are decided. The cause is the first that does not hold.'
  })
}
export const ExplainAnswer = Type.Object({
  eventId: Nullable(EventId),
  ...explanation,
  subscriptions: Type.Optional(
    Type.Array(Type.Object({ subscriptionId: SubscriptionId, ...explanation }), {
      description: 'With `token`: each subscription of whoever it belongs to, the latest first.'
    })
  )
}, { $id: 'ExplainAnswer' })
export type ExplainAnswer = Static<typeof ExplainAnswer>

export const replayTargets = ['subscribers', 'webhooks', 'all'] as const
export const replayStates = ['pending', 'running', 'done', 'cancelled', 'failed'] as const
const Target = Enum('ReplayTarget', replayTargets, { description: 'To whom.', examples: ['subscribers'] })
export const ReplayRequest = Type.Object({
  eventIds: Type.Optional(
    Type.Array(EventId, { minItems: 1, maxItems: 1000, description: 'These events, in this order.' })
  ),
  topic: Type.Optional(TopicOf),
  fromOffset: Type.Optional(Offset),
  toOffset: Type.Optional(Offset),
  from: Type.Optional(Time('Events from this time on.')),
  to: Type.Optional(Time('Events up to this time.')),
  target: Target,
  webhookId: Type.Optional(WebhookId),
  ratePerSecond: Type.Optional(
    Type.Integer({
      minimum: 1, maximum: 10_000, default: 100, description: 'Events a second, at most.', examples: [100]
    })
  ),
  dryRun: Type.Optional(Type.Boolean({ default: false, description: 'Only count.', examples: [false] }))
}, {
  $id: 'ReplayRequest',
  additionalProperties: false,
  description: 'Events by `eventIds`, or by `topic` with `fromOffset` and `toOffset`, or with `from` and `to`.',
  examples: [{ topic: 'session.status', fromOffset: 40, toOffset: 42, target: 'subscribers' }]
})
export type ReplayRequest = Static<typeof ReplayRequest>

export const Replay = Type.Object({
  id: Type.String({ description: 'Empty for a dry run.', examples: ['rpl_b3F0aGVycmVwbGF5'] }),
  state: Enum('ReplayState', [...replayStates, 'dry_run'], { examples: ['running'] }),
  target: Target,
  webhookId: Nullable(Type.String(), { examples: [null] }),
  topic: Nullable(Type.String(), { examples: ['session.status'] }),
  ratePerSecond: Type.Integer({ examples: [100] }),
  total: Count('Events to be sent again.', 3),
  done: Count('Of them, those that were.', 1),
  sent: Nullable(Count('', 2), { description: `Subscriptions that got one: so many for each event. ${notTold}` }),
  passedOver: Nullable(Count('', 0), {
    description: `Subscriptions that did not, because their clients have too much to read. ${notTold}`
  }),
  missing: Count('Events that the log no longer had when their turn came.', 0),
  webhookDeliveries: Nullable(Count('', 0), { description: `Deliveries that were made for webhooks. ${notTold}` }),
  requestedBy: Text('Who asked for it.', 'usr_b3F0aGVydXNlcg'),
  message: Nullable(Type.String(), { description: 'Why it failed.', examples: [null] }),
  createdAt: EpochMs('When it was asked for.'),
  startedAt: Nullable(EpochMs('When the first event was sent.')),
  finishedAt: Nullable(EpochMs('When it was over.'))
}, { $id: 'Replay' })
export type Replay = Static<typeof Replay>

export const ReplayPath = Type.Object({
  id: Type.String({
    minLength: 1, maxLength: 64, pattern: '^[\\x21-\\x7e]+$', description: 'The replay.',
    examples: ['rpl_b3F0aGVycmVwbGF5']
  })
})
