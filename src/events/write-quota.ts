import type { PublicError } from '../errors.ts'
import type { LoggedEvent } from './envelope.ts'
import type { Intent } from './intent.ts'

/** Decides which intents the quotas of their applications allow. It is called for each intent, so it must not wait. */
export interface WriteQuota {
  /** Returns the refusal if a quota is used up. */
  admit (intent: Pick<Intent<unknown>, 'scope' | 'charge' | 'bytes'>): PublicError | undefined
  /** Call once for each admitted intent when it is settled, with the number of events that it has written. */
  settled (intent: Pick<Intent<unknown>, 'scope' | 'charge'>, events: number): void
  /** Receives the events of each commit. */
  committed (events: readonly LoggedEvent[]): void
}

/** Allows every intent. */
export const noWriteQuota: WriteQuota = { admit: () => undefined, settled: () => {}, committed: () => {} }
