import type { Generated } from 'kysely'
import type { Environment } from '../schemas/scope.ts'

/**
 * The tables as Kysely sees them. Times are epoch milliseconds in `bigint`; `int8` comes back as a number.
 * `json` columns hold text on purpose (see db/connection.ts): what was written is what is read, byte for byte,
 * and it is spliced into answers without being parsed. `jsonb` columns come back parsed.
 */
export interface Database {
  applications: ApplicationsTable
  users: UsersTable
  roles: RolesTable
  role_assignments: RoleAssignmentsTable
  sessions: SessionsTable
  signing_keys: SigningKeysTable
  topics: TopicsTable
  topic_logs: TopicLogsTable
  schemas: SchemasTable
  events: EventsTable
  services: ServicesTable
  documents: DocumentsTable
  idempotency_keys: IdempotencyKeysTable
}

type JsonText = string

export interface ApplicationsTable {
  id: string
  name: string
  description: string
  presence_grace_ms: Generated<number>
  created_at: number
  updated_at: number
}

export interface UsersTable {
  id: string
  email: string
  name: string
  password_hash: string
  created_at: number
  updated_at: number
}

export interface RolesTable {
  id: string
  name: string
  description: string
  built_in: boolean
  permissions: { resource: string, action: string }[]
  created_at: number
}

/** `application_id` null: the role holds everywhere. */
export interface RoleAssignmentsTable { user_id: string, role_id: string, application_id: string | null }

export interface SessionsTable {
  token_hash: Buffer
  user_id: string
  created_at: number
  expires_at: number
  seen_at: number
  address: string | null
  user_agent: string | null
}

export interface SigningKeysTable {
  id: string
  algorithm: string
  secret_sealed: string
  active: boolean
  created_at: number
  deactivated_at: number | null
  revoked_at: number | null
}

interface Scoped { application_id: string, environment: Environment }

export interface TopicsTable extends Scoped {
  name: string
  description: string
  owner: string
  active_schema_version: number | null
  created_at: number
}

/** One row a topic that has ever had an event: the counter whose row lock orders commits. */
export interface TopicLogsTable extends Scoped {
  id: Generated<number>
  topic: string
  epoch: string
  head_offset: number
}

export interface SchemasTable extends Scoped {
  topic: string
  version: number
  schema: JsonText
  compatibility_mode: string
  policy: string
  created_at: number
}

export interface EventsTable extends Scoped {
  log_id: number
  offset: number
  topic: string
  id: string
  type: string
  source: string
  key: string | null
  payload: JsonText
  diff: JsonText | null
  meta: JsonText | null
  schema_version: number | null
  created_at: number
}

export interface ServicesTable {
  id: Generated<string>
  application_id: string
  name: string
  description: string | null
  created_at: number
  updated_at: number
}

export interface DocumentsTable extends Scoped {
  service: string
  id: string
  revision: number
  data: JsonText
  deleted: boolean
  expires_at: number | null
  created_at: number
  updated_at: number
}

export interface IdempotencyKeysTable extends Scoped {
  key: string
  fingerprint: Buffer
  answer: JsonText
  created_at: number
}
