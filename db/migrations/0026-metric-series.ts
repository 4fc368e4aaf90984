import { sql, type Kysely } from 'kysely'

/**
 * Adds the history of metrics: counts by the minute, and by the quarter-hour once they are older. A row without an
 * application has the totals of a node. References to applications are left out, because they would lock the rows that
 * every publish locks; the deletion of an application deletes its rows.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

const columns = `
  is_cut boolean not null default false,
  is_sampled boolean not null default false,
  received bigint not null default 0,
  captured bigint not null default 0,
  routed bigint not null default 0,
  delivered bigint not null default 0,
  reconnects bigint not null default 0,
  schema_violations bigint not null default 0,
  mapping_failures bigint not null default 0,
  connection_ms bigint not null default 0,
  succeeded bigint not null default 0,
  failed bigint not null default 0,
  writes_waiting bigint not null default 0,
  webhooks_waiting bigint not null default 0,
  retrying bigint not null default 0,
  dead bigint not null default 0,
  oldest_due_ms bigint not null default 0,
  cdc_lag_ms bigint not null default 0,
  latency_buckets smallint[] not null default '{}',
  latency_counts double precision[] not null default '{}'`

const statements = [
  `create table metric_minutes (
    application_id text not null,
    environment text not null,
    kind text not null,
    name text not null,
    at bigint not null,
    node text not null,
    batch integer not null,${columns},
    primary key (application_id, environment, kind, name, at, node, batch)
  )`,
  'create index metric_minutes_age on metric_minutes (at, application_id)',
  `create table metric_quarters (
    application_id text not null,
    environment text not null,
    kind text not null,
    name text not null,
    at bigint not null,${columns},
    primary key (application_id, environment, kind, name, at)
  )`,
  'create index metric_quarters_age on metric_quarters (at)'
]
