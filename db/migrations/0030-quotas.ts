import { sql, type Kysely } from 'kysely'

/** Adds the retention of single topics, the quotas of applications, and the counters that they are compared with. */
export async function up (db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

const statements = [
  // Hours; 0 is for ever, null the default of the server.
  'alter table topics add column retention_hours int',
  'create index topics_retention on topics (application_id, environment, name) where retention_hours is not null',
  // Events that are older than the server's retention, of topics that are kept for longer.
  'create table events_kept (like events)',
  'create index events_kept_log on events_kept (log_id, "offset")',
  `create view logged_events as
    select log_id, "offset", application_id, environment, topic, id, type, source, key, payload, diff, meta,
      schema_version, created_at from events
    union all
    select log_id, "offset", application_id, environment, topic, id, type, source, key, payload, diff, meta,
      schema_version, created_at from events_kept`,
  // Null is no limit, a missing row the defaults of the server.
  `create table application_quotas (
    application_id text primary key references applications on delete cascade,
    publishes_per_second int,
    bytes_stored bigint,
    sockets int,
    subscriptions int,
    webhooks int,
    documents int,
    changed_at timestamptz not null default clock_timestamp()
  )`,
  'create index application_quotas_changed on application_quotas (changed_at)',
  // Payload bytes of the retained events, by the partition that they were written to; 0 stands for events_kept.
  `create table application_bytes (
    application_id text not null references applications on delete cascade,
    period bigint not null,
    bytes bigint not null,
    primary key (application_id, period)
  )`,
  'create index application_bytes_period on application_bytes (period)',
  `create table application_documents (
    application_id text primary key references applications on delete cascade,
    documents bigint not null,
    counted_at bigint not null default 0
  )`,
  `create table application_usage (
    application_id text not null references applications on delete cascade,
    span text not null check (span in ('hour', 'day')),
    starts_at bigint not null,
    publishes bigint not null default 0,
    bytes_written bigint not null default 0,
    deliveries bigint not null default 0,
    sockets_peak bigint not null default 0,
    subscriptions_peak bigint not null default 0,
    bytes_stored bigint not null default 0,
    documents bigint not null default 0,
    webhooks bigint not null default 0,
    primary key (application_id, span, starts_at)
  )`,
  'create index application_usage_age on application_usage (span, starts_at)',
  `create table quota_nodes (
    id text primary key,
    seen_at timestamptz not null
  )`,
  `create table quota_node_counts (
    node_id text not null references quota_nodes on delete cascade,
    application_id text not null,
    sockets int not null,
    subscriptions int not null,
    publishes_per_second double precision not null,
    primary key (application_id, node_id)
  ) with (fillfactor = 50)`,
  'create index quota_node_counts_node on quota_node_counts (node_id)'
]
