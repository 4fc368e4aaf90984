import type pg from 'pg'
import type { LoggedEvent } from './envelope.ts'
import type { EpochOf } from './epochs.ts'
import type { EventRouting } from './event-routing.ts'
import type { KnownTopics } from './known-topics.ts'
import type { Outcome } from './outcome.ts'
import type { PayloadCheck } from './payload-check.ts'

export interface BatchResult {
  /** The time of the batch in epoch milliseconds. */
  startedAt: number
  outcomes: Outcome[]
  /** The committed events, ascending in each topic. Events of an intent are adjacent, in the order of the intents. */
  events: LoggedEvent[]
  /** The number of events of each intent. */
  counts: number[]
  /** The time at which all payloads were checked, in milliseconds since `startedAt`. */
  checkedMs: number
  services: { applicationId: string, name: string }[]
  /** The topics whose schemas refused a payload, one for each payload. */
  violated: string[]
  /** Whether some of the events are owed to webhooks. */
  isOwed: boolean
}

export interface BatchParts {
  client: pg.PoolClient
  check: PayloadCheck
  routing: EventRouting
  epochOf: EpochOf
  now: number
  knownTopics: KnownTopics
  /** Whether the batch may go by what this node remembers of topics and webhooks. */
  mayRecall: boolean
  isServiceKnown (applicationId: string, name: string): boolean
}
