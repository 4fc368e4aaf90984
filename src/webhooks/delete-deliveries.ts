import { sql, type Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'

/** Rows that one statement deletes. */
const rowsAtOnce = 10_000

/** Deletes in batches the deliveries and attempts of one webhook, or of all webhooks of the application. */
export async function deleteDeliveries (
  db: Kysely<Database>, applicationId: string, webhookId?: string
): Promise<void> {
  for (const table of ['webhook_deliveries', 'webhook_attempts'] as const) {
    for (let isMore = true; isMore;) {
      const { numAffectedRows = 0n } = await sql`delete from ${sql.table(table)} where ctid = any(array(
        select ctid from ${sql.table(table)} where application_id = ${applicationId} ${
        webhookId === undefined ? sql`` : sql`and webhook_id = ${webhookId}`
      }
        limit ${rowsAtOnce}))`.execute(db)
      isMore = numAffectedRows >= BigInt(rowsAtOnce)
    }
  }
  if (webhookId === undefined) {
    await db.deleteFrom('webhook_events').where('application_id', '=', applicationId).execute()
  }
}
