import { sql, type Kysely } from 'kysely'

/** Logs in the order of their making: how a node hears of topics that another one wrote first. */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw('create unique index topic_logs_id on topic_logs (id)').execute(db)
}
