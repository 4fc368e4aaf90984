import { sql, type Kysely } from 'kysely'

/**
 * Gives replays a lease with a fence, by the database's clock, and creates the leases of work that has no row of its
 * own. `replays.lease_until` stays until no node of an earlier version can be running: those still read and write it.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

const statements = [
  `alter table replays add column fence bigint not null default 0,
    add column lease_expires_at timestamptz not null default '-infinity'`,
  `create table leases (
    name text primary key,
    fence bigint not null default 0,
    lease_owner text,
    lease_expires_at timestamptz not null default '-infinity'
  ) with (fillfactor = 50)`
]
