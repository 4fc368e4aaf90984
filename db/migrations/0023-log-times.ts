import { sql, type Kysely } from 'kysely'

/** Adds the time of each log's last event. With it, the writer keeps the times of a log from decreasing. */
export async function up (db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table topic_logs add column head_at bigint not null default 0').execute(db)
  await sql.raw(`
    update topic_logs l set head_at =
      coalesce((select created_at from events where log_id = l.id and "offset" = l.head_offset limit 1), 0)`)
    .execute(db)
}
