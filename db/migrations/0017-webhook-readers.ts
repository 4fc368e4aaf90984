import { sql, type Kysely } from 'kysely'

/**
 * The reader whose rights a webhook has. Webhooks from before this migration have the platform's until they are
 * changed.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table webhooks add column reader jsonb').execute(db)
}
