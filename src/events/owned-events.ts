import { sql, type Kysely, type Transaction } from 'kysely'
import type { Database } from '../../db/tables.ts'

const rowsAtOnce = 20_000

const lockLogs = async (trx: Transaction<Database>, applicationId: string) => {
  const logs = await trx.selectFrom('topic_logs').select('id').where('application_id', '=', applicationId).forUpdate()
    .execute()
  return logs.map(({ id }) => id)
}

/**
 * Deletes the logs, events and idempotency keys of an application. Events are deleted after the transaction: without
 * their log they are unreachable.
 */
export const ownedEvents = {
  async exists (trx: Transaction<Database>, applicationId: string): Promise<boolean> {
    const logIds = await lockLogs(trx, applicationId)
    const { rows: [found] } = await sql<{ exists: boolean }>`
      select exists (select from logged_events where log_id = any(${logIds}::bigint[]))`.execute(trx)
    return found?.exists === true
  },

  async delete (trx: Transaction<Database>, applicationId: string) {
    const logIds = await lockLogs(trx, applicationId)
    await trx.deleteFrom('idempotency_keys').where('application_id', '=', applicationId).execute()
    return async (db: Kysely<Database>) => { for (const logId of logIds) await deleteEvents(db, logId) }
  }
}

async function deleteEvents (db: Kysely<Database>, logId: number): Promise<void> {
  const { rows: [span] } = await sql<{ first: number | null, last: number | null }>`
    select min("offset") as first, max("offset") as last from logged_events where log_id = ${logId}`.execute(db)
  if (span === undefined || span.first === null || span.last === null) return
  for (let from = span.first; from <= span.last; from += rowsAtOnce) {
    for (const table of ['events', 'events_kept'] as const) {
      await db.deleteFrom(table).where('log_id', '=', logId).where('offset', '>=', from).where(
        'offset', '<', from + rowsAtOnce
      ).execute()
    }
  }
}
