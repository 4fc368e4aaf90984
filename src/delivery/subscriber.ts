import type { ReturnMode } from '../../schemas/realtime.ts'
import type { Scope } from '../../schemas/scope.ts'
import type { LoggedEvent } from '../events/envelope.ts'
import type { Principal } from '../identity/access/principal.ts'
import type { LabelsOf } from '../foundation/observability/metric-labels.ts'
import type { Filter } from './matching/filter.ts'

/**
 * A client that receives events, whatever carries them: a socket's connection is one. Events arrive in the order of
 * the `enqueue` calls. A client that cannot take them loses its subscriptions with `resync`: it never misses an event
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
  /** Whether it has room for events that it does not depend on, such as replayed ones. */
  readonly hasRoomToSpare: boolean

  /** Adds a subscription that is about to go live. The caller has checked the limits. */
  add (subscription: ClientSubscription): void
  /** Removes a subscription that has ended. */
  remove (subscription: ClientSubscription, reason: EndReason): void
  /** Counts topics that a pattern subscription gains, or loses when negative. */
  countPatternTopics (change: number): void

  /**
   * Queues an event for one of its subscriptions, unless its principal may not read the event. Returns whether it is
   * the first event in the queue: the caller then flushes this subscriber, in the same turn.
   */
  enqueue (event: LoggedEvent, recipient: Recipient): boolean
  /** Sends the queued events. Returns those that it gives up instead, because the client is too slow or has gone. */
  flush (): readonly GivenUp[]
  /** Ends a subscription that would otherwise have a gap, and sends the client the reason. */
  resync (subscription: ClientSubscription, reason: ResyncReason): void
  /**
   * Sends one page of the past: waits for the subscriber's pages before it and until the client has read enough,
   * then calls `sendPage` with the bytes that the page may have. `sendPage` returns the bytes that it has sent.
   */
  drained (sendPage: (bytesMax: number) => Promise<number>): Promise<void>
}

/** What a client knows as one subscription: to one topic, or to every topic that a pattern matches. */
export interface ClientSubscription {
  readonly id: string
  readonly subscriber: Subscriber
  /** Epoch milliseconds. */
  readonly startedAt: number
  /** The name or the pattern. */
  readonly topic: string
  readonly filter: Filter | undefined
  readonly returnMode: ReturnMode
  /** Cached by the subscriber: the encoded end of a message that only this subscription matched. */
  ending: string | undefined
  /** The offsets that it has covered so far, by topic. */
  spans (): Record<string, Required<Span>>
  /** Returns false if it had ended before. */
  end (reason?: EndReason): boolean
}

/** One topic of a client's subscription: what an event is enqueued for. */
export interface Recipient {
  readonly whole: ClientSubscription
  /** Records that the event at this offset matched, but was given up by the subscriber. */
  lost (offset: number): void
}

/** An event that matched this many subscriptions of a subscriber, and was not sent to it. */
export interface GivenUp { event: LoggedEvent, subscriptions: number }

/** The offsets of a topic that a subscription covers: above `after`, and up to `until` once that is known. */
export interface Span { epoch: string, after: number, until?: number }

/**
 * Why a subscription ended: the client unsubscribed, its link was lost, the code of a `resync`, or the code and reason
 * with which its socket was closed.
 */
export type EndReason = 'UNSUBSCRIBED' | 'DISCONNECTED' | (string & {})

/** Why a subscription would have a gap. */
export interface ResyncReason { code: LabelsOf<'realtime_resyncs_total'>['code'], message: string }
