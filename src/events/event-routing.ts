import type pg from 'pg'
import type { Scope } from '../../schemas/scope.ts'
import type { EventDraft } from './envelope.ts'

/**
 * Finds out to whom else the events of a batch are owed. What it finds is stored by the statement that stores the
 * events: an event that does not commit is owed to nobody, and one that does to all of them.
 */
export interface Consequences {
  /**
   * Called once a batch. Sends what it has to ask at once, so that it shares the round trip of the batch's other reads,
   * and resolves when it knows, as of the batch, who listens in the applications. Undefined: nobody does.
   */
  prepare (applicationIds: ReadonlySet<string>, client: pg.PoolClient): Promise<Recipients | undefined>
  /** Called after a commit that stored something owed. */
  committed (): void
}

export interface Recipients {
  /** Calls `visit` with the id of each webhook that the event is owed to. */
  of (scope: Scope, draft: EventDraft, visit: (webhookId: string) => void): void
}

/** A batch of which nothing follows. */
export const noConsequences: Consequences = { prepare: async () => undefined, committed: () => {} }
