import { sql, type Kysely } from 'kysely'

/**
 * Adds the permissions that an invite promised and the key of the token that sent it. Accepting it grants no more than
 * that.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table invites add column given text[], add column key_id text').execute(db)
}
