import type { Kysely, Transaction } from 'kysely'
import type { Database } from '../../../db/tables.ts'

/** Deletes the rest of an application's data after the deletion has committed. */
export type FollowUp = (db: Kysely<Database>) => Promise<void>

/**
 * One kind of data that applications own. Each owner registers its kind with `Applications.registerData`, so that
 * deleting an application imports none of them.
 */
export interface OwnedData {
  /**
   * Reports whether the application has data that only a forced deletion may delete. May lock rows against new data.
   */
  exists? (trx: Transaction<Database>, applicationId: string): Promise<boolean>
  /**
   * Called in the deletion's transaction, in the order of registration, before the application's row is deleted.
   * Deletes whatever references would keep alive. Rows that nothing can reach without the application are better left
   * to the returned follow-up.
   */
  delete? (trx: Transaction<Database>, applicationId: string): Promise<FollowUp | undefined>
}

/** Rows that one statement deletes, so that each stays far below the statement timeout. */
export const rowsAtOnce = 20_000
