import { sql, type Kysely } from 'kysely'

/**
 * Records slots and publications of deleted or moved connections until they are dropped. The rows outlive connection
 * and application.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw(`create table cdc_leftovers (
    id text primary key,
    connection_id text not null,
    application_id text not null,
    environment text not null,
    connection_string_sealed text not null,
    slot text,
    publication text,
    is_due boolean not null,
    error text,
    tried_at bigint not null,
    created_at bigint not null
  )`).execute(db)
}
