import { sql, type Kysely } from 'kysely'

/**
 * Creates the event log, documents, topics, services, applications, users and keys. `events` is partitioned by time so
 * that retention drops whole partitions; src/events/partitions.ts creates them.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

const statements = [
  `create table applications (
    id text primary key,
    name text not null,
    description text not null,
    created_at bigint not null,
    updated_at bigint not null
  )`,
  `create table users (
    id text primary key,
    email text not null,
    name text not null,
    password_hash text not null,
    created_at bigint not null,
    updated_at bigint not null
  )`,
  'create unique index users_email on users (lower(email))',
  `create table roles (
    id text primary key,
    name text not null unique,
    description text not null,
    built_in boolean not null,
    permissions jsonb not null,
    created_at bigint not null
  )`,
  `create table role_assignments (
    user_id text not null references users on delete cascade,
    role_id text not null references roles on delete cascade,
    application_id text references applications on delete cascade
  )`,
  'create unique index role_assignments_once on role_assignments (user_id, role_id, coalesce(application_id, \'\'))',
  `create table sessions (
    token_hash bytea primary key,
    user_id text not null references users on delete cascade,
    created_at bigint not null,
    expires_at bigint not null,
    seen_at bigint not null,
    address text,
    user_agent text
  )`,
  'create index sessions_user on sessions (user_id)',
  `create table signing_keys (
    id text primary key,
    algorithm text not null,
    secret_sealed text not null,
    active boolean not null,
    created_at bigint not null,
    deactivated_at bigint,
    revoked_at bigint
  )`,
  `create table topics (
    application_id text not null references applications on delete cascade,
    environment text not null,
    name text not null,
    description text not null,
    owner text not null,
    active_schema_version int,
    created_at bigint not null,
    primary key (application_id, environment, name)
  )`,
  `create table topic_logs (
    id bigint generated always as identity,
    application_id text not null references applications on delete cascade,
    environment text not null,
    topic text not null,
    epoch text not null,
    head_offset bigint not null,
    primary key (application_id, environment, topic)
  ) with (fillfactor = 50)`,
  `create table events (
    log_id bigint not null,
    "offset" bigint not null,
    application_id text not null,
    environment text not null,
    topic text not null,
    id text not null,
    type text not null,
    source text not null,
    key text,
    payload json not null,
    diff json,
    meta json,
    schema_version int,
    created_at bigint not null
  ) partition by range (created_at)`,
  'create index events_log on events (log_id, "offset")',
  `create table services (
    id uuid not null default gen_random_uuid() unique,
    application_id text not null references applications on delete cascade,
    name text not null,
    description text,
    created_at bigint not null,
    updated_at bigint not null,
    primary key (application_id, name)
  )`,
  `create table documents (
    application_id text not null,
    environment text not null,
    service text not null,
    id text not null,
    revision bigint not null,
    data json not null,
    deleted boolean not null,
    expires_at bigint,
    created_at bigint not null,
    updated_at bigint not null,
    primary key (application_id, environment, service, id),
    foreign key (application_id, service) references services (application_id, name)
  ) with (fillfactor = 80)`,
  'create index documents_expiry on documents (expires_at) where expires_at is not null and not deleted',
  `create table idempotency_keys (
    application_id text not null,
    environment text not null,
    key text not null,
    fingerprint bytea not null,
    answer json not null,
    created_at bigint not null,
    primary key (application_id, environment, key)
  )`,
  'create index idempotency_keys_age on idempotency_keys (created_at)',
  `insert into roles (id, name, description, built_in, permissions, created_at) values
    ('role_super_admin', 'super_admin', 'Everything.', true, '[{"resource":"*","action":"*"}]', 0),
    ('role_admin', 'admin', 'Topics, schemas, mappings, users and everything inside applications.', true, '[]', 0),
    ('role_editor', 'editor', 'Create and change topics, schemas and mappings.', true, '[]', 0),
    ('role_viewer', 'viewer', 'Read only.', true, '[]', 0)`
]
