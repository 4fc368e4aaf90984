import type { LoggedEvent } from '../../events/envelope.ts'
import type { Connection } from './connection.ts'
import type { Live } from '../subscription.ts'

/** Subscriptions of each kind that are named; beyond it they are only counted. */
export const namedSubscriptionsMax = 20

/** What the matcher said of one event. */
export interface Routing {
  matched: number
  filtered: number
  /** Ids of the first of them. */
  matchedIds: readonly string[]
  filteredIds: readonly string[]
}

/** Why a subscription has ended: the client left it, the link went, the code of its `resync`, or the code and reason that its socket was closed with. */
export type EndReason = 'UNSUBSCRIBED' | 'DISCONNECTED' | (string & {})

/** The offsets of a topic that a subscription was there for: above `after`, up to `until` while that is known. */
export interface Span { epoch: string, after: number, until?: number }

/**
 * Hears what this node's hub and connections do. It is called on the hot path: it takes note, and works later. It never
 * throws.
 */
export interface DeliveryObserver {
  /** Whether the steps of an event are to be told: they are not gathered otherwise. */
  follows (event: LoggedEvent): boolean
  routed (event: LoggedEvent, routing: Routing): void
  /** Events that left together have been handed to the first and to the last socket that they matched, epoch milliseconds with fractions. */
  handedOn (events: readonly LoggedEvent[], firstAt: number, lastAt: number): void
  /** So many subscriptions of a connection had matched, and were given up before the event was handed on. */
  givenUp (event: LoggedEvent, subscriptions: number): void
  /** A subscription is live, or on its way there from its position. */
  began (subscription: Live): void
  /** Its offsets are still as they were. */
  ended (subscription: Live, reason: EndReason): void
  /** The connection has a fresh principal. */
  refreshed (connection: Connection): void
}

export const noDeliveryObserver: DeliveryObserver = {
  follows: () => false, routed: () => {}, handedOn: () => {}, givenUp: () => {}, began: () => {}, ended: () => {}, refreshed: () => {}
}
