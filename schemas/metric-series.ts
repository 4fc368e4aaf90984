import { Type, type Static } from '@sinclair/typebox'
import { Enum, Nullable } from './common.ts'
import { TopicPath } from './topics.ts'

/** The numbers of the dashboard, and counts. docs/DEBUGGER.md explains them. */
export const seriesMetrics = [
  'activeConnections', 'reconnectRate', 'eventsInPerSec', 'eventsOutPerSec', 'fanoutLatencyP50', 'fanoutLatencyP95',
  'fanoutLatencyP99', 'cdcLag', 'outboxLag', 'eventsCapturedPerSec', 'eventsRoutedPerSec', 'mappingFailures',
  'schemaValidationFailures', 'queueDepth', 'retryCount', 'dlqSize', 'webhookSuccessRate', 'webhookFailureRate',
  'eventsIn', 'eventsOut', 'deliveries', 'deliveryFailures', 'deliveryLatencyP95'
] as const
export type SeriesMetric = typeof seriesMetrics[number]

export const seriesUnits = [
  'connections', 'events', 'events/s', 'reconnects/s', 'ms', 'failures', 'items', 'deliveries', 'share'
] as const
export type SeriesUnit = typeof seriesUnits[number]

/** In seconds: the steps in which values are kept, and the largest step of a request. */
export const minuteSeconds = 60
export const quarterSeconds = 900
const stepMax = 30 * 86_400

const MetricName = Enum('SeriesMetric', seriesMetrics, {
  description:
    'A number of `GET /api/metrics/dashboard`, or a count of events or webhook deliveries.',
  examples: ['eventsIn']
})

const Time = (description: string, example: number) =>
  Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description, examples: [example] }))

export const SeriesQuery = Type.Object({
  metric: MetricName,
  topic: Type.Optional(
    Type.String({
      ...TopicPath.properties.name,
      description:
        'Only this topic. For eventsIn, eventsOut, eventsInPerSec, eventsOutPerSec, eventsRoutedPerSec and the ' +
          'fan-out latencies. Requires the permission to subscribe to it.'
    })
  ),
  webhookId: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 100,
      pattern: '^[A-Za-z0-9_-]+$',
      description:
        'Only this webhook. For deliveries, deliveryFailures, deliveryLatencyP95, webhookSuccessRate and ' +
          'webhookFailureRate. Requires `webhooks:read`.'
    })
  ),
  from: Time('The beginning, in epoch milliseconds. Default: an hour before the end.', 1705312800000),
  to: Time('The end, in epoch milliseconds. Default: now.', 1705316400000),
  step: Type.Optional(
    Type.Integer({
      minimum: minuteSeconds,
      maximum: stepMax,
      multipleOf: minuteSeconds,
      description:
        'Seconds from one point to the next: a multiple of 60. Default: a step that gives at most 300 points. Values ' +
          'older than a day have steps of at least 900.',
      examples: [60]
    })
  )
}, { additionalProperties: false })
export type SeriesQuery = Static<typeof SeriesQuery>

export const Series = Type.Object({
  metric: MetricName,
  unit: Enum('SeriesUnit', seriesUnits, {
    description: 'The unit of the values. A `share` is between 0 and 1.', examples: ['events']
  }),
  step: Type.Integer({
    description: 'Seconds from one point to the next. Larger than requested where only larger steps are kept.',
    examples: [60]
  }),
  points: Type.Array(
    Type.Array(Nullable(Type.Number()), { minItems: 2, maxItems: 2 }),
    {
      description:
        'Pairs of a time in epoch milliseconds and the value for the step that begins there, oldest first. The value ' +
          'is null if no node reported in that time.',
      examples: [[[1705312800000, 120], [1705312860000, null]]]
    }
  )
}, { $id: 'Series', description: 'The history of a metric.' })
export type Series = Static<typeof Series>
