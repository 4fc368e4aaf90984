import { sql, type Kysely } from 'kysely'

/** Adds the versions of a mapping that an environment has run, which it can return to. */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw("alter table mapping_environments add column versions int[] not null default '{}'").execute(db)
  await sql.raw('update mapping_environments set versions = array[version]').execute(db)
}
