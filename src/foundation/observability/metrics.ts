import { getHeapStatistics } from 'node:v8'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { LargestGauge } from './largest-gauge.ts'
import { labelledCounter, labelledGauge } from './metric-labels.ts'
import { version } from '../version.ts'

/**
 * Distinct label values of one metric at most; beyond it, `other`: a tenant must not be able to blow up cardinality.
 */
const labelValuesMax = 200

/** Lets the first `max` distinct values through and calls the rest `other`. */
export function boundedLabel (max = labelValuesMax): (value: string) => string {
  const known = new Set<string>()
  return value => {
    if (known.has(value)) return value
    if (known.size >= max) return 'other'
    known.add(value)
    return value
  }
}

/** Topics of documents count together, whatever their service: `sync.*.created`. */
function topicLabel (): (topic: string) => string {
  const bounded = boundedLabel()
  return topic => bounded(topic.startsWith('sync.') ? `sync.*${topic.slice(topic.lastIndexOf('.'))}` : topic)
}

const latencyBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Numbers that are read when metrics are collected, since their owner counts them itself. */
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
      help: 'Always 1: the version of the platform, and of Node.',
      labelNames: ['version', 'node'],
      registers,
      collect () {
        this.set({ version, node: process.versions.node }, 1)
      }
    }),
    eventsReceived: labelledCounter(
      'realtime_events_received_total', 'Events committed to the log by this node.', registers
    ),
    eventsRejected: labelledCounter('realtime_events_rejected_total', 'Writes refused, by error code.', registers),
    schemaViolations: labelledCounter(
      'realtime_schema_violations_total', 'Payloads refused by the active schema of their topic.', registers
    ),
    eventsDelivered: new Counter({
      name: 'realtime_events_delivered_total', help: 'Events handed to sockets: one a socket and event.', registers
    }),
    eventsFiltered: new Counter({
      name: 'realtime_events_filtered_total',
      help: 'Subscriptions that an event of their topic did not match.',
      registers
    }),
    broadcastLatency: new Histogram({
      name: 'realtime_broadcast_latency_seconds',
      help: 'From the write of an event to the moment when it is handed to the last socket of this node.',
      buckets: latencyBuckets,
      registers
    }),
    connections: labelledGauge('realtime_websocket_connections', 'Open sockets.', registers),
    subscriptions: new Gauge({ name: 'realtime_subscriptions', help: 'Live subscriptions of this node.', registers }),
    channelMessages: labelledCounter(
      'realtime_channel_messages_total',
      'Messages accepted for channels and sockets, and presence messages: one, however many get it.', registers
    ),
    channelMembers: new Gauge({
      name: 'realtime_channel_members',
      help: "Members of this node's channels, with those that are away for the moment.", registers
    }),
    queueDepth: labelledGauge('realtime_queue_depth', 'Items that wait, by queue.', registers),
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
      'realtime_writer_retries_total', 'Transactions that were tried again.', registers
    ),
    gapsFilled: new Counter({
      name: 'realtime_log_gaps_filled_total',
      help: 'Events that a node fetched from the log because it had not heard of them.', registers
    }),
    catchUps: labelledCounter('realtime_catch_ups_total', 'Subscriptions that asked for history.', registers),
    requestsLimited: labelledCounter(
      'realtime_socket_limited_total', 'Frames of sockets above their pace, by the limit that they were above.',
      registers
    ),
    connectionsRefused: labelledCounter(
      'realtime_connections_refused_total',
      'Connections that were refused because an address, or an application, had as many as it may.', registers
    ),
    requestBodyBytes: new Gauge({
      name: 'realtime_request_body_bytes', help: 'Bytes of request bodies that are not answered yet.', registers
    }),
    requestBodiesRefused: labelledCounter(
      'realtime_request_bodies_refused_total',
      'Request bodies that were refused because an address, an application or the node held as many bytes as it may.',
      registers
    ),
    heldBytes: new Gauge({
      name: 'realtime_held_bytes',
      help:
        "Bytes that subscriptions and members' states hold on this node, those of other nodes' members included, by estimate.",
      registers
    }),
    heldBytesRefused: labelledCounter(
      'realtime_held_bytes_refused_total',
      'Subscriptions and states that were refused because an application or the node held as many bytes as it may.',
      registers
    ),
    heldBytesShed: new Counter({
      name: 'realtime_held_bytes_shed_total',
      help:
        'Times that absent members of the application that held the most, or one of its connections, made room for ' +
          'another application.',
      registers
    }),
    credentialsLimited: new Counter({
      name: 'realtime_credentials_limited_total',
      help: 'Refused credentials of addresses that had too many of them refused.', registers
    }),
    socketBufferedBytes: new Gauge({
      name: 'realtime_socket_buffered_bytes',
      help: 'Bytes that wait in sockets of this node for their clients to read.', registers
    }),
    socketBufferedBytesMax: new Gauge({
      name: 'realtime_socket_buffered_bytes_max', help: 'Bytes that wait in the one socket where most do.', registers
    }),
    socketArrivingBytes: new Gauge({
      name: 'realtime_socket_arriving_bytes', help: 'Bytes of messages that clients of this node have sent in part.',
      registers
    }),
    resyncs: labelledCounter('realtime_resyncs_total', 'Subscriptions that were given up.', registers),
    socketsClosed: labelledCounter('realtime_sockets_closed_total', 'Sockets that the server closed.', registers),
    busMessages: labelledCounter(
      'realtime_bus_messages_total',
      'Messages between nodes: sent, received, and dropped because Redis was away or behind.', registers
    ),
    redisAway: new Gauge({
      name: 'realtime_redis_away', help: '1 while this node does not reach Redis; 0 otherwise, and without REDIS_URL.',
      registers
    }),
    clusterNodes: new Gauge({
      name: 'realtime_cluster_nodes', help: 'Nodes that this node knows of, itself included.', registers
    }),
    cdcLag: new LargestGauge({
      name: 'realtime_cdc_lag_seconds',
      help:
        'How far this node is behind the connected database that is furthest behind: the age of the oldest ' +
          'transaction that was received and is not stored; while it does not stream, for how long it has not.',
      registers
    }),
    cdcLagBytes: new LargestGauge({
      name: 'realtime_cdc_lag_bytes',
      help: 'WAL beyond what was acknowledged, of the connected database that has most.',
      registers
    }),
    cdcRetainedBytes: new LargestGauge({
      name: 'realtime_cdc_retained_wal_bytes',
      help: 'WAL kept for the replication slot, of the connected database that keeps most.',
      registers
    }),
    cdcReaders: labelledGauge(
      'realtime_cdc_readers', 'Readers of connected databases on this node, by state.', registers
    ),
    cdcReaderFailures: labelledCounter(
      'realtime_cdc_reader_failures_total', 'Readers that had to begin again, by reason.', registers
    ),
    cdcTransactionsPassedOver: new Counter({
      name: 'realtime_cdc_transactions_passed_over_total',
      help: 'Transactions of connected databases that PostgreSQL failed to decode and that were passed over.', registers
    }),
    cdcChanges: labelledCounter(
      'realtime_cdc_changes_total', 'Row changes of connected databases that were dealt with.', registers
    ),
    cdcMappingFailures: labelledCounter(
      'realtime_cdc_mapping_failures_total',
      'Row changes that a mapping wanted and that made no event, by reason; a loss of unknown size counts once.',
      registers
    ),
    logins: labelledCounter(
      'realtime_logins_total', 'Logins, by outcome; the second of two steps is what opens a session.', registers
    ),
    passwordHashings: new Gauge({
      name: 'realtime_password_hashings',
      help: 'Passwords hashed by this process since its start: the costly part of a login.',
      registers,
      collect () {
        this.set(readings.passwordHashings())
      }
    }),
    mails: labelledCounter('realtime_mails_total', 'Mails, by what came of them.', registers),
    partitionsDropped: new Counter({
      name: 'realtime_partitions_dropped_total', help: 'Log partitions dropped by retention.', registers
    }),
    webhookDeliveries: labelledCounter(
      'realtime_webhook_deliveries_total',
      'Attempts at webhook deliveries, by what they came to; `dead` also counts those that were given up without one.',
      registers
    ),
    webhookRetries: new Counter({
      name: 'realtime_webhook_retries_total', help: 'Attempts at webhook deliveries that were not the first.', registers
    }),
    webhookResends: new Counter({
      name: 'realtime_webhook_resends_total',
      help: 'Webhook requests sent again at once because the endpoint had closed the kept connection.',
      registers
    }),
    webhookAttemptDuration: new Histogram({
      name: 'realtime_webhook_attempt_seconds',
      help: 'Duration of attempts at webhook deliveries.',
      buckets: latencyBuckets,
      registers
    }),
    webhookLatency: new Histogram({
      name: 'realtime_webhook_latency_seconds',
      help: 'From the write of an event to the end of the first attempt that delivered it.',
      buckets: [...latencyBuckets, 60, 600, 3600],
      registers
    }),
    webhooksInFlight: new Gauge({
      name: 'realtime_webhook_requests_in_flight', help: 'Webhook requests under way from this node.', registers
    }),
    webhookCircuitsOpen: new Gauge({
      name: 'realtime_webhook_circuits_open', help: 'Endpoints that this node leaves alone for now, because they fail.',
      registers
    }),
    webhookDead: new Gauge({
      name: 'realtime_webhook_dead_deliveries',
      help: 'Webhook deliveries that were given up, over all nodes: what a redrive would send. Counted to 100,000.',
      registers
    }),
    tracesWritten: new Counter({
      name: 'realtime_traces_written_total', help: 'Events whose trace was stored.', registers
    }),
    tracesDropped: labelledCounter(
      'realtime_traces_dropped_total',
      'Events, steps of events and records of subscriptions that were given up because the trace store was behind.',
      registers
    ),
    traceFlushDuration: new Histogram({
      name: 'realtime_trace_flush_seconds', help: 'Duration of writes to the trace store.', buckets: latencyBuckets,
      registers
    }),
    traceStreams: new Gauge({
      name: 'realtime_trace_streams', help: 'Open streams of traces on this node.', registers
    }),
    eventsReplayed: labelledCounter(
      'realtime_events_replayed_total', 'Events that replays have sent again: one a subscription or webhook.', registers
    )
  }
}
export type Metrics = ReturnType<typeof createMetrics>
