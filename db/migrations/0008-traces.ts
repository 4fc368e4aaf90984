import { sql, type Kysely } from 'kysely'

/**
 * Creates traces (runs of events with their steps, the steps of other nodes, and subscriptions by time) and replays.
 * Traces are partitioned by time so that retention drops whole partitions (src/events/partitions.ts).
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

const statements = [
  `create table event_traces (
    id text not null,
    created_at bigint not null,
    node text not null,
    n bigint not null,
    application_id text not null,
    environment text not null,
    topic text not null,
    source text not null,
    outcome text not null,
    first_offset bigint,
    events int not null,
    detail json not null
  ) partition by range (created_at)`,
  'create unique index event_traces_id on event_traces (id, created_at)',
  'create index event_traces_newest on event_traces (application_id, environment, created_at, node, n)',
  'create index event_traces_stream on event_traces (application_id, environment, node, n)',
  'create index event_traces_refused on event_traces (application_id, environment, created_at, node, n) ' +
    "where outcome <> 'stored'",
  `create table event_trace_parts (
    id text not null,
    created_at bigint not null,
    node text not null,
    n bigint not null,
    application_id text not null,
    environment text not null,
    detail json not null
  ) partition by range (created_at)`,
  'create unique index event_trace_parts_id on event_trace_parts (id, created_at, node, n)',
  'create index event_trace_parts_stream on event_trace_parts (application_id, environment, node, n)',
  `create table trace_settings (
    application_id text not null references applications on delete cascade,
    environment text not null,
    sample real,
    updated_at bigint not null,
    primary key (application_id, environment)
  )`,
  `create table trace_subscriptions (
    id text primary key,
    application_id text not null,
    environment text not null,
    node text not null,
    socket_id text not null,
    principal_id text not null,
    topic text not null,
    filter json,
    return_mode text not null,
    permissions json not null,
    spans json not null,
    started_at bigint not null,
    ended_at bigint,
    end_reason text
  )`,
  'create index trace_subscriptions_principal on trace_subscriptions (application_id, environment, principal_id, ' +
    'started_at)',
  'create index trace_subscriptions_ended on trace_subscriptions (ended_at) where ended_at is not null',
  'create index trace_subscriptions_live on trace_subscriptions (node) where ended_at is null',
  `create table trace_nodes (
    id text primary key,
    started_at bigint not null,
    seen_at bigint not null
  )`,
  `create table replays (
    id text primary key,
    application_id text not null references applications on delete cascade,
    environment text not null,
    target text not null,
    webhook_id text,
    topic text,
    from_offset bigint,
    to_offset bigint,
    from_time bigint,
    to_time bigint,
    events json,
    rate_per_second int not null,
    total bigint not null,
    position bigint not null default 0,
    done bigint not null default 0,
    state text not null,
    sent bigint not null default 0,
    passed_over bigint not null default 0,
    missing bigint not null default 0,
    webhook_deliveries bigint not null default 0,
    requested_by text not null,
    message text,
    created_at bigint not null,
    started_at bigint,
    finished_at bigint,
    lease_owner text,
    lease_until bigint not null default 0
  )`,
  'create index replays_scope on replays (application_id, environment, created_at, id)',
  'create index replays_open on replays (state) where finished_at is null',
  'create index replays_finished on replays (finished_at) where finished_at is not null'
]
