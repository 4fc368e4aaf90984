import type { LiveStats } from '../../foundation/observability/live-stats.ts'
import type { DeliveryRow } from '../../cdc/mappings/mapping-log.ts'
import type { DeliveryObserver } from '../../delivery/delivery-observer.ts'
import type { WriteObserver } from '../../events/write-observer.ts'
import type { Scope } from '../../../schemas/scope.ts'
import type { TraceRecorder } from './recorder.ts'
import type { SubscriptionRecords } from './subscription-records.ts'

/** Observes the writer's batches, for traces and dashboards. */
export const observeWrites = (recorder: TraceRecorder, liveStats: LiveStats): WriteObserver => ({
  committed (batch) {
    const { events } = batch
    for (let from = 0; from < events.length;) {
      // Events of one topic are mostly adjacent.
      const { scope, topic, source } = events[from] as typeof events[number]
      let to = from + 1
      while (
        to < events.length && events[to]?.topic === topic && events[to]?.scope === scope &&
        events[to]?.source === source
      ) to++
      const here = liveStats.scope(scope)
      here.received.add(to - from)
      if (source === 'database') here.captured.add(to - from)
      liveStats.topic(scope, topic).received.add(to - from)
      from = to
    }
    recorder.committed(batch)
  },
  refused (refused) {
    if (refused.refusal.code === 'SCHEMA_VIOLATED') liveStats.scope(refused.intent.scope).schemaViolations.add(1)
    recorder.refused(refused)
  }
})

/** Observes the hub and the subscribers: events for the recorder, subscriptions for their records. */
export const observeDelivery = (recorder: TraceRecorder, subscriptions: SubscriptionRecords): DeliveryObserver => ({
  follows: event => recorder.follows(event),
  flushed: report => recorder.flushed(report),
  began: subscription => subscriptions.began(subscription),
  ended: (subscription, reason) => subscriptions.ended(subscription, reason),
  refreshed: subscriber => subscriptions.refreshed(subscriber)
})

/**
 * Observes row changes that a mapping could not turn into events. Failures of one kind in a transaction share a trace.
 */
export const observeMappings =
  (recorder: TraceRecorder, liveStats: LiveStats) => (scope: Scope, row: DeliveryRow): void => {
    liveStats.scope(scope).mappingFailures.add(row.events)
    recorder.record({
      scope,
      topic: row.topic,
      source: 'database',
      type: 'database.event',
      outcome: 'rejected',
      error: {
        error: 'MappingError',
        code: row.code ?? row.status.toUpperCase(),
        message: row.message ?? `The mapping ${row.mappingId} did not turn a change of ${row.table} into an event`
      },
      receivedAt: row.committedAt,
      origin: {
        mappingId: row.mappingId, subscriptionId: row.subscriptionId, table: row.table, changes: row.events,
        lsn: row.lsn, xid: row.xid, committedAt: row.committedAt
      }
    })
  }
