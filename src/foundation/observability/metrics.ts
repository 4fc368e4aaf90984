import { getHeapStatistics } from 'node:v8'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { LargestGauge } from './largest-gauge.ts'
import { labelledCounter, labelledGauge } from './metric-labels.ts'
import { version } from '../version.ts'

/**
 * Limit of distinct label values of a metric. Further values become `other`, so that a tenant cannot create unlimited
 * series.
 */
const labelValuesMax = 200

/** Returns a function that keeps the first `max` distinct values and maps all others to `other`. */
export function boundedLabel (max = labelValuesMax): (value: string) => string {
  const known = new Set<string>()
  return value => {
    if (known.has(value)) return value
    if (known.size >= max) return 'other'
    known.add(value)
    return value
  }
}

/** Combines the topics of documents of all services: `sync.*.created`. */
function topicLabel (): (topic: string) => string {
  const bounded = boundedLabel()
  return topic => bounded(topic.startsWith('sync.') ? `sync.*${topic.slice(topic.lastIndexOf('.'))}` : topic)
}

const latencyBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Numbers whose owners count them; read when metrics are collected. */
export interface Readings { passwordHashings: () => number }

/** Every metric of the platform; docs/METRICS.md explains them. HTTP and Node defaults come from fastify-metrics. */
export function createMetrics (readings: Readings = { passwordHashings: () => 0 }, registry = new Registry()) {
  const registers = [registry]
  return {
    registry,
    topicLabel: topicLabel(),
    heapLimit: new Gauge({
      name: 'realtime_heap_limit_bytes',
      help: 'The largest heap that V8 allows this process (`--max-old-space-size`).',
      registers,
      collect () {
        this.set(getHeapStatistics().heap_size_limit)
      }
    }),
    buildInfo: new Gauge({
      name: 'realtime_build_info',
      help: 'Always 1. The labels have the versions of the platform and of Node.',
      labelNames: ['version', 'node'],
      registers,
      collect () {
        this.set({ version, node: process.versions.node }, 1)
      }
    }),
    nodeInfo: labelledGauge(
      'realtime_node_info',
      'Always 1. The label has the id of the process, as in traces, `/health` and the log.',
      registers
    ),
    eventsReceived: labelledCounter(
      'realtime_events_received_total', 'Events committed to the log by this node.', registers
    ),
    eventsRejected: labelledCounter('realtime_events_rejected_total', 'Writes refused, by error code.', registers),
    schemaViolations: labelledCounter(
      'realtime_schema_violations_total', 'Payloads refused by the active schema of their topic.', registers
    ),
    eventsDelivered: new Counter({
      name: 'realtime_events_delivered_total', help: 'Events handed to sockets, counted once per socket.', registers
    }),
    eventsFiltered: new Counter({
      name: 'realtime_events_filtered_total',
      help: "Events that were not delivered because a subscription's filter did not match.",
      registers
    }),
    broadcastLatency: new Histogram({
      name: 'realtime_broadcast_latency_seconds',
      help: 'Time from the write of an event until it is handed to the last socket of this node.',
      buckets: latencyBuckets,
      registers
    }),
    connections: labelledGauge('realtime_websocket_connections', 'Open sockets.', registers),
    subscriptions: new Gauge({ name: 'realtime_subscriptions', help: 'Live subscriptions of this node.', registers }),
    channelMessages: labelledCounter(
      'realtime_channel_messages_total',
      'Messages accepted for channels and sockets, and presence messages, counted once regardless of their receivers.',
      registers
    ),
    channelMembers: new Gauge({
      name: 'realtime_channel_members',
      help: "Members of this node's channels, including temporarily absent ones.", registers
    }),
    queueDepth: labelledGauge('realtime_queue_depth', 'Waiting items, by queue.', registers),
    batchIntents: new Histogram({
      name: 'realtime_writer_batch_intents',
      help: 'Intents that shared one transaction.',
      buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500],
      registers
    }),
    transactionDuration: new Histogram({
      name: 'realtime_writer_transaction_seconds',
      help: "Duration of the writer's transactions.",
      buckets: latencyBuckets,
      registers
    }),
    transactionRetries: labelledCounter(
      'realtime_writer_retries_total', 'Retried transactions.', registers
    ),
    gapsFilled: new Counter({
      name: 'realtime_log_gaps_filled_total',
      help: 'Events that this node fetched from the log because no notification had arrived.', registers
    }),
    catchUps: labelledCounter('realtime_catch_ups_total', 'Subscriptions that requested stored events.', registers),
    requestsLimited: labelledCounter(
      'realtime_socket_limited_total', 'Socket frames above a rate limit, by limit.',
      registers
    ),
    quotaRefusals: labelledCounter(
      'realtime_quota_refusals_total', 'Requests refused because a quota of their application is used up.', registers
    ),
    connectionsRefused: labelledCounter(
      'realtime_connections_refused_total',
      'Connections refused because the address or the application had reached its limit.', registers
    ),
    requestBodyBytes: new Gauge({
      name: 'realtime_request_body_bytes', help: 'Bytes of unanswered request bodies.', registers
    }),
    requestBodiesRefused: labelledCounter(
      'realtime_request_bodies_refused_total',
      'Request bodies refused because the address, the application or the node had reached its byte limit.',
      registers
    ),
    heldBytes: new Gauge({
      name: 'realtime_held_bytes',
      help:
        "Estimated bytes of subscriptions and member states on this node, including those of other nodes' members.",
      registers
    }),
    heldBytesRefused: labelledCounter(
      'realtime_held_bytes_refused_total',
      'Subscriptions and states refused because the application or the node had reached its byte limit.',
      registers
    ),
    heldBytesShed: new Counter({
      name: 'realtime_held_bytes_shed_total',
      help:
        'Times that the application with the most bytes lost absent members or a connection to make room for another.',
      registers
    }),
    credentialsLimited: new Counter({
      name: 'realtime_credentials_limited_total',
      help: 'Refused credentials from addresses above the limit of refused credentials.', registers
    }),
    socketBufferedBytes: new Gauge({
      name: 'realtime_socket_buffered_bytes',
      help: 'Bytes buffered in sockets of this node.', registers
    }),
    socketBufferedBytesMax: new Gauge({
      name: 'realtime_socket_buffered_bytes_max', help: 'Bytes buffered in the socket with the most.', registers
    }),
    socketArrivingBytes: new Gauge({
      name: 'realtime_socket_arriving_bytes', help: 'Bytes of partly received messages of clients of this node.',
      registers
    }),
    resyncs: labelledCounter('realtime_resyncs_total', 'Subscriptions that ended with a resync.', registers),
    socketsClosed: labelledCounter('realtime_sockets_closed_total', 'Sockets closed by the server.', registers),
    busMessages: labelledCounter(
      'realtime_bus_messages_total',
      'Messages between nodes: sent, received, and dropped because Redis or a worker was unreachable or behind.',
      registers
    ),
    redisAway: new Gauge({
      name: 'realtime_redis_away', help: '1 while this node cannot reach Redis; otherwise 0, also without REDIS_URL.',
      registers
    }),
    clusterNodes: new Gauge({
      name: 'realtime_cluster_nodes', help: 'Nodes in the cluster as seen by this node, including itself.', registers
    }),
    cdcLag: new LargestGauge({
      name: 'realtime_cdc_lag_seconds',
      help:
        'Lag of the connected database that is furthest behind: the age of its oldest received transaction that is ' +
          'not stored yet or, while it does not stream, the time since it last did.',
      registers
    }),
    cdcLagBytes: new LargestGauge({
      name: 'realtime_cdc_lag_bytes',
      help: 'Unacknowledged WAL of the connected database that has the most.',
      registers
    }),
    cdcRetainedBytes: new LargestGauge({
      name: 'realtime_cdc_retained_wal_bytes',
      help: 'WAL retained by the replication slot of the connected database that retains the most.',
      registers
    }),
    cdcReaders: labelledGauge(
      'realtime_cdc_readers', 'Readers of connected databases on this node, by state.', registers
    ),
    cdcReaderFailures: labelledCounter(
      'realtime_cdc_reader_failures_total', 'Restarts of readers, by reason.', registers
    ),
    cdcTransactionsPassedOver: new Counter({
      name: 'realtime_cdc_transactions_passed_over_total',
      help: 'Transactions of connected databases that were skipped because PostgreSQL failed to decode them.', registers
    }),
    cdcChanges: labelledCounter(
      'realtime_cdc_changes_total', 'Processed row changes of connected databases.', registers
    ),
    cdcMappingFailures: labelledCounter(
      'realtime_cdc_mapping_failures_total',
      'Row changes that a mapping selected but that produced no event, by reason. A loss of unknown size counts once.',
      registers
    ),
    logins: labelledCounter(
      'realtime_logins_total', 'Logins, by outcome. With a second factor, only its step counts as opened.', registers
    ),
    passwordHashings: new Gauge({
      name: 'realtime_password_hashings',
      help: 'Passwords hashed by this process since its start; hashing is the costly part of a login.',
      registers,
      collect () {
        this.set(readings.passwordHashings())
      }
    }),
    mails: labelledCounter('realtime_mails_total', 'Mails, by outcome.', registers),
    partitionsDropped: new Counter({
      name: 'realtime_partitions_dropped_total', help: 'Log partitions dropped by retention.', registers
    }),
    webhookDeliveries: labelledCounter(
      'realtime_webhook_deliveries_total',
      'Attempts of webhook deliveries, by outcome. `dead` includes deliveries that became dead without an attempt.',
      registers
    ),
    webhookRetries: new Counter({
      name: 'realtime_webhook_retries_total', help: 'Attempts of webhook deliveries after the first.', registers
    }),
    webhookResends: new Counter({
      name: 'realtime_webhook_resends_total',
      help: 'Webhook requests resent at once because the endpoint had closed the kept-alive connection.',
      registers
    }),
    webhookAttemptDuration: new Histogram({
      name: 'realtime_webhook_attempt_seconds',
      help: 'Duration of attempts of webhook deliveries.',
      buckets: latencyBuckets,
      registers
    }),
    webhookLatency: new Histogram({
      name: 'realtime_webhook_latency_seconds',
      help: 'Time from the write of an event to the end of the attempt that delivered it.',
      buckets: [...latencyBuckets, 60, 600, 3600],
      registers
    }),
    webhooksInFlight: new Gauge({
      name: 'realtime_webhook_requests_in_flight', help: 'Webhook requests in flight from this node.', registers
    }),
    webhookCircuitsOpen: new Gauge({
      name: 'realtime_webhook_circuits_open', help: 'Endpoints that this node has paused because they fail.',
      registers
    }),
    webhookDead: new Gauge({
      name: 'realtime_webhook_dead_deliveries',
      help: 'Dead webhook deliveries of all nodes, which a redrive would send. Counted up to 100,000.',
      registers
    }),
    alertsFiring: labelledGauge(
      'realtime_alerts_firing', 'Firing alerts of all applications, by severity. Every node reports the same.',
      registers
    ),
    alertEvaluationFailures: new Counter({
      name: 'realtime_alert_evaluation_failures_total',
      help: 'Evaluations of a rule of alerts, or of a part of the work for alerts, that failed.',
      registers
    }),
    tracesWritten: new Counter({
      name: 'realtime_traces_written_total', help: 'Events with a stored trace.', registers
    }),
    tracesDropped: labelledCounter(
      'realtime_traces_dropped_total',
      'Events, steps of events and subscription records dropped because the trace store was behind.',
      registers
    ),
    traceFlushDuration: new Histogram({
      name: 'realtime_trace_flush_seconds', help: 'Duration of writes to the trace store.', buckets: latencyBuckets,
      registers
    }),
    seriesWriteFailures: new Counter({
      name: 'realtime_metric_series_failures_total',
      help: 'Failed writes of the metric series. They are repeated.',
      registers
    }),
    seriesRowsDropped: new Counter({
      name: 'realtime_metric_series_rows_dropped_total',
      help: 'Rows of the metric series that were dropped because the database was unavailable for long.', registers
    }),
    traceStreams: new Gauge({
      name: 'realtime_trace_streams', help: 'Open streams of traces on this node.', registers
    }),
    eventsReplayed: labelledCounter(
      'realtime_events_replayed_total', 'Events sent by replays, counted once per subscription or webhook.', registers
    )
  }
}
export type Metrics = ReturnType<typeof createMetrics>
