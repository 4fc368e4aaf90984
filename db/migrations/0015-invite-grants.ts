import { sql, type Kysely } from 'kysely'

/** What an invite promised, and by which key's token: accepted is no more than that. */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table invites add column given text[], add column key_id text').execute(db)
}
