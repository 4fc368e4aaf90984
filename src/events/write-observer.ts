import type { EventSource } from '../../schemas/events.ts'
import type { PublicError } from '../errors.ts'
import type { CheckedPayload } from './outcome.ts'
import type { LoggedEvent } from './envelope.ts'
import type { Intent } from './intent.ts'

/** The events that one transaction has appended to the log. */
export interface CommittedBatch {
  /** Ascending in each topic. */
  events: readonly LoggedEvent[]
  /** When each event was submitted, in epoch milliseconds. */
  receivedAt: readonly number[]
  /** The time of the batch in epoch milliseconds. The timestamps of the events are never earlier. */
  startedAt: number
  /** When the payloads were checked and when the events were committed, in milliseconds since `startedAt`. */
  checkedMs: number
  storedMs: number
}

/** An intent that was refused and appended nothing to the log. */
export interface RefusedIntent {
  intent: Pick<Intent<unknown>, 'scope' | 'topics'>
  refusal: PublicError
  receivedAt: number
  /** The source, if it does not follow from the topic. */
  source?: EventSource
  /** The payload that the topic's schema rejected. */
  checked?: CheckedPayload | undefined
}

/**
 * Observes the results of intents. It is called in the turn of the event loop in which they are answered, before the
 * hub has the events, so it must defer its work. It must not throw.
 */
export interface WriteObserver {
  committed (batch: CommittedBatch): void
  refused (refused: RefusedIntent): void
}

export const noWriteObserver: WriteObserver = { committed: () => {}, refused: () => {} }
