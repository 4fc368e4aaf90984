import { sql, type Kysely } from 'kysely'

/**
 * Adds the reader whose permissions a webhook has. Webhooks from before this migration keep the platform's until they
 * are changed.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table webhooks add column reader jsonb').execute(db)
}
