import { sql, type Kysely } from 'kysely'

/**
 * Adds sign-in with an identity provider: the identities of users there, started sign-ins, and who chose a password,
 * which is unknown for existing ones. A session that was opened with the provider has a latest end.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw("alter table users add column password_set_by text not null default 'other'").execute(db)
  await sql.raw('alter table sessions add column ends_at bigint').execute(db)
  await sql.raw(`create table oidc_identities (
    issuer text not null,
    subject text not null,
    user_id text not null references users on delete cascade,
    linked_at bigint not null,
    signed_in_at bigint not null,
    primary key (issuer, subject),
    unique (user_id, issuer)
  )`).execute(db)
  await sql.raw(`create table oidc_sign_ins (
    state_hash bytea primary key,
    code_hash bytea unique,
    user_id text references users on delete cascade,
    code_expires_at bigint,
    expires_at bigint not null
  )`).execute(db)
  await sql.raw('create index oidc_sign_ins_user on oidc_sign_ins (user_id)').execute(db)
}
