import { sql, type Kysely } from 'kysely'

/** Keeps the headers of responses and the time in each signature, so that a delivery can be examined. */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table webhook_attempts add column response_headers text, add column sent_at bigint').execute(db)
}
