import { sql, type Kysely } from 'kysely'

/** Lets alerts count the dead deliveries of each webhook, instead of the latest of all webhooks together. */
export async function up (db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

const statements = [
  "create index webhook_deliveries_died_of on webhook_deliveries (webhook_id, settled_at) where state = 'dead'",
  'drop index webhook_deliveries_died'
]
