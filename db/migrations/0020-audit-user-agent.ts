import { sql, type Kysely } from 'kysely'

/**
 * Adds the user agent to entries of the audit log. A nullable column without a default is added without rewriting the
 * table.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql`alter table audit_log add column user_agent text`.execute(db)
}
