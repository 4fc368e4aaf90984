import type { ReturnMode } from '../../schemas/realtime.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { SubscriptionResync } from '../../schemas/socket-messages.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { Principal } from '../identity/access/principal.ts'
import type { Filter } from './matching/filter.ts'

/**
 * A client that receives events, over any transport. A socket's connection is one. Events arrive in the order of the
 * `enqueue` calls. A client that cannot take them loses its subscriptions with `resync`: it never misses an event
 * without notice.
 */
export interface Subscriber {
  /** Identifies the client to others in its scope and in traces. */
  readonly id: string
  readonly scope: Scope
  /** Replaced when the client presents a fresh credential. */
  readonly principal: Principal
  readonly isOpen: boolean
  readonly subscriptions: readonly ClientSubscription[]
  /** Topics that its pattern subscriptions contain. */
  readonly patternTopics: number
  /** Whether it has room for optional events, such as replayed ones. */
  readonly hasRoomToSpare: boolean

  /** Adds a subscription that is about to go live. The caller has checked the limits. */
  add (subscription: ClientSubscription): void
  /** Removes a subscription that has ended. */
  remove (subscription: ClientSubscription, reason: EndReason): void
  /** Counts topics that a pattern subscription gains, or loses when negative. */
  countPatternTopics (change: number): void

  /**
   * Queues an event for one of its subscriptions, unless its principal may not read the event. Returns true for the
   * first event in the queue: the caller must then flush this subscriber in the same turn.
   */
  enqueue (event: LoggedEvent, recipient: Recipient): boolean
  /** Sends the queued events. Returns those it gave up, because the client is too slow or has disconnected. */
  flush (): readonly GivenUp[]
  /** Ends a subscription that would otherwise have a gap, and sends the client the reason. */
  resync (subscription: ClientSubscription, reason: ResyncReason): void
  /**
   * Sends one page of past events. Waits for the subscriber's earlier pages and until the client has read enough, then
   * calls `sendPage` with the page's byte limit. `sendPage` returns the bytes that it sent.
   */
  drained (sendPage: (bytesMax: number) => Promise<number>): Promise<void>
}

/** One subscription as the client sees it: to one topic, or to every topic that a pattern matches. */
export interface ClientSubscription {
  readonly id: string
  readonly subscriber: Subscriber
  /** Epoch milliseconds. */
  readonly startedAt: number
  /** The topic name or the pattern. */
  readonly topic: string
  readonly filter: Filter | undefined
  readonly returnMode: ReturnMode
  /** Cached by the subscriber: the encoded end of a message that matched only this subscription. */
  ending: string | undefined
  /** Returns the offsets covered so far, by topic. */
  spans (): Record<string, Required<Span>>
  /** Returns false if it had ended before. */
  end (reason?: EndReason): boolean
}

/** A topic within a client's subscription. Events are enqueued for it. */
export interface Recipient {
  readonly whole: ClientSubscription
  /** Records that the event at this offset matched, but the subscriber gave it up. */
  lost (offset: number): void
}

/** An event that was not sent to a subscriber, and the number of its subscriptions that matched. */
export interface GivenUp { event: LoggedEvent, subscriptions: number }

/** The offsets of a topic that a subscription covers: above `after`, and up to `until` once that is known. */
export interface Span { epoch: string, after: number, until?: number }

/**
 * Why a subscription ended: the client unsubscribed, its link was lost, the code of a `resync`, or the code and reason
 * with which its socket was closed.
 */
export type EndReason = 'UNSUBSCRIBED' | 'DISCONNECTED' | (string & {})

/** The reason why a subscription could not continue without a gap. */
export type ResyncReason = Pick<SubscriptionResync, 'code' | 'message'>
