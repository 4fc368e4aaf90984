import { sql, type Kysely } from 'kysely'

/** Which versions of a mapping an environment has run: those that it may go back to. */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw("alter table mapping_environments add column versions int[] not null default '{}'").execute(db)
  await sql.raw('update mapping_environments set versions = array[version]').execute(db)
}
