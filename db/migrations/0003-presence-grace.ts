import { sql, type Kysely } from 'kysely'

/** How long a channel's member whose connection has ended is kept, so that a reconnect makes no noise. */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table applications add column presence_grace_ms int not null default 3000').execute(db)
}
