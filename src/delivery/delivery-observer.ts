import type { LoggedEvent } from '../events/envelope.ts'
import type { ClientSubscription, EndReason, GivenUp, Subscriber } from './subscriber.ts'

/** Subscriptions of each kind that are named; beyond it they are only counted. */
export const namedSubscriptionsMax = 20

/** An event that the hub has enqueued at the subscribers it matched. */
export interface RoutedEvent {
  event: LoggedEvent
  /** Epoch milliseconds with fractions, as all times here. */
  routedAt: number
  matched: number
  filtered: number
  /** Ids of the first of them. */
  matchedIds: readonly string[]
  filteredIds: readonly string[]
}

/** The result of one flush: the followed events that were routed before it, and whether they were sent. */
export interface FlushReport {
  routed: readonly RoutedEvent[]
  givenUp: readonly GivenUp[]
  /** When the first and the last subscriber were flushed; undefined when none had a queued event. */
  sent: { firstAt: number, lastAt: number } | undefined
}

/**
 * Observes the hub and the subscribers of this node. Called on the hot path: it takes notes and works later. Never
 * throws.
 */
export interface DeliveryObserver {
  /** Whether an event is to be part of a report. */
  follows (event: LoggedEvent): boolean
  /** Called once a flush, unless there is nothing to report. */
  flushed (report: FlushReport): void
  /** A subscription is live, or on its way there from its position. */
  began (subscription: ClientSubscription): void
  /** Called while the offsets of the subscription can still be read. */
  ended (subscription: ClientSubscription, reason: EndReason): void
  /** The subscriber has a fresh principal. */
  refreshed (subscriber: Subscriber): void
}
