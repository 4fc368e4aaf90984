import { sql, type Kysely } from 'kysely'

/** Numbers logs in order of creation, so that a node discovers topics that another node wrote first. */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw('create unique index topic_logs_id on topic_logs (id)').execute(db)
}
