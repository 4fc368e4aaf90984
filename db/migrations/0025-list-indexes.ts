import { sql, type Kysely } from 'kysely'

/**
 * Adds indexes in the orders of lists. Some begin with an expression that only a list compares: with the plain columns,
 * the planner could prefer them to the primary key for other statements while a table has no statistics. `if not
 * exists`, so that they can be created before the update, without blocking writes (docs/DEPLOYMENT.md).
 */
export async function up (db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

const create = (name: string, on: string) => `create index if not exists ${name} on ${on}`

const statements = [
  create(
    'documents_created',
    "documents ((application_id || '/' || environment || '/' || service), created_at, id)"
  ),
  create('webhook_deliveries_created', 'webhook_deliveries (application_id, created_at, seq)'),
  create(
    'webhook_deliveries_dead_created',
    "webhook_deliveries ((application_id || '/dead'), created_at, seq) where state = 'dead'"
  ),
  'drop index webhook_deliveries_application',
  create('webhook_attempts_attempted', 'webhook_attempts (application_id, attempted_at, seq)'),
  'drop index webhook_attempts_application',
  create('audit_log_at', 'audit_log (at, sequence)'),
  create('audit_log_application_at', 'audit_log (application_id, at, sequence)'),
  'drop index audit_log_application',
  create('audit_log_resource_at', 'audit_log (resource, resource_id, at, sequence)'),
  'drop index audit_log_resource',
  create('database_logs_created', 'database_logs (application_id, environment, created_at, sequence)'),
  'drop index database_logs_scope',
  create('database_logs_mapping_created', 'database_logs (mapping_id, environment, created_at, sequence)'),
  'drop index database_logs_mapping',
  create('users_created', 'users (created_at, id)'),
  create('users_name', 'users (lower(name), id)'),
  create('users_email_page', 'users (lower(email), id)')
]
