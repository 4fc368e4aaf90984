import { sql, type Kysely } from 'kysely'

const newMark = 'substr(md5(gen_random_uuid()::text), 1, 12)'
/** The mark in names and comments from the time when it was derived from the connection's id. */
const oldMark = (id: string) => `left(encode(sha256(convert_to(${id}, 'UTF8')), 'hex'), 12)`

/**
 * Stores the mark of a connection's slot and publication, and the identity of the database that these rows were written
 * in. A copy of the platform's database has another identity and takes new marks. The identity is null until the first
 * start.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  const statements = [
    'create table cdc_home (single boolean primary key default true check (single), identity text)',
    'insert into cdc_home default values',
    `alter table cdc_connections add column mark text not null default ${newMark}`,
    `update cdc_connections set mark = ${oldMark('id')}`,
    'alter table cdc_leftovers add column mark text',
    `update cdc_leftovers set mark = ${oldMark('connection_id')}`,
    'alter table cdc_leftovers alter column mark set not null'
  ]
  for (const statement of statements) await sql.raw(statement).execute(db)
}
