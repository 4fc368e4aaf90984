import type { DeliveryObserver } from '../delivery/delivery-observer.ts'
import type { WriteObserver } from '../events/write-observer.ts'
import { alertTopic } from '../registry/topics/topic-names.ts'
import type { AlertCounters } from './counters.ts'
import { signals } from './measures.ts'

/** Codes of a `resync` that the load or the retention of the platform has caused, not the rights of the client. */
const countedResyncs: ReadonlySet<string> = new Set([
  'SLOW_CONSUMER', 'RETENTION_PASSED', 'PATTERN_TOO_WIDE', 'DATABASE_UNAVAILABLE'
])
/** Refusals that correct clients meet too: another write came first. */
const isConflict = (status: number) => status === 409 || status === 412

/**
 * Counts refused writes, except those of alerts, which would cause the next one. Passes every report on to another
 * observer.
 */
export const countingWrites = (counters: AlertCounters, next: WriteObserver): WriteObserver => ({
  committed: batch => next.committed(batch),
  refused (refused) {
    const { intent: { scope, topics }, refusal: { code, status }, checked } = refused
    if (topics.includes(alertTopic)) return next.refused(refused)
    if (code === 'SCHEMA_VIOLATED') {
      counters.count(scope, signals.schemaViolations, checked?.topic ?? topics[0] ?? '')
    } else if (!isConflict(status) && code !== 'DOCUMENT_NOT_FOUND') {
      counters.count(scope, signals.writesRefused, code)
    }
    next.refused(refused)
  }
})

/** Counts subscriptions that end with a `resync`, and passes every report on to another observer. */
export const countingResyncs = (counters: AlertCounters, next: DeliveryObserver): DeliveryObserver => ({
  follows: event => next.follows(event),
  flushed: report => next.flushed(report),
  began: subscription => next.began(subscription),
  ended (subscription, reason) {
    if (countedResyncs.has(reason)) {
      counters.count(subscription.subscriber.scope, signals.resyncs, subscription.topic)
    }
    next.ended(subscription, reason)
  },
  refreshed: subscriber => next.refreshed(subscriber)
})
