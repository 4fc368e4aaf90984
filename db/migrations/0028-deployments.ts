import { sql, type Kysely } from 'kysely'

/** Adds deployments, and the environments of an application that require an approval. */
export async function up (db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

const statements = [
  "alter table applications add column approval_environments text[] not null default '{}'",
  `create table deployments (
    id text primary key,
    application_id text not null references applications on delete cascade,
    title text not null,
    description text not null,
    source text not null,
    target text not null,
    status text not null,
    created_by text not null,
    created_with text not null,
    created_at bigint not null,
    updated_at bigint not null,
    applied_by text,
    applied_at bigint,
    rolled_back_by text,
    rolled_back_at bigint,
    rejected_by text,
    rejected_at bigint,
    reason text
  )`,
  'create index deployments_page on deployments (application_id, created_at, id)',
  // `content` is what the item had in the source, unless a version has it. `outcome` is what applying it changed.
  `create table deployment_items (
    deployment_id text not null references deployments on delete cascade,
    position int not null,
    kind text not null,
    name text not null,
    version int,
    content json,
    outcome json,
    note text,
    primary key (deployment_id, position)
  )`,
  `create table deployment_approvals (
    deployment_id text not null references deployments on delete cascade,
    user_id text not null,
    digest text not null,
    created_at bigint not null,
    primary key (deployment_id, user_id)
  )`,
  `create table deployment_comments (
    id text primary key,
    deployment_id text not null references deployments on delete cascade,
    created_by text not null,
    text text not null,
    created_at bigint not null
  )`,
  'create index deployment_comments_page on deployment_comments (deployment_id, created_at, id)'
]
