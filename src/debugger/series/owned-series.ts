import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import { rowsAtOnce, type OwnedData } from '../../identity/applications/owned-data.ts'

const tables = ['metric_minutes', 'metric_quarters'] as const

/**
 * The metric series of an application. They are deleted after the transaction. Rows that a node stores later are
 * unreachable, and expire.
 */
export const ownedSeries: OwnedData = {
  delete: async (_trx, applicationId) => async db => {
    for (const table of tables) await deleteRows(db, table, applicationId)
  }
}

async function deleteRows (db: Kysely<Database>, table: typeof tables[number], applicationId: string): Promise<void> {
  for (let isMore = true; isMore;) {
    const { numAffectedRows = 0n } = await sql`
      delete from ${sql.table(table)} where ctid = any(array(
        select ctid from ${sql.table(table)} where application_id = ${applicationId} limit ${rowsAtOnce}))`.execute(db)
    isMore = numAffectedRows >= BigInt(rowsAtOnce)
  }
}
