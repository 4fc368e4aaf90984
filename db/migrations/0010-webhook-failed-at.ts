import { sql, type Kysely } from 'kysely'

/** Adds the time of an endpoint's last failure. A failure long after the previous one is not consecutive. */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table webhooks add column failed_at bigint').execute(db)
}
