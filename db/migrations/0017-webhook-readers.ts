import { sql, type Kysely } from 'kysely'

/** Whose right to read a webhook has. Webhooks from before have the platform's, until they are changed. */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table webhooks add column reader jsonb').execute(db)
}
