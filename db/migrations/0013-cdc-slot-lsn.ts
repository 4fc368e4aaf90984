import { sql, type Kysely } from 'kysely'

/**
 * Adds the position up to which a connection's slot was acknowledged. A slot with the same name that is further ahead
 * belongs to another program. Null until the creation is confirmed.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table cdc_connections add column slot_lsn pg_lsn').execute(db)
  await sql.raw("update cdc_connections set slot_lsn = '0/0' where owns_slot").execute(db)
  await sql.raw('alter table cdc_leftovers add column slot_lsn pg_lsn').execute(db)
}
