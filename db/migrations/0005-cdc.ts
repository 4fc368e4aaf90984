import { sql, type Kysely } from 'kysely'

/**
 * Creates connected databases with their readers' leases and positions; mappings with their versions, promotions and
 * subscriptions; and delivery logs.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

const statements = [
  `create table cdc_connections (
    id text primary key,
    application_id text not null references applications on delete cascade,
    environment text not null,
    connection_string_sealed text not null,
    publication text not null,
    slot text not null,
    owns_publication boolean not null default false,
    owns_slot boolean not null default false,
    revision int not null default 1,
    gap_accepted boolean not null default false,
    status json,
    created_at bigint not null,
    updated_at bigint not null,
    unique (application_id, environment)
  )`,
  // The reader's lease and position: the row that the writer's transactions compare and set. Lease times come from the
  // database's clock.
  `create table cdc_positions (
    connection_id text primary key references cdc_connections on delete cascade,
    fence bigint not null default 0,
    lease_owner text,
    lease_expires_at timestamptz not null default '-infinity',
    system_identifier text,
    slot text,
    publication_oid bigint,
    commit_lsn pg_lsn not null default '0/0',
    change_index bigint not null default 0,
    confirmed_lsn pg_lsn not null default '0/0'
  ) with (fillfactor = 50)`,
  'create unique index cdc_positions_slot on cdc_positions (system_identifier, slot)',
  `create table mappings (
    id text primary key,
    application_id text not null references applications on delete cascade,
    environment text not null,
    topic text not null,
    definition json not null,
    last_version int not null default 0,
    home_version int,
    created_at bigint not null,
    updated_at bigint not null
  )`,
  'create index mappings_application on mappings (application_id, created_at, id)',
  `create table mapping_versions (
    mapping_id text not null references mappings on delete cascade,
    version int not null,
    environment text not null,
    topic text not null,
    definition json not null,
    created_at bigint not null,
    primary key (mapping_id, version)
  )`,
  // The version that runs in an environment other than the mapping's home.
  `create table mapping_environments (
    mapping_id text not null references mappings on delete cascade,
    environment text not null,
    version int not null,
    updated_at bigint not null,
    primary key (mapping_id, environment)
  )`,
  `create table mapping_subscriptions (
    id text primary key,
    application_id text not null references applications on delete cascade,
    environment text not null,
    mapping_id text not null references mappings on delete cascade,
    active boolean not null,
    created_at bigint not null,
    unique (mapping_id, environment)
  )`,
  'create index mapping_subscriptions_scope on mapping_subscriptions (application_id, environment)',
  // One number per scope, raised by every change of a reader's work.
  `create table mapping_revisions (
    application_id text not null references applications on delete cascade,
    environment text not null,
    revision bigint not null,
    primary key (application_id, environment)
  )`,
  `create table database_logs (
    id text not null,
    application_id text not null references applications on delete cascade,
    environment text not null,
    mapping_id text not null,
    subscription_id text not null,
    status text not null,
    topic text not null,
    table_name text not null,
    events int not null,
    code text,
    message text,
    lsn text not null,
    xid bigint not null,
    committed_at bigint not null,
    created_at bigint not null,
    sequence bigint generated always as identity primary key
  )`,
  'create index database_logs_scope on database_logs (application_id, environment, sequence)',
  'create index database_logs_mapping on database_logs (mapping_id, environment, sequence)',
  'create index database_logs_age on database_logs (created_at)'
]
