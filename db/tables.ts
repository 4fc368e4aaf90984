import type { ColumnType, Generated } from 'kysely'
import type { Environment } from '../schemas/scope.ts'

/**
 * The tables as Kysely types. Times are epoch milliseconds in `bigint`; `int8` is read as a number. `json` columns are
 * read as text (see db/connection.ts): they return exactly the bytes that were written, and are inserted into responses
 * without being parsed. `jsonb` columns are read as parsed values.
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
  api_keys: ApiKeysTable
  oidc_identities: OidcIdentitiesTable
  oidc_sign_ins: OidcSignInsTable
  topics: TopicsTable
  topic_logs: TopicLogsTable
  schemas: SchemasTable
  events: EventsTable
  /** Events older than the server's retention, of topics that keep them for longer. */
  events_kept: EventsTable
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
  webhook_lanes: WebhookLanesTable
  webhook_attempts: WebhookAttemptsTable
  webhook_events: WebhookEventsTable
  event_traces: EventTracesTable
  event_trace_parts: EventTracePartsTable
  trace_settings: TraceSettingsTable
  trace_subscriptions: TraceSubscriptionsTable
  trace_nodes: TraceNodesTable
  replays: ReplaysTable
  leases: LeasesTable
  deployments: DeploymentsTable
  deployment_items: DeploymentItemsTable
  deployment_approvals: DeploymentApprovalsTable
  deployment_comments: DeploymentCommentsTable
  alert_rules: AlertRulesTable
  alerts: AlertsTable
  alert_counts: AlertCountsTable
  metric_minutes: MetricMinutesTable
  metric_quarters: MetricQuartersTable
  application_quotas: ApplicationQuotasTable
  application_bytes: ApplicationBytesTable
  application_documents: ApplicationDocumentsTable
  application_usage: ApplicationUsageTable
  quota_nodes: QuotaNodesTable
  quota_node_counts: QuotaNodeCountsTable
}

type JsonText = string

export interface ApplicationsTable {
  id: string
  name: string
  description: string
  presence_grace_ms: Generated<number>
  /** The environments to which only an approved deployment can be applied. */
  approval_environments: Generated<Environment[]>
  created_at: number
  updated_at: number
}

export interface UsersTable {
  id: string
  /** The address as entered; mail is sent to it. */
  email: string
  /** The unique `canonicalEmail` of the address. A trigger sets it for nodes of the previous version. */
  email_canonical: ColumnType<string, string | undefined, string>
  name: string
  /** Without a password, a hash that no text has. */
  password_hash: string
  /**
   * `owner` if the owner of the address chose the password: at setup, by an invite or by a mailed reset. `none` for a
   * user of the identity provider, who has no password.
   */
  password_set_by: Generated<'owner' | 'other' | 'none'>
  /** A TOTP seed, in effect once it is confirmed. */
  mfa_secret_sealed: string | null
  mfa_confirmed_at: number | null
  /** The time step of the last accepted code. */
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

/** If `application_id` is null, the role applies everywhere. */
export interface RoleAssignmentsTable { user_id: string, role_id: string, application_id: string | null }

export interface KnownNetworksTable {
  user_id: string
  network_hash: Buffer
  /** When a session was last opened from the network. */
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
  /** The latest time to which use extends the session; null without one. */
  ends_at: Generated<number | null>
}

export interface RecoveryCodesTable { user_id: string, code_hash: Buffer }

/** A login with a correct password that still requires the second factor. */
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
 * If `invited_by` is null, the invite was sent with a token of the signing key `key_id`. `given` has the role's
 * permissions at the time of the invite, in the form of a token's; null for invites from before the column.
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

/** Append-only, enforced by a trigger. No foreign keys: entries outlive what they refer to. */
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
  /** Also null in entries of earlier versions. */
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

export interface ApiKeysTable {
  id: string
  /** The SHA-256 hash of the key. */
  key_hash: Buffer
  application_id: string
  /** Null if the key acts in every environment. */
  environment: Environment | null
  name: string
  /** The first characters of the key. */
  prefix: string
  permissions: string[]
  created_by: string
  created_at: number
  expires_at: number | null
  /** Accurate to about a minute. */
  last_used_at: number | null
}

/** A user as the identity provider names them. */
export interface OidcIdentitiesTable {
  issuer: string
  subject: string
  user_id: string
  linked_at: number
  signed_in_at: number
}

/** A sign-in whose browser has come back from the identity provider. The row remains until no browser can repeat it. */
export interface OidcSignInsTable {
  state_hash: Buffer
  /** The one-time code that opens the session; null before the provider has confirmed the user, and after its use. */
  code_hash: Buffer | null
  user_id: string | null
  code_expires_at: number | null
  expires_at: number
}

interface Scoped { application_id: string, environment: Environment }

export interface TopicsTable extends Scoped {
  name: string
  description: string
  owner: string
  active_schema_version: number | null
  /** 0 is for ever, null the server's default. */
  retention_hours: number | null
  created_at: number
}

/** One row per topic that has ever had an event: the counter whose row lock orders commits. */
export interface TopicLogsTable extends Scoped {
  id: Generated<number>
  topic: string
  epoch: string
  head_offset: number
  /** The time of the last event. */
  head_at: Generated<number>
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

/** `revision` is raised by every change that restarts a reader. `status` is what the reader last reported. */
export interface CdcConnectionsTable extends Scoped {
  id: string
  connection_string_sealed: string
  publication: string
  slot: string
  owns_publication: Generated<boolean>
  owns_slot: Generated<boolean>
  /** The start position of the slot that the connection created. Null until its creation is confirmed. */
  slot_lsn: string | null
  /**
   * Part of the names and comments of the connection's slot and publication. It differs in a copy of the platform's
   * database.
   */
  mark: Generated<string>
  revision: Generated<number>
  gap_accepted: Generated<boolean>
  status: JsonText | null
  created_at: number
  updated_at: number
}

/** `is_due` once nothing requires them; `error` is the reason why the last attempt to drop them failed. */
export interface CdcLeftoversTable extends Scoped {
  id: string
  connection_id: string
  /** The connection's mark at their creation. */
  mark: string
  connection_string_sealed: string
  slot: string | null
  /** The furthest acknowledged position of the slot. Null if its creation was not confirmed. */
  slot_lsn: string | null
  publication: string | null
  is_due: boolean
  error: string | null
  tried_at: number
  created_at: number
}

/** LSNs are text in PostgreSQL's format. */
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
 * `environment` is the mapping's home, `definition` its working copy, and `home_version` the last snapshot taken or
 * restored.
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

/** `versions` lists all versions that have run there. */
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

/** The result of one mapping for one transaction, or a part of it. */
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

/** If `until` is null, this is the current secret. The others sign in addition until `until`. */
export interface SealedSecret { sealed: string, until: number | null }

/** A user, an API key, or the permissions of the token that created the webhook. */
export type WebhookReader = { userId: string } | { apiKeyId: string } | {
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
  /** The event about its deactivation is still to be written. */
  deactivation_untold: Generated<boolean>
  /** The first failure since the last success, or since a long time without attempts. */
  failing_since: number | null
  /** The last failure, accurate to some minutes; meaningless while `failing_since` is null. */
  failed_at: Generated<number | null>
  /**
   * When the circuit opened, if the failures since then followed each other closely enough to show that the endpoint
   * was down all the time; meaningless while `failing_since` is null.
   */
  down_since: Generated<number | null>
  /** The current secret comes first. */
  secrets: ColumnType<SealedSecret[], string, string>
  /** The reader whose permissions the webhook has; null for the platform's. */
  reader: ColumnType<WebhookReader | null, string | null, string | null>
  created_at: number
  updated_at: number
}

/** Counts changes of an application's endpoints. Caches of endpoints check it first. */
export interface WebhookVersionsTable { application_id: string, version: number, changed_at: number }

/** Events of one log that one endpoint must receive, at the offsets `head - back`. */
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
  /** The ordering key, if the endpoint orders its deliveries by key. */
  lane: string | null
  position: Generated<number>
  replay_of: string | null
  state: Generated<string>
  attempts: Generated<number>
  /** Failed attempts since the last (re)start, which the retry schedule counts. */
  failures: Generated<number>
  /** Counts leases: only the holder of the latest one may record a result. */
  fence: Generated<number>
  leased_by: string | null
  /** Not indexed, so that taking a lease is an update within the page. */
  lease_until: Generated<number>
  next_at: number
  created_at: number
  settled_at: number | null
  status_code: number | null
  error: string | null
}

/** The pending deliveries of one webhook that have the same ordering key. There is none without such a delivery. */
export interface WebhookLanesTable {
  id: Generated<number>
  webhook_id: string
  lane: string
  /** When the first delivery of the lane is due. */
  next_at: number
  /** Not indexed, so that taking a lease is an update within the page. */
  lease_until: Generated<number>
  /** Counts the changes of the row. */
  version: Generated<number>
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
  /** A JSON object of names and values. */
  response_headers: string | null
  duration_ms: number | null
  /** When the request was signed; null if none was sent. */
  sent_at: number | null
  attempted_at: number
}

/** Events that the log has dropped or is about to drop, and that have pending deliveries. */
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
 * A run: the events that one transaction appended to one log, or one refused write. `node` and `n` number the writes of
 * one node in commit order.
 */
export interface EventTracesTable extends Scoped {
  id: string
  created_at: number
  node: string
  n: number
  topic: string
  /** `mixed` if the events of a run differ. */
  source: string
  outcome: 'stored' | 'rejected' | 'failed' | 'dropped'
  first_offset: number | null
  /** Number of traced events; with `dropped`, of events without a trace. */
  events: number
  detail: JsonText
}

/** Steps of a node for a run that another node wrote, or that came too late for the run's row. */
export interface EventTracePartsTable extends Scoped {
  id: string
  created_at: number
  node: string
  n: number
  detail: JsonText
}

/** If `sample` is null, the server's configuration applies. */
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
  /** Patterns of topics that the principal may read. */
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
  /** For a replay of single events: `[[topic, offset, id], …]`. */
  events: JsonText | null
  rate_per_second: number
  total: number
  /** For single events, how many are done; for a range, the last offset that is. */
  position: Generated<number>
  /** Number of replayed events. */
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
  fence: Generated<number>
  lease_owner: string | null
  lease_expires_at: Generated<Date>
  /** Unused: nodes from before migration 0021 lease replays by it, during an upgrade. */
  lease_until: Generated<number>
}

/** Leases of work that has no row of its own (src/cluster/leases.ts). */
export interface LeasesTable {
  name: string
  fence: Generated<number>
  lease_owner: string | null
  lease_expires_at: Generated<Date>
}

/** `created_by` is a user, also of an API key, or the principal of a token; `created_with` has the kind. */
export interface DeploymentsTable {
  id: string
  application_id: string
  title: string
  description: string
  source: Environment
  target: Environment
  status: 'open' | 'approved' | 'applied' | 'rolled_back' | 'rejected'
  created_by: string
  created_with: 'session' | 'api-key' | 'token'
  created_at: number
  updated_at: number
  applied_by: string | null
  applied_at: number | null
  rolled_back_by: string | null
  rolled_back_at: number | null
  rejected_by: string | null
  rejected_at: number | null
  /** Why it was rejected. */
  reason: string | null
}

/** `name` is the topic, or the id of the mapping. */
export interface DeploymentItemsTable {
  deployment_id: string
  position: number
  kind: 'topic' | 'schema' | 'mapping'
  name: string
  /** The version in the source. Null for a topic, whose content is copied to `content`. */
  version: number | null
  content: JsonText | null
  /** The change that applying it made, by which it is rolled back. */
  outcome: JsonText | null
  note: string | null
}

/** `digest` identifies the state of the target that the user has approved. */
export interface DeploymentApprovalsTable {
  deployment_id: string
  user_id: string
  digest: string
  created_at: number
}

export interface DeploymentCommentsTable {
  id: string
  deployment_id: string
  created_by: string
  text: string
  created_at: number
}

/** Changes of a scope to a built-in rule of alerts. Null: the default applies. */
export interface AlertRulesTable extends Scoped {
  rule: string
  enabled: boolean | null
  severity: string | null
  threshold: number | null
  for_seconds: number | null
  updated_at: number
}

/** The API shows alerts that have fired; pending ones are state of the evaluation. */
export interface AlertsTable extends Scoped {
  id: string
  rule: string
  target: string
  status: 'pending' | 'firing' | 'resolved'
  /** Null while pending, like `summary` and `started_at`. */
  severity: string | null
  summary: string | null
  value: number | null
  threshold: number | null
  facts: ColumnType<Record<string, unknown>, string, string>
  /** Since when the condition has held. */
  pending_since: number
  /** The last stored evaluation at which it held. */
  seen_at: number
  started_at: number | null
  /** For a firing alert: since when the condition has not held. */
  cleared_since: number | null
  resolved_at: number | null
  resolution: string | null
  acknowledged_by: string | null
  acknowledged_at: number | null
}

/** Occurrences that nodes have counted, in the interval that starts at `at`. */
export interface AlertCountsTable extends Scoped {
  signal: string
  target: string
  at: number
  count: number
}

/** Counts and states of metrics in one period (src/debugger/series/). */
interface MetricColumns {
  /** Empty, as the environment is, in rows with the totals of all scopes. */
  application_id: string
  environment: string
  kind: string
  /** A topic or the id of a webhook; empty in rows for a scope as a whole. */
  name: string
  /** The beginning of the period. */
  at: number
  /** Whether some parts of the scope, or some scopes of the totals, had no room for rows of their own. */
  is_cut: Generated<boolean>
  /** Whether the states were sampled: waiting webhook deliveries, lags. */
  is_sampled: Generated<boolean>
  received: Generated<number>
  captured: Generated<number>
  routed: Generated<number>
  delivered: Generated<number>
  reconnects: Generated<number>
  schema_violations: Generated<number>
  mapping_failures: Generated<number>
  /** For how long sockets were open: the sum over all sockets. */
  connection_ms: Generated<number>
  succeeded: Generated<number>
  failed: Generated<number>
  writes_waiting: Generated<number>
  webhooks_waiting: Generated<number>
  retrying: Generated<number>
  dead: Generated<number>
  oldest_due_ms: Generated<number>
  cdc_lag_ms: Generated<number>
  /** A histogram of latencies: buckets, and the number of durations in each. A bucket may occur more than once. */
  latency_buckets: Generated<number[]>
  latency_counts: Generated<number[]>
}

/** `node` is empty in rows that one node writes for the whole cluster. A node numbers its batches. */
export interface MetricMinutesTable extends MetricColumns { node: string, batch: number }

export type MetricQuartersTable = MetricColumns

/** Null is the default of the server, -1 no limit. An application without a row has the defaults. */
export interface ApplicationQuotasTable {
  application_id: string
  publishes_per_second: number | null
  bytes_stored: number | null
  sockets: number | null
  subscriptions: number | null
  webhooks: number | null
  documents: number | null
  changed_at: Generated<Date>
}

/** Payload bytes of the retained events by the start of their partition; 0 stands for `events_kept`. */
export interface ApplicationBytesTable {
  application_id: string
  period: number
  bytes: number
}

export interface ApplicationDocumentsTable {
  application_id: string
  documents: number
  /** When the documents were last counted, instead of summing up changes. */
  counted_at: Generated<number>
}

export interface ApplicationUsageTable {
  application_id: string
  span: string
  starts_at: number
  publishes: Generated<number>
  bytes_written: Generated<number>
  deliveries: Generated<number>
  sockets_peak: Generated<number>
  subscriptions_peak: Generated<number>
  bytes_stored: Generated<number>
  documents: Generated<number>
  webhooks: Generated<number>
}

/** The running nodes, by heartbeat. */
export interface QuotaNodesTable {
  id: string
  seen_at: Date
}

/** The open sockets and subscriptions of each application at each node. */
export interface QuotaNodeCountsTable {
  node_id: string
  application_id: string
  sockets: number
  subscriptions: number
  publishes_per_second: number
}
