import { Type, type Static } from '@sinclair/typebox'
import { EnvironmentName, Nullable } from './common.ts'

const PerSecond = (description: string) =>
  Type.Number({ description: `${description} A second, over the last ten.`, examples: [12.5] })
const Ms = (description: string) => Type.Number({ description: `${description} Milliseconds.`, examples: [1.4] })
const Count = (description: string) => Type.Integer({ minimum: 0, description, examples: [3] })

export const Dashboard = Type.Object({
  delivery: Type.Object({
    activeConnections: Count('Open sockets.'),
    reconnectRate: PerSecond('Sockets opened by somebody who had lost one in the minute before.'),
    eventsInPerSec: PerSecond('Events committed.'),
    eventsOutPerSec: PerSecond('Events handed to sockets: one a socket and event.'),
    fanoutLatencyP50: Ms('From the write of an event to its last socket, half of them within; over the last minute.'),
    fanoutLatencyP95: Ms('95 in 100 within.'),
    fanoutLatencyP99: Ms('99 in 100 within.')
  }),
  pipeline: Type.Object({
    cdcLag: Ms('From a commit in the application\'s database to its event, at worst; 0 without readers.'),
    outboxLag: Ms('How long the oldest webhook delivery that is due has waited.'),
    eventsCapturedPerSec: PerSecond('Events from row changes.'),
    eventsRoutedPerSec: PerSecond('Events matched with the subscriptions of their topic.'),
    mappingFailures: Count('Row changes that a mapping failed on, in the last minute.'),
    schemaValidationFailures: Count('Payloads refused by a schema, in the last minute.')
  }),
  reliability: Type.Object({
    queueDepth: Count('Writes that wait to be stored, and webhook deliveries that wait to be sent.'),
    retryCount: Count('Webhook deliveries that have failed at least once and are tried again.'),
    dlqSize: Count('Webhook deliveries that were given up.'),
    webhookSuccessRate: Type.Number({
      minimum: 0, maximum: 1,
      description: 'Of the attempts of the last hour, those that succeeded; 1 when there were none.', examples: [0.98]
    }),
    webhookFailureRate: Type.Number({
      minimum: 0, maximum: 1, description: 'Of the attempts of the last hour, those that failed.', examples: [0.02]
    })
  })
}, { $id: 'Dashboard' })
export type Dashboard = Static<typeof Dashboard>

export const HotTopic = Type.Object({
  topic: Type.String({ examples: ['session.status'] }),
  eventsPerSec: PerSecond('Its events.'),
  subscribers: Count('Live subscriptions to it, those of patterns included.'),
  fanoutLatencyP95: Nullable(Type.Number(), {
    description:
      'From the write of an event to its last socket, 95 in 100 within; over the last minute. Milliseconds. Null ' +
        'for whoever may not read the topic.',
    examples: [1.4]
  })
}, { $id: 'HotTopic' })
export type HotTopic = Static<typeof HotTopic>

export const HotTopicsQuery = Type.Object({
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 100, default: 20, description: 'So many at most.', examples: [20] })
  )
}, { additionalProperties: false })
export type HotTopicsQuery = Static<typeof HotTopicsQuery>

/** Optional on routes that are about as much as the caller reaches. */
export const ScopeHeaders = Type.Object({
  'x-application-id': Type.Optional(Type.String({ description: 'Only of this application; a token has its own.' })),
  'x-environment': Type.Optional(EnvironmentName)
})
