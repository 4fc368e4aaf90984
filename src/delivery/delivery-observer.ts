import type { LoggedEvent } from '../events/envelope.ts'
import type { ClientSubscription, EndReason, GivenUp, Subscriber } from './subscriber.ts'

/** Number of subscriptions of each kind that a report names. It only counts the others. */
export const namedSubscriptionsMax = 20

/** An event that the hub has enqueued at the subscribers it matched. */
export interface RoutedEvent {
  event: LoggedEvent
  /** Epoch milliseconds with fractions, like all times in this file. */
  routedAt: number
  matched: number
  filtered: number
  /** The first ids, at most `namedSubscriptionsMax`. */
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
 * Observes the hub and the subscribers of this node. Called on the hot path: implementations take notes and do their
 * work later. They never throw.
 */
export interface DeliveryObserver {
  /** Returns whether an event is to be part of a report. */
  follows (event: LoggedEvent): boolean
  /** Called once per flush if there is something to report. */
  flushed (report: FlushReport): void
  /** Called when a subscription has gone live or has started to catch up. */
  began (subscription: ClientSubscription): void
  /** Called when a subscription has ended, while its offsets can still be read. */
  ended (subscription: ClientSubscription, reason: EndReason): void
  /** Called when the subscriber has a fresh principal. */
  refreshed (subscriber: Subscriber): void
}
