import { sql, type Kysely } from 'kysely'

/** Adds API keys. A key ends with its application and with the user who created it. */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw(`create table api_keys (
    id text primary key,
    key_hash bytea not null unique,
    application_id text not null references applications on delete cascade,
    environment text,
    name text not null,
    prefix text not null,
    permissions text[] not null,
    created_by text not null references users on delete cascade,
    created_at bigint not null,
    expires_at bigint,
    last_used_at bigint
  )`).execute(db)
  await sql.raw('create index api_keys_page on api_keys (application_id, created_at, id)').execute(db)
  await sql.raw('create index api_keys_creator on api_keys (created_by)').execute(db)
}
