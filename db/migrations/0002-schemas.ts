import { sql, type Kysely } from 'kysely'

/**
 * Creates the versions of topics' schemas. They outlive their topic: a topic that is created again continues the count.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw(`create table schemas (
    application_id text not null references applications on delete cascade,
    environment text not null,
    topic text not null,
    version int not null,
    schema json not null,
    compatibility_mode text not null,
    policy text not null,
    created_at bigint not null,
    primary key (application_id, environment, topic, version)
  )`).execute(db)
}
