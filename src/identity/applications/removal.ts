import type { Kysely, Selectable, Transaction } from 'kysely'
import type { ApplicationsTable, Database } from '../../../db/tables.ts'
import type { FollowUp, OwnedData } from './owned-data.ts'

const attemptsMax = 10
/** deadlock_detected, foreign_key_violation */
const passing = new Set(['40P01', '23503'])

export interface RemovalOptions {
  force: boolean
  /** The data that applications own, in the order of deletion. */
  owned: readonly OwnedData[]
  log: { warn (fields: object, message: string): void }
  /** Called in the transaction, before the application is deleted. */
  onRemove (trx: Transaction<Database>, row: Selectable<ApplicationsTable>): Promise<void>
  /**
   * Called as soon as the deletion is committed: what still runs for the application must stop before the rest of its
   * data is deleted, which may take minutes.
   */
  onRemoved (): void
}

/**
 * Deletes an application with all data that it owns. Everything that can be reached is deleted in one transaction. The
 * rest follows in pieces, because a transaction of that size would block the writer; after a crash in between,
 * retention deletes it.
 */
export async function removeApplication (
  db: Kysely<Database>, id: string, { force, owned, log, onRemove, onRemoved }: RemovalOptions
): Promise<'removed' | 'missing' | 'not_empty'> {
  const outcome = await inTransaction(db, async trx => {
    // The lock prevents other transactions from adding a topic, a service or a log.
    const found = await trx.selectFrom('applications').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
    if (found === undefined) return 'missing'
    if (!force) for (const data of owned) if (await data.exists?.(trx, id) === true) return 'not_empty'
    const followUps: FollowUp[] = []
    for (const data of owned) {
      const followUp = await data.delete?.(trx, id)
      if (followUp !== undefined) followUps.push(followUp)
    }
    await onRemove(trx, found)
    // References delete the rest: topics, logs, services, webhooks.
    await trx.deleteFrom('applications').where('id', '=', id).execute()
    return followUps
  })
  if (typeof outcome === 'string') return outcome
  onRemoved()
  for (const followUp of outcome) {
    await followUp(db).catch((err: unknown) => log.warn({ err, applicationId: id }, 'application.data_left_behind'))
  }
  return 'removed'
}

/**
 * The writer takes its locks in another order, so a deadlock is possible: PostgreSQL then ends one of the two. A row
 * that another transaction commits between two statements may violate a reference. In both cases the work starts over.
 */
async function inTransaction<T> (db: Kysely<Database>, work: (trx: Transaction<Database>) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await db.transaction().execute(work)
    } catch (error) {
      if (!passing.has((error as { code?: string }).code ?? '') || attempt === attemptsMax) throw error
    }
  }
}
