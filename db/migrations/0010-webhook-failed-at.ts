import { sql, type Kysely } from 'kysely'

/** When an endpoint was last seen to fail: a failure long after the one before is none in a row. */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table webhooks add column failed_at bigint').execute(db)
}
