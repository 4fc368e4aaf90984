import type { ColumnType, Generated } from 'kysely'
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
  known_networks: KnownNetworksTable
  recovery_codes: RecoveryCodesTable
  mfa_challenges: MfaChallengesTable
  password_resets: PasswordResetsTable
  invites: InvitesTable
  audit_log: AuditLogTable
  signing_keys: SigningKeysTable
  topics: TopicsTable
  topic_logs: TopicLogsTable
  schemas: SchemasTable
  events: EventsTable
  services: ServicesTable
  documents: DocumentsTable
  idempotency_keys: IdempotencyKeysTable
  cdc_connections: CdcConnectionsTable
  cdc_positions: CdcPositionsTable
  cdc_leftovers: CdcLeftoversTable
  mappings: MappingsTable
  mapping_versions: MappingVersionsTable
  mapping_environments: MappingEnvironmentsTable
  mapping_subscriptions: MappingSubscriptionsTable
  mapping_revisions: MappingRevisionsTable
  database_logs: DatabaseLogsTable
  webhooks: WebhooksTable
  webhook_versions: WebhookVersionsTable
  webhook_outbox: WebhookOutboxTable
  webhook_deliveries: WebhookDeliveriesTable
  webhook_attempts: WebhookAttemptsTable
  webhook_events: WebhookEventsTable
  event_traces: EventTracesTable
  event_trace_parts: EventTracePartsTable
  trace_settings: TraceSettingsTable
  trace_subscriptions: TraceSubscriptionsTable
  trace_nodes: TraceNodesTable
  replays: ReplaysTable
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
  /** As it was given; mail goes there. */
  email: string
  /** `canonicalEmail` of it, which is unique. A trigger sets it for writers of the version before. */
  email_canonical: ColumnType<string, string | undefined, string>
  name: string
  password_hash: string
  /** A TOTP seed; it counts once it is confirmed. */
  mfa_secret_sealed: string | null
  mfa_confirmed_at: number | null
  /** The time step of the last code that was accepted. */
  mfa_last_step: number | null
  created_at: number
  updated_at: number
}

export interface RolesTable {
  id: string
  name: string
  description: string
  built_in: boolean
  permissions: ColumnType<{ resource: string, action: string }[], string, string>
  created_at: number
  updated_at: Generated<number>
}

/** `application_id` null: the role holds everywhere. */
export interface RoleAssignmentsTable { user_id: string, role_id: string, application_id: string | null }

export interface KnownNetworksTable {
  user_id: string
  network_hash: Buffer
  /** When a session was last opened from there. */
  seen_at: number
}

export interface SessionsTable {
  token_hash: Buffer
  user_id: string
  created_at: number
  expires_at: number
  seen_at: number
  address: string | null
  user_agent: string | null
}

export interface RecoveryCodesTable { user_id: string, code_hash: Buffer }

/** Somebody who has shown a right password, and is to show a second factor. */
export interface MfaChallengesTable {
  token_hash: Buffer
  user_id: string
  attempts: number
  expires_at: number
}

export interface PasswordResetsTable {
  token_hash: Buffer
  user_id: string
  expires_at: number
}

/**
 * `invited_by` null: sent with a token, of the signing key `key_id`. `given` is what the role held when the invite was
 * sent, as a token carries it; null for invites from before the column.
 */
export interface InvitesTable {
  id: string
  email: string
  role_id: string
  application_id: string | null
  token_hash: Buffer
  invited_by: string | null
  key_id: string | null
  given: string[] | null
  created_at: number
  expires_at: number
}

/** Append-only: a trigger sees to it. No row refers to what it speaks of, which may be gone. */
export interface AuditLogTable {
  sequence: Generated<number>
  id: string
  at: number
  actor_kind: string
  actor_id: string
  actor_name: string | null
  action: string
  resource: string
  resource_id: string | null
  application_id: string | null
  environment: string | null
  address: string | null
  /** Null also in entries that an earlier version wrote. */
  user_agent: string | null
  request_id: string | null
  before: ColumnType<Record<string, unknown> | null, string | null, never>
  after: ColumnType<Record<string, unknown> | null, string | null, never>
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

/**
 * `revision` is raised by every change that a reader has to begin anew for; `status` is what the reader last said of
 * itself.
 */
export interface CdcConnectionsTable extends Scoped {
  id: string
  connection_string_sealed: string
  publication: string
  slot: string
  owns_publication: Generated<boolean>
  owns_slot: Generated<boolean>
  /** Where the slot that the connection created began. Null until its creation is confirmed. */
  slot_lsn: string | null
  /**
   * Carried by the names and comments of what the connection creates; another one in a copy of the platform's database.
   */
  mark: Generated<string>
  revision: Generated<number>
  gap_accepted: Generated<boolean>
  status: JsonText | null
  created_at: number
  updated_at: number
}

/** `is_due` once nothing needs them any more; `error` is why the last attempt to drop them has failed. */
export interface CdcLeftoversTable extends Scoped {
  id: string
  connection_id: string
  /** The connection's mark when it created them. */
  mark: string
  connection_string_sealed: string
  slot: string | null
  /** The slot was never acknowledged beyond it. Null when its creation was not confirmed. */
  slot_lsn: string | null
  publication: string | null
  is_due: boolean
  error: string | null
  tried_at: number
  created_at: number
}

/** LSNs are text in PostgreSQL's own form. */
export interface CdcPositionsTable {
  connection_id: string
  fence: Generated<number>
  lease_owner: string | null
  lease_expires_at: Generated<Date>
  system_identifier: string | null
  slot: string | null
  publication_oid: number | null
  commit_lsn: Generated<string>
  change_index: Generated<number>
  confirmed_lsn: Generated<string>
}

/**
 * `environment` is the mapping's home, `definition` its working copy, `home_version` the snapshot that was last taken
 * of it or put back.
 */
export interface MappingsTable extends Scoped {
  id: string
  topic: string
  definition: JsonText
  last_version: Generated<number>
  home_version: number | null
  created_at: number
  updated_at: number
}

export interface MappingVersionsTable {
  mapping_id: string
  version: number
  environment: Environment
  topic: string
  definition: JsonText
  created_at: number
}

/** `versions`: all that have run there. */
export interface MappingEnvironmentsTable {
  mapping_id: string
  environment: Environment
  version: number
  versions: Generated<number[]>
  updated_at: number
}

export interface MappingSubscriptionsTable extends Scoped {
  id: string
  mapping_id: string
  active: boolean
  created_at: number
}

export interface MappingRevisionsTable extends Scoped { revision: number }

/** What one mapping made of one transaction, or of a part of it. */
export interface DatabaseLogsTable extends Scoped {
  sequence: Generated<number>
  id: string
  mapping_id: string
  subscription_id: string
  status: string
  topic: string
  table_name: string
  events: number
  code: string | null
  message: string | null
  lsn: string
  xid: number
  committed_at: number
  created_at: number
}

/** `until` null: the one that signs from now on; the others sign beside it until their time is over. */
export interface SealedSecret { sealed: string, until: number | null }

/** A user, or the rights of the token that set up the webhook. */
export type WebhookReader = { userId: string } | {
  keyId: string
  permissions: string[]
  environment: Environment | null
}

export interface WebhooksTable {
  id: string
  application_id: string
  url: string
  description: string | null
  events: string[]
  topics: string[] | null
  filter: JsonText | null
  environments: Environment[] | null
  ordering: string
  rate_limit: number | null
  active: boolean
  deactivated_reason: string | null
  /** The event that tells of its deactivation is still to be written. */
  deactivation_untold: Generated<boolean>
  /** The first failure since the last success, or since a long time in which nothing was sent. */
  failing_since: number | null
  /** The last one, to some minutes; of no meaning while `failing_since` is null. */
  failed_at: Generated<number | null>
  /** The current one first. */
  secrets: ColumnType<SealedSecret[], string, string>
  /** The reader whose rights it has; null for the platform's. */
  reader: ColumnType<WebhookReader | null, string | null, string | null>
  created_at: number
  updated_at: number
}

/** Counts the changes to an application's endpoints: whoever keeps them in memory asks for this first. */
export interface WebhookVersionsTable { application_id: string, version: number, changed_at: number }

/** Events of one log that are owed to one endpoint: at the offsets `head - back`. */
export interface WebhookOutboxTable {
  id: Generated<number>
  webhook_id: string
  log_id: number
  head: number
  backs: number[]
  created_at: number
}

export interface WebhookDeliveriesTable extends Scoped {
  seq: Generated<number>
  id: Generated<string>
  webhook_id: string
  event_id: string
  event_type: string
  topic: string
  log_id: number
  offset: number
  event_at: number
  key: string | null
  /** The key, where the endpoint wants its deliveries ordered by it. */
  lane: string | null
  position: Generated<number>
  replay_of: string | null
  state: Generated<string>
  attempts: Generated<number>
  /** Attempts that failed since it was last set going: what the schedule counts. */
  failures: Generated<number>
  /** Counts the leases: only who holds the latest may record a result. */
  fence: Generated<number>
  leased_by: string | null
  /** Of no index: a lease is an update within its page. */
  lease_until: Generated<number>
  next_at: number
  created_at: number
  settled_at: number | null
  status_code: number | null
  error: string | null
}

export interface WebhookAttemptsTable extends Scoped {
  seq: Generated<number>
  id: Generated<string>
  webhook_id: string
  delivery_id: string | null
  event_type: string
  url: string
  attempt: number
  success: boolean
  status_code: number | null
  error: string | null
  response_body: string | null
  duration_ms: number | null
  attempted_at: number
}

/** Events that the log has dropped, or is about to, and that somebody is still owed. */
export interface WebhookEventsTable extends Scoped {
  log_id: number
  offset: number
  topic: string
  epoch: string
  id: string
  type: string
  source: string
  key: string | null
  payload: JsonText
  meta: JsonText | null
  schema_version: number | null
  created_at: number
}

/**
 * A run: the events that one transaction appended to one log; or one write that was refused. `node` and `n` number what
 * one node has written, in the order in which it can be seen.
 */
export interface EventTracesTable extends Scoped {
  id: string
  created_at: number
  node: string
  n: number
  topic: string
  /** `mixed` where the events of a run have several. */
  source: string
  outcome: 'stored' | 'rejected' | 'failed' | 'dropped'
  first_offset: number | null
  /** How many are traced; of what was dropped, how many are not. */
  events: number
  detail: JsonText
}

/** What a node did with a run that it has not written, or too late to be in its row. */
export interface EventTracePartsTable extends Scoped {
  id: string
  created_at: number
  node: string
  n: number
  detail: JsonText
}

/** `sample` null: as the server is configured. */
export interface TraceSettingsTable extends Scoped { sample: number | null, updated_at: number }

export interface TraceSubscriptionsTable extends Scoped {
  id: string
  node: string
  socket_id: string
  principal_id: string
  /** The topic, or the pattern. */
  topic: string
  filter: JsonText | null
  return_mode: string
  /** Patterns of topics that the principal may see. */
  permissions: JsonText
  /** By topic: `{epoch, after, until}`. */
  spans: JsonText
  started_at: number
  ended_at: number | null
  end_reason: string | null
}

export interface TraceNodesTable { id: string, started_at: number, seen_at: number }

export interface ReplaysTable extends Scoped {
  id: string
  target: 'subscribers' | 'webhooks' | 'all'
  webhook_id: string | null
  topic: string | null
  from_offset: number | null
  to_offset: number | null
  from_time: number | null
  to_time: number | null
  /** Of a replay of single events: `[[topic, offset, id], …]`. */
  events: JsonText | null
  rate_per_second: number
  total: number
  /** Of single events how many are done; of a range the last offset that is. */
  position: Generated<number>
  /** Events that were sent again. */
  done: Generated<number>
  state: 'pending' | 'running' | 'done' | 'cancelled' | 'failed'
  sent: Generated<number>
  passed_over: Generated<number>
  missing: Generated<number>
  webhook_deliveries: Generated<number>
  requested_by: string
  message: string | null
  created_at: number
  started_at: number | null
  finished_at: number | null
  lease_owner: string | null
  lease_until: Generated<number>
}
