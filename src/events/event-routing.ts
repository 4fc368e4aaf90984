import type pg from 'pg'
import type { Scope } from '../../schemas/scope.ts'
import type { EventDraft } from './envelope.ts'
import type { RoutingFact } from './facts.ts'

/**
 * Finds the webhooks that the events of a batch are owed to. The statement that stores the events also stores the
 * result, so that both commit together or not at all.
 */
export interface EventRouting {
  /**
   * Resolves to the recipients in these applications, as of the batch's transaction, or to undefined if there are none.
   * Called once a batch. Sends its query synchronously, so that it shares the round trip of the batch's other reads.
   */
  prepare (applicationIds: ReadonlySet<string>, client: pg.PoolClient): Promise<Recipients | undefined>
  /** Returns the recipients as this node last read them, or undefined if it does not know those of an application. */
  recall (applicationIds: ReadonlySet<string>): RecalledRecipients | undefined
  /** Called after a commit that stored at least one row of the outbox. */
  committed (): void
}

export interface Recipients {
  /** Calls `visit` with the id of each webhook that the event is owed to. */
  of (scope: Scope, draft: EventDraft, visit: (webhookId: string) => void): void
}

/** Recipients, and what they were read from. They are right only while it is unchanged. */
export interface RecalledRecipients { recipients: Recipients | undefined, facts: RoutingFact[] }

/** Routes no event to any webhook. */
export const noEventRouting: EventRouting = {
  prepare: async () => undefined,
  recall: () => ({ recipients: undefined, facts: [] }),
  committed: () => {}
}
