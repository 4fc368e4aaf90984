import { sql, type Kysely } from 'kysely'

/**
 * Creates endpoints and their deliveries. A transaction that writes events also writes their `webhook_outbox` rows: one
 * row per endpoint, log and batch, because one per event would double the cost of a publish. The dispatcher turns it
 * into `webhook_deliveries`, one row per event. `position` is the order within a lane (the ordering key, for endpoints
 * that use one). `webhook_events` keeps events of pending deliveries that the log is about to drop.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

const statements = [
  `create table webhooks (
    id text primary key,
    application_id text not null references applications on delete cascade,
    url text not null,
    description text,
    events text[] not null,
    topics text[],
    filter json,
    environments text[],
    ordering text not null,
    rate_limit int,
    active boolean not null,
    deactivated_reason text,
    deactivation_untold boolean not null default false,
    failing_since bigint,
    secrets jsonb not null,
    created_at bigint not null,
    updated_at bigint not null
  )`,
  'create index webhooks_application on webhooks (application_id, created_at, id)',
  'create index webhooks_untold on webhooks (id) where deactivation_untold',
  `create table webhook_versions (
    application_id text primary key references applications on delete cascade,
    version bigint not null,
    changed_at bigint not null
  )`,
  'create index webhook_versions_changed on webhook_versions (changed_at)',
  `create table webhook_outbox (
    id bigint generated always as identity primary key,
    webhook_id text not null,
    log_id bigint not null,
    head bigint not null,
    backs int[] not null,
    created_at bigint not null
  )`,
  'create sequence webhook_positions',
  `create table webhook_deliveries (
    seq bigint generated always as identity primary key,
    id uuid not null default gen_random_uuid() unique,
    application_id text not null,
    environment text not null,
    webhook_id text not null,
    event_id text not null,
    event_type text not null,
    topic text not null,
    log_id bigint not null,
    "offset" bigint not null,
    event_at bigint not null,
    key text,
    lane text,
    position bigint not null default nextval('webhook_positions'),
    replay_of text,
    state text not null default 'pending',
    attempts int not null default 0,
    failures int not null default 0,
    fence int not null default 0,
    leased_by text,
    lease_until bigint not null default 0,
    next_at bigint not null,
    created_at bigint not null,
    settled_at bigint,
    status_code int,
    error text
  ) with (fillfactor = 50)`,
  'create index webhook_deliveries_due on webhook_deliveries (webhook_id, next_at, position) ' +
    "where state = 'pending' and lane is null",
  'create index webhook_deliveries_lanes on webhook_deliveries (webhook_id, lane, position) ' +
    "where state = 'pending' and lane is not null",
  'create index webhook_deliveries_dead on webhook_deliveries (application_id, webhook_id, seq) ' +
    "where state = 'dead'",
  'create index webhook_deliveries_application on webhook_deliveries (application_id, seq)',
  'create index webhook_deliveries_event on webhook_deliveries (event_id)',
  `create table webhook_attempts (
    seq bigint generated always as identity primary key,
    id text not null default 'log_' || replace(gen_random_uuid()::text, '-', ''),
    application_id text not null,
    environment text not null,
    webhook_id text not null,
    delivery_id uuid,
    event_type text not null,
    url text not null,
    attempt int not null,
    success boolean not null,
    status_code int,
    error text,
    response_body text,
    duration_ms int,
    attempted_at bigint not null
  )`,
  'create index webhook_attempts_application on webhook_attempts (application_id, seq)',
  'create index webhook_attempts_delivery on webhook_attempts (delivery_id)',
  `create table webhook_events (
    log_id bigint not null,
    "offset" bigint not null,
    application_id text not null,
    environment text not null,
    topic text not null,
    epoch text not null,
    id text not null,
    type text not null,
    source text not null,
    key text,
    payload json not null,
    meta json,
    schema_version int,
    created_at bigint not null,
    primary key (log_id, "offset")
  )`,
  'create index webhook_events_age on webhook_events (created_at)'
]
