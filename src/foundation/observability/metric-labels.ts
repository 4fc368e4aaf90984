import { Counter, Gauge, type Registry } from 'prom-client'
import { eventSources } from '../../../schemas/events.ts'
import { errorCodes, type ErrorCode } from '../../errors.ts'

const everyErrorCode = Object.keys(errorCodes) as ErrorCode[]

/** A label whose values tenants choose. Each process keeps at most 200 of them. */
export const topicNames = {
  open:
    'the name of a topic; `other` beyond the first 200; `sync.*.created`, `sync.*.updated` or `sync.*.deleted` for ' +
      'documents; `all` in anonymous scrapes'
} as const

/**
 * Every value of every label of ours. The types of the metrics accept no other, and docs/METRICS.md lists them.
 * Counters start at 0 for each value, so that `increase()` sees the first occurrence.
 */
export const labelValues = {
  realtime_build_info: { version: { open: 'the version of the platform' }, node: { open: 'the version of Node' } },
  realtime_node_info: { node_id: { open: 'the id of the process' } },
  realtime_events_received_total: { source: eventSources, topic: topicNames },
  realtime_events_rejected_total: { code: everyErrorCode },
  realtime_schema_violations_total: { topic: topicNames },
  realtime_websocket_connections: { transport: ['socket.io', 'ws'] },
  realtime_channel_messages_total: { kind: ['publish', 'broadcast', 'direct', 'presence'] },
  realtime_queue_depth: { queue: ['writer', 'webhooks', 'traces'] },
  realtime_writer_retries_total: {
    reason: ['stale', 'deadlock', 'serialization', 'partition', 'missing_reference', 'halved']
  },
  realtime_catch_ups_total: { outcome: ['recovered', 'lost'] },
  realtime_socket_limited_total: { limit: ['requests', 'bytes'] },
  realtime_connections_refused_total: { limit: ['address', 'application'] },
  realtime_quota_refusals_total: {
    quota: ['publishesPerSecond', 'bytesStored', 'sockets', 'subscriptions', 'webhooks', 'documents']
  },
  realtime_request_bodies_refused_total: { limit: ['address', 'application', 'node'] },
  realtime_held_bytes_refused_total: { limit: ['application', 'node'] },
  realtime_resyncs_total: {
    code: [
      'SLOW_CONSUMER', 'RETENTION_PASSED', 'PATTERN_TOO_WIDE', 'PERMISSION_DENIED', 'DATABASE_UNAVAILABLE',
      'NOT_A_MEMBER'
    ]
  },
  realtime_sockets_closed_total: {
    code: [
      'SHUTTING_DOWN', 'TRY_AGAIN_LATER', 'UNAUTHENTICATED', 'CREDENTIAL_EXPIRED', 'CREDENTIAL_REVOKED',
      'SLOW_CONSUMER', 'APPLICATION_DELETED', 'CLOSED_BY_OPERATOR', 'RATE_LIMITED', 'PEER_VANISHED'
    ]
  },
  realtime_bus_messages_total: { outcome: ['sent', 'received', 'dropped'] },
  realtime_cdc_readers: { state: ['streaming', 'connecting', 'stopped', 'error'] },
  realtime_cdc_reader_failures_total: {
    code: [
      'SOURCE_UNREACHABLE',
      'SOURCE_AUTH_FAILED',
      'SOURCE_NOT_FOUND',
      'SOURCE_REFUSED',
      'SOURCE_AUTH_UNSUPPORTED',
      'SOURCE_TLS',
      'SOURCE_CRASHED',
      'SOURCE_PROTOCOL',
      'SOURCE_STATEMENT',
      'SOURCE_UNSUPPORTED',
      'SOURCE_PRIVILEGE',
      'SOURCE_REPLACED',
      'WAL_LEVEL',
      'SLOT_LIMIT',
      'SLOT_WAITS',
      'SLOT_BUSY',
      'SLOT_FOREIGN',
      'SLOT_TAKEN',
      'SLOT_LOST',
      'SLOT_MOVED',
      'PUBLICATION_LOST',
      'DECODING_FAILED',
      'PLATFORM_UNAVAILABLE',
      'READER_FAILED'
    ]
  },
  realtime_cdc_changes_total: { operation: ['insert', 'update', 'delete'] },
  realtime_cdc_mapping_failures_total: {
    code: [
      'COLUMN_MISSING',
      'CONDITION_UNKNOWN',
      'MAPPING_FAILED',
      'NOT_STORABLE',
      'ROW_TOO_LARGE',
      'ROW_UNDECODABLE',
      'TABLE_UNPUBLISHED',
      'VALUE_UNDECODABLE',
      // The error code of a refused write.
      ...everyErrorCode
    ]
  },
  realtime_logins_total: { outcome: ['opened', 'refused'] },
  realtime_mails_total: { kind: ['invite', 'reset', 'notice'], outcome: ['sent', 'failed', 'logged'] },
  realtime_webhook_deliveries_total: { status: ['delivered', 'failed', 'dead', 'interrupted', 'lost'] },
  realtime_alerts_firing: { severity: ['critical', 'warning', 'info'] },
  realtime_traces_dropped_total: { kind: ['event', 'step', 'subscription'] },
  realtime_events_replayed_total: { target: ['subscribers', 'webhooks'] }
} as const satisfies Record<string, Record<string, readonly string[] | { open: string }>>

export type LabelledName = keyof typeof labelValues
type ValueOf<V> = V extends readonly (infer S extends string)[] ? S : string
/** The labels that a metric requires. */
export type LabelsOf<N extends LabelledName> = {
  -readonly [L in keyof typeof labelValues[N]]: ValueOf<typeof labelValues[N][L]>
}

export interface LabelledCounter<N extends LabelledName> { inc (labels: LabelsOf<N>, value?: number): void }
export interface LabelledGauge<N extends LabelledName> extends LabelledCounter<N> {
  dec (labels: LabelsOf<N>, value?: number): void
  set (labels: LabelsOf<N>, value: number): void
  reset (): void
}

/** Metrics with more series than this create them at their first use. */
const seriesAtStartMax = 30

export function labelledCounter<N extends LabelledName> (
  name: N, help: string, registers: Registry[]
): LabelledCounter<N> {
  const counter = new Counter({ name, help, labelNames: Object.keys(labelValues[name]), registers })
  for (const labels of combinations(name)) counter.inc(labels, 0)
  return counter
}

export function labelledGauge<N extends LabelledName> (name: N, help: string, registers: Registry[]): LabelledGauge<N> {
  const gauge = new Gauge({ name, help, labelNames: Object.keys(labelValues[name]), registers })
  for (const labels of combinations(name)) gauge.set(labels, 0)
  return gauge
}

function combinations (name: LabelledName): Record<string, string>[] {
  let all: Record<string, string>[] = [{}]
  for (const [label, values] of Object.entries(labelValues[name]) as [string, readonly string[] | { open: string }][]) {
    if ('open' in values) return []
    all = all.flatMap(labels => values.map(value => ({ ...labels, [label]: value })))
  }
  return all.length > seriesAtStartMax ? [] : all
}

type MappingFailure = LabelsOf<'realtime_cdc_mapping_failures_total'>['code']
const mappingFailures: ReadonlySet<string> = new Set(labelValues.realtime_cdc_mapping_failures_total.code)

/** Returns the label of a failure, whose code comes from another thread as text. */
export const mappingFailureOf = (code: string | null): MappingFailure =>
  mappingFailures.has(code ?? '') ? code as MappingFailure : 'MAPPING_FAILED'
