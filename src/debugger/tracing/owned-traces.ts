import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import { rowsAtOnce, type OwnedData } from '../../identity/applications/owned-data.ts'

const tables = ['event_traces', 'event_trace_parts', 'trace_subscriptions'] as const

/** The traces of a deleted application. */
export const ownedTraces: OwnedData = {
  delete: async (_trx, applicationId) => async db => {
    for (const table of tables) await deleteTraces(db, table, applicationId)
  }
}

/** Deletes by partition and row position, because a partitioned table has no other short name for a row. */
async function deleteTraces (db: Kysely<Database>, table: typeof tables[number], applicationId: string): Promise<void> {
  for (let isMore = true; isMore;) {
    const { numAffectedRows = 0n } = await sql`delete from ${sql.table(table)} t using (
      select tableoid, ctid from ${sql.table(table)} where application_id = ${applicationId} limit ${rowsAtOnce}) d
      where t.tableoid = d.tableoid and t.ctid = d.ctid`.execute(db)
    isMore = numAffectedRows >= BigInt(rowsAtOnce)
  }
}
