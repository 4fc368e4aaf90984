import type { SeriesMetric, SeriesUnit } from '../../../schemas/metric-series.ts'
import type { Kind } from './row.ts'

/** The sums of a period, over all nodes and scopes. Of waiting items and lags, it has the largest value. */
export interface Sums {
  received: number
  captured: number
  routed: number
  delivered: number
  reconnects: number
  schema_violations: number
  mapping_failures: number
  connection_ms: number
  succeeded: number
  failed: number
  queued: number
  retrying: number
  dead: number
  oldest_due_ms: number
  cdc_lag_ms: number
}

/** The sums of a period in which nothing has happened. */
export const nothing: Sums = {
  received: 0, captured: 0, routed: 0, delivered: 0, reconnects: 0, schema_violations: 0, mapping_failures: 0,
  connection_ms: 0, succeeded: 0, failed: 0, queued: 0, retrying: 0, dead: 0, oldest_due_ms: 0, cdc_lag_ms: 0
}

interface Definition {
  unit: SeriesUnit
  /** The rows that have it for a scope. */
  kind: Exclude<Kind, 'topic'>
  /** Whether it also exists for one topic. */
  isOfTopic?: true
  /** Whether it is a sample of a state that all nodes share. */
  isSampled?: true
  /** The value of a period of so many seconds; or, of a latency, the share of durations that are not longer. */
  value: ((sums: Sums, seconds: number) => number) | { percentile: number }
}

const share = (part: number, sums: Sums, otherwise: number) => {
  const attempts = sums.succeeded + sums.failed
  return attempts === 0 ? otherwise : part / attempts
}

/** How each metric is computed from stored rows. Those of webhooks also exist for one webhook. */
export const definitions: Record<SeriesMetric, Definition> = {
  activeConnections: {
    unit: 'connections', kind: 'scope', value: (sums, seconds) => sums.connection_ms / 1000 / seconds
  },
  reconnectRate: { unit: 'reconnects/s', kind: 'scope', value: (sums, seconds) => sums.reconnects / seconds },
  eventsInPerSec: {
    unit: 'events/s', kind: 'scope', isOfTopic: true, value: (sums, seconds) => sums.received / seconds
  },
  eventsOutPerSec: {
    unit: 'events/s', kind: 'scope', isOfTopic: true, value: (sums, seconds) => sums.delivered / seconds
  },
  fanoutLatencyP50: { unit: 'ms', kind: 'scope', isOfTopic: true, value: { percentile: 0.5 } },
  fanoutLatencyP95: { unit: 'ms', kind: 'scope', isOfTopic: true, value: { percentile: 0.95 } },
  fanoutLatencyP99: { unit: 'ms', kind: 'scope', isOfTopic: true, value: { percentile: 0.99 } },
  cdcLag: { unit: 'ms', kind: 'scope', isSampled: true, value: sums => sums.cdc_lag_ms },
  outboxLag: { unit: 'ms', kind: 'scope', isSampled: true, value: sums => sums.oldest_due_ms },
  eventsCapturedPerSec: { unit: 'events/s', kind: 'scope', value: (sums, seconds) => sums.captured / seconds },
  eventsRoutedPerSec: {
    unit: 'events/s', kind: 'scope', isOfTopic: true, value: (sums, seconds) => sums.routed / seconds
  },
  mappingFailures: { unit: 'failures', kind: 'scope', value: sums => sums.mapping_failures },
  schemaValidationFailures: { unit: 'failures', kind: 'scope', value: sums => sums.schema_violations },
  queueDepth: { unit: 'items', kind: 'scope', isSampled: true, value: sums => sums.queued },
  retryCount: { unit: 'deliveries', kind: 'scope', isSampled: true, value: sums => sums.retrying },
  dlqSize: { unit: 'deliveries', kind: 'scope', isSampled: true, value: sums => sums.dead },
  webhookSuccessRate: { unit: 'share', kind: 'webhook', value: sums => share(sums.succeeded, sums, 1) },
  webhookFailureRate: { unit: 'share', kind: 'webhook', value: sums => share(sums.failed, sums, 0) },
  eventsIn: { unit: 'events', kind: 'scope', isOfTopic: true, value: sums => sums.received },
  eventsOut: { unit: 'events', kind: 'scope', isOfTopic: true, value: sums => sums.delivered },
  deliveries: { unit: 'deliveries', kind: 'webhook', value: sums => sums.succeeded },
  deliveryFailures: { unit: 'failures', kind: 'webhook', value: sums => sums.failed },
  deliveryLatencyP95: { unit: 'ms', kind: 'webhook', value: { percentile: 0.95 } }
}
