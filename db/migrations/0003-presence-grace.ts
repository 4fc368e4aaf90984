import { sql, type Kysely } from 'kysely'

/**
 * Adds the time for which a channel member is kept after its connection ends, so that a reconnect emits no leave and
 * join.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table applications add column presence_grace_ms int not null default 3000').execute(db)
}
