import type { EventSource } from '../../schemas/events.ts'
import type { PublicError } from '../errors.ts'
import type { CheckedPayload } from './outcome.ts'
import type { LoggedEvent } from './envelope.ts'
import type { Intent } from './intent.ts'

/** What one transaction has brought into the log. */
export interface CommittedBatch {
  /** Ascending in each topic. */
  events: readonly LoggedEvent[]
  /** When each of them was handed in, epoch milliseconds. */
  receivedAt: readonly number[]
  /** When their payloads were checked, and when they were committed, in milliseconds since their timestamp. */
  checkedMs: number
  storedMs: number
}

/** An intent that left nothing in the log. */
export interface RefusedIntent {
  intent: Pick<Intent<unknown>, 'scope' | 'topics'>
  refusal: PublicError
  receivedAt: number
  /** Where it came from, when its topic does not tell. */
  source?: EventSource
  /** The payload that its topic's schema refused. */
  checked?: CheckedPayload | undefined
}

/**
 * Hears what became of intents. It is called in the turn in which they are answered, before the hub has the events: it
 * takes note, and works later. It never throws.
 */
export interface WriteObserver {
  committed (batch: CommittedBatch): void
  refused (refused: RefusedIntent): void
}

export const noWriteObserver: WriteObserver = { committed: () => {}, refused: () => {} }
