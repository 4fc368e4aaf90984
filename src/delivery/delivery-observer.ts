import type { LoggedEvent } from '../events/envelope.ts'
import type { ClientSubscription, EndReason, Subscriber } from './subscriber.ts'

/** Subscriptions of each kind that are named; beyond it they are only counted. */
export const namedSubscriptionsMax = 20

/** Which subscriptions one event matched. */
export interface Routing {
  matched: number
  filtered: number
  /** Ids of the first of them. */
  matchedIds: readonly string[]
  filteredIds: readonly string[]
}

/** Observes the hub and the subscribers of this node. Called on the hot path: it takes notes and works later. Never throws. */
export interface DeliveryObserver {
  /** Whether the steps of an event are observed: they are not gathered otherwise. */
  follows (event: LoggedEvent): boolean
  routed (event: LoggedEvent, routing: Routing): void
  /** Events that left together were handed to the first and to the last subscriber at these times, epoch milliseconds with fractions. */
  handedOn (events: readonly LoggedEvent[], firstAt: number, lastAt: number): void
  /** A subscriber gave the event up, which had matched this many of its subscriptions. */
  givenUp (event: LoggedEvent, subscriptions: number): void
  /** A subscription is live, or on its way there from its position. */
  began (subscription: ClientSubscription): void
  /** Called while the offsets of the subscription can still be read. */
  ended (subscription: ClientSubscription, reason: EndReason): void
  /** The subscriber has a fresh principal. */
  refreshed (subscriber: Subscriber): void
}

export const noDeliveryObserver: DeliveryObserver = {
  follows: () => false, routed: () => {}, handedOn: () => {}, givenUp: () => {}, began: () => {}, ended: () => {}, refreshed: () => {}
}
