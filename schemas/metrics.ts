import { Type, type Static } from '@sinclair/typebox'
import { EnvironmentName, Nullable } from './common.ts'

const PerSecond = (description: string) =>
  Type.Number({ description: `${description} Per second, averaged over the last ten seconds.`, examples: [12.5] })
const Ms = (description: string) => Type.Number({ description: `${description} Milliseconds.`, examples: [1.4] })
const Count = (description: string) => Type.Integer({ minimum: 0, description, examples: [3] })

export const Dashboard = Type.Object({
  delivery: Type.Object({
    activeConnections: Count('Open sockets.'),
    reconnectRate: PerSecond('Sockets reopened within a minute after a loss.'),
    eventsInPerSec: PerSecond('Events committed.'),
    eventsOutPerSec: PerSecond('Events handed to sockets, counted once per socket.'),
    fanoutLatencyP50: Ms(
      'Median time from the write of an event until it is handed to the last socket, over the last minute.'
    ),
    fanoutLatencyP95: Ms('95th percentile of the same time.'),
    fanoutLatencyP99: Ms('99th percentile of the same time.')
  }),
  pipeline: Type.Object({
    cdcLag: Ms('Largest lag between a commit in a connected database and its event; 0 without readers.'),
    outboxLag: Ms('Time for which the oldest due webhook delivery has waited.'),
    eventsCapturedPerSec: PerSecond('Events from row changes.'),
    eventsRoutedPerSec: PerSecond('Events matched against the subscriptions of their topic.'),
    mappingFailures: Count('Row changes of the last minute that a mapping failed on.'),
    schemaValidationFailures: Count('Payloads of the last minute that a schema rejected.')
  }),
  reliability: Type.Object({
    queueDepth: Count('Waiting writes, and waiting webhook deliveries.'),
    retryCount: Count('Webhook deliveries that have failed at least once and will be retried.'),
    dlqSize: Count('Dead webhook deliveries.'),
    webhookSuccessRate: Type.Number({
      minimum: 0, maximum: 1,
      description: 'Share of the attempts of the last hour that succeeded; 1 without any.', examples: [0.98]
    }),
    webhookFailureRate: Type.Number({
      minimum: 0, maximum: 1, description: 'Share of the attempts of the last hour that failed.', examples: [0.02]
    })
  })
}, { $id: 'Dashboard' })
export type Dashboard = Static<typeof Dashboard>

export const HotTopic = Type.Object({
  topic: Type.String({ examples: ['session.status'] }),
  eventsPerSec: PerSecond('Events of the topic.'),
  subscribers: Count('Live subscriptions to the topic, including those by pattern.'),
  fanoutLatencyP95: Nullable(Type.Number(), {
    description:
      '95th percentile of the time from the write of an event until it is handed to the last socket, over the last ' +
        'minute. Milliseconds. Null if the caller may not read the topic.',
    examples: [1.4]
  })
}, { $id: 'HotTopic' })
export type HotTopic = Static<typeof HotTopic>

export const HotTopicsQuery = Type.Object({
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 100, default: 20, description: 'Maximum number of topics.', examples: [20] })
  )
}, { additionalProperties: false })
export type HotTopicsQuery = Static<typeof HotTopicsQuery>

/** Optional on routes that cover everything that the caller has access to. */
export const ScopeHeaders = Type.Object({
  'x-application-id': Type.Optional(
    Type.String({ description: 'Limits the result to this application. A token belongs to one.' })
  ),
  'x-environment': Type.Optional(EnvironmentName)
})
