import { sql, type Kysely } from 'kysely'

/** Adds the start of the time for which an endpoint has been observed to be down, so that it survives a restart. */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table webhooks add column down_since bigint').execute(db)
}
