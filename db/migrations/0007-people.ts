import { sql, type Kysely } from 'kysely'

/**
 * Adds invites, password resets, second factors and the audit log. The rows of the built-in roles hold their
 * permissions. `audit_log` is append-only: a trigger rejects every other change, except by the retention job.
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
  for (const [id, permissions] of Object.entries(builtInRoles)) {
    await sql`update roles set permissions = ${JSON.stringify(permissions)}::jsonb where id = ${id}`.execute(db)
  }
}

const actions = ['create', 'read', 'update', 'delete']
const entities = ['topics', 'schemas', 'database', 'sync', 'services', 'socket', 'webhooks', 'debugger', 'events']
const globals = ['applications', 'users', 'roles', 'keys', 'tokens', 'audit']
const pairs = (resources: string[], allowed = actions) =>
  resources.flatMap(resource => allowed.map(action => ({ resource, action })))
const viewer = pairs([...entities, 'applications'], ['read'])

/**
 * The built-in roles at this version; test/identity/access/permissions.test.ts compares them with
 * src/identity/access/permission-set.ts.
 */
const builtInRoles = {
  role_super_admin: pairs([...entities, ...globals]),
  role_admin: [
    ...pairs([...entities, 'users', 'tokens']),
    ...pairs(['applications'], ['create', 'read', 'update']),
    ...pairs(['roles'], ['read'])
  ],
  role_editor: [...viewer, ...pairs(['topics', 'schemas', 'database'], ['create', 'update'])],
  role_viewer: viewer
}

const statements = [
  'alter table users add column mfa_secret_sealed text, add column mfa_confirmed_at bigint, add column ' +
    'mfa_last_step bigint',
  'alter table roles add column updated_at bigint not null default 0',
  'create index role_assignments_application on role_assignments (application_id)',
  'create index role_assignments_role on role_assignments (role_id)',
  `create table recovery_codes (
    user_id text not null references users on delete cascade,
    code_hash bytea not null,
    primary key (user_id, code_hash)
  )`,
  `create table mfa_challenges (
    token_hash bytea primary key,
    user_id text not null references users on delete cascade,
    attempts int not null,
    expires_at bigint not null
  )`,
  `create table password_resets (
    token_hash bytea primary key,
    user_id text not null references users on delete cascade,
    expires_at bigint not null
  )`,
  'create index password_resets_user on password_resets (user_id)',
  `create table invites (
    id text primary key,
    email text not null,
    role_id text not null references roles on delete cascade,
    application_id text references applications on delete cascade,
    token_hash bytea not null unique,
    invited_by text references users on delete cascade,
    created_at bigint not null,
    expires_at bigint not null
  )`,
  'create index invites_page on invites (created_at, id)',
  `create table audit_log (
    sequence bigint generated always as identity primary key,
    id text not null,
    at bigint not null,
    actor_kind text not null,
    actor_id text not null,
    actor_name text,
    action text not null,
    resource text not null,
    resource_id text,
    application_id text,
    environment text,
    address text,
    request_id text,
    before jsonb,
    after jsonb
  )`,
  'create index audit_log_application on audit_log (application_id, sequence)',
  'create index audit_log_resource on audit_log (resource, resource_id, sequence)',
  `create function audit_log_append_only() returns trigger language plpgsql as $$
  begin
    if tg_op = 'DELETE' and current_setting('realtime.audit_retention', true) = 'on' then
      return old;
    end if;
    raise exception 'audit_log is append-only' using errcode = 'insufficient_privilege';
  end $$`,
  `create trigger audit_log_append_only before update or delete on audit_log
    for each row execute function audit_log_append_only()`,
  `create trigger audit_log_no_truncate before truncate on audit_log
    for each statement execute function audit_log_append_only()`
]
