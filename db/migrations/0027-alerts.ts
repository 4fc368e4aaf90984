import { sql, type Kysely } from 'kysely'

/**
 * Creates alerts. `alert_rules` has what a scope has changed about the built-in rules. A row of `alerts` is pending
 * from the first evaluation at which its condition holds, then firing, then resolved. `alert_counts` has what nodes
 * have observed and no other table has, in short intervals.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

const statements = [
  `create table alert_rules (
    application_id text not null references applications on delete cascade,
    environment text not null,
    rule text not null,
    enabled boolean,
    severity text,
    threshold float8,
    for_seconds int,
    updated_at bigint not null,
    primary key (application_id, environment, rule)
  )`,
  `create table alerts (
    id text primary key,
    application_id text not null references applications on delete cascade,
    environment text not null,
    rule text not null,
    target text not null,
    status text not null,
    severity text,
    summary text,
    value float8,
    threshold float8,
    facts jsonb not null,
    pending_since bigint not null,
    seen_at bigint not null,
    started_at bigint,
    cleared_since bigint,
    resolved_at bigint,
    resolution text,
    acknowledged_by text,
    acknowledged_at bigint
  ) with (fillfactor = 70)`,
  "create unique index alerts_open on alerts (application_id, environment, rule, target) where status <> 'resolved'",
  "create index alerts_pending on alerts (rule) where status = 'pending'",
  "create index alerts_firing on alerts (rule) where status = 'firing'",
  "create index alerts_page on alerts (application_id, environment, started_at, id) where status <> 'pending'",
  "create index alerts_resolved on alerts (resolved_at) where status = 'resolved'",
  `create table alert_counts (
    application_id text not null,
    environment text not null,
    signal text not null,
    target text not null,
    at bigint not null,
    count bigint not null,
    primary key (signal, at, application_id, environment, target)
  ) with (fillfactor = 70)`,
  "create index database_logs_failures on database_logs (created_at) where status <> 'delivered'",
  "create index webhook_deliveries_died on webhook_deliveries (settled_at) where state = 'dead'",
  'create index webhooks_failing on webhooks (id) where failing_since is not null or deactivated_reason is not null'
]
