import type { Selectable } from 'kysely'
import type { MetricMinutesTable } from '../../../db/tables.ts'
import type { Scope } from '../../../schemas/scope.ts'
import type { Counts } from './counts.ts'

/** The subject of a row: a scope as a whole, one of its topics, or its webhooks, all together or one. */
export type Kind = 'scope' | 'topic' | 'webhook'

/** A row of a minute, without its minute and its node. */
export type Row = Omit<Selectable<MetricMinutesTable>, 'at' | 'node' | 'batch'>

/** The minute, and the node with its number of the batch. */
export type Origin = Pick<Selectable<MetricMinutesTable>, 'at' | 'node' | 'batch'>

/** Undefined stands for the totals of all scopes. */
export type Subject = Scope | undefined

/** Returns a row with counts. */
export function toRow (subject: Subject, kind: Kind, name: string, counts: Counts, isCut = false): Row {
  const { buckets, counts: latencyCounts } = counts.latencies
  return {
    application_id: subject?.applicationId ?? '',
    environment: subject?.environment ?? '',
    kind,
    name,
    is_cut: isCut,
    is_sampled: false,
    received: counts.received,
    captured: counts.captured,
    routed: counts.routed,
    delivered: counts.delivered,
    reconnects: counts.reconnects,
    schema_violations: counts.schemaViolations,
    mapping_failures: counts.mappingFailures,
    connection_ms: Math.round(counts.connectionMs),
    succeeded: counts.succeeded,
    failed: counts.failed,
    writes_waiting: counts.writesWaiting,
    webhooks_waiting: 0,
    retrying: 0,
    dead: 0,
    oldest_due_ms: 0,
    cdc_lag_ms: 0,
    latency_buckets: buckets,
    latency_counts: latencyCounts
  }
}
