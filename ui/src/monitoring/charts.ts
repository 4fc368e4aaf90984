import type { Metric } from './series.ts'

export interface ChartSpec {
  title: string
  unit: string
  lines: readonly { name: string; metric: Metric }[]
  /** The subject that the chart can be narrowed to. */
  by?: 'topic' | 'webhook'
  /** Values are multiplied by it: shares become percent. */
  factor?: number
}

/** The charts of the page, in groups. Lines of a chart have the same unit. */
export const chartGroups: readonly { title: string; charts: readonly ChartSpec[] }[] = [
  {
    title: 'Delivery',
    charts: [
      {
        title: 'Events',
        unit: 'events/s',
        by: 'topic',
        lines: [
          { name: 'in', metric: 'eventsInPerSec' },
          { name: 'out', metric: 'eventsOutPerSec' }
        ]
      },
      {
        title: 'Fan-out latency',
        unit: 'ms',
        by: 'topic',
        lines: [
          { name: 'p50', metric: 'fanoutLatencyP50' },
          { name: 'p95', metric: 'fanoutLatencyP95' },
          { name: 'p99', metric: 'fanoutLatencyP99' }
        ]
      },
      { title: 'Connections', unit: 'open', lines: [{ name: 'connections', metric: 'activeConnections' }] },
      { title: 'Reconnects', unit: 'reconnects/s', lines: [{ name: 'reconnects', metric: 'reconnectRate' }] }
    ]
  },
  {
    title: 'Pipeline',
    charts: [
      { title: 'Routed', unit: 'events/s', by: 'topic', lines: [{ name: 'routed', metric: 'eventsRoutedPerSec' }] },
      {
        title: 'Captured from the database',
        unit: 'events/s',
        lines: [{ name: 'captured', metric: 'eventsCapturedPerSec' }]
      },
      { title: 'Database lag', unit: 'ms', lines: [{ name: 'lag', metric: 'cdcLag' }] },
      {
        title: 'Failures',
        unit: 'failures a step',
        lines: [
          { name: 'mappings', metric: 'mappingFailures' },
          { name: 'schemas', metric: 'schemaValidationFailures' }
        ]
      }
    ]
  },
  {
    title: 'Reliability',
    charts: [
      { title: 'Queue depth', unit: 'items', lines: [{ name: 'waiting', metric: 'queueDepth' }] },
      { title: 'Webhook queue wait', unit: 'ms', lines: [{ name: 'oldest', metric: 'outboxLag' }] },
      { title: 'Retrying', unit: 'deliveries', lines: [{ name: 'retrying', metric: 'retryCount' }] },
      { title: 'Dead', unit: 'deliveries', lines: [{ name: 'dead', metric: 'dlqSize' }] }
    ]
  },
  {
    title: 'Webhooks',
    charts: [
      {
        title: 'Attempts',
        unit: 'a step',
        by: 'webhook',
        lines: [
          { name: 'delivered', metric: 'deliveries' },
          { name: 'failed', metric: 'deliveryFailures' }
        ]
      },
      {
        title: 'Success rate',
        unit: '%',
        factor: 100,
        by: 'webhook',
        lines: [{ name: 'success', metric: 'webhookSuccessRate' }]
      },
      {
        title: 'Delivery latency',
        unit: 'ms',
        by: 'webhook',
        lines: [{ name: 'p95', metric: 'deliveryLatencyP95' }]
      }
    ]
  }
]
