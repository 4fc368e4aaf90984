import { sql, type Kysely } from 'kysely'

/** Creates the seed of the epochs of later logs, one row. */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw('create table epoch_seed (single boolean primary key default true check (single), seed text not null)')
    .execute(db)
  await sql.raw('insert into epoch_seed (seed) values (gen_random_uuid()::text)').execute(db)
}
