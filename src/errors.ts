import type { ErrorBody } from '../schemas/common.ts'

/**
 * Every error code that the API can return. Codes are stable. Each sentence documents its code: docs/ERRORS.md is
 * generated from this table.
 */
export const errorCodes = {
  ALERT_NOT_FOUND: 'The scope has no such alert, or the alert is past retention.',
  ALERT_RESOLVED: 'The alert was resolved before anybody acknowledged it.',
  API_KEY_LIMIT: 'The application has reached its limit of API keys. Revoke one that is no longer used.',
  API_KEY_NOT_FOUND: 'The application has no such API key.',
  APPLICATION_FORBIDDEN: 'The credential has no access to the named application.',
  APPLICATION_NOT_EMPTY: 'The application still owns data. Delete it with `?force=true` to delete the data as well.',
  APPLICATION_NOT_FOUND: 'The application does not exist.',
  APPLICATION_REQUIRED: 'The endpoint works on one application. Name it in `X-Application-Id`.',
  AUTH_TIMEOUT: 'The socket did not authenticate in time.',
  BODY_TOO_LARGE: 'The body is larger than the route allows.',
  CDC_POSITION_LOST: 'Another reader of the connected database has taken over. Never returned to a request.',
  CHANNEL_LIMIT: 'The connection has reached the limit of channels that it may join.',
  CONNECTION_LIMIT: 'The address or the application has reached its limit of connections.',
  CONNECTION_NOT_FOUND: 'The scope has no connected database.',
  CONTENT_ENCODING_UNSUPPORTED:
    'Bodies may be compressed once, with gzip or deflate. The response lists both in `Accept-Encoding`.',
  CONTENT_TYPE_UNSUPPORTED: 'Bodies must be JSON in UTF-8. Send `Content-Type: application/json`.',
  CREDENTIAL_INVALID: 'The credential is malformed, unknown, expired or revoked.',
  CREDENTIAL_MISSING: 'The endpoint requires a credential.',
  DATABASE_SUBSCRIPTION_EXISTS: 'The mapping already has a subscription in the environment. Activate that one.',
  DATABASE_SUBSCRIPTION_NOT_FOUND: 'The scope has no such database subscription.',
  DATABASE_UNAVAILABLE: "The platform's database cannot be reached. A write may or may not have happened.",
  DEPLOYMENT_CHANGED: 'The target has changed since the given digest. Get the deployment to see what it does now.',
  DEPLOYMENT_LIMIT: 'The application has reached its limit of open deployments, or a deployment its limit of comments.',
  DEPLOYMENT_NOT_FOUND: 'The application has no such deployment.',
  DEPLOYMENT_NOT_READY:
    'The deployment cannot be applied or rolled back, and nothing was changed. `details` lists the failing checks.',
  DEPLOYMENT_STATUS: 'The status of the deployment does not allow the request: for example, it was applied before.',
  DOCUMENT_EXISTS: 'A document with this id already exists.',
  DOCUMENT_NOT_FOUND: 'The scope has no such document.',
  ENVIRONMENT_FORBIDDEN: 'The credential is pinned to another environment.',
  ENVIRONMENT_INVALID: '`X-Environment` must be development, staging or production.',
  ETAG_MISMATCH: '`If-Match` does not match the current version.',
  EVENT_NOT_FOUND: 'The scope has no such event, or the event is past retention.',
  FRAME_INVALID: 'The frame is not a JSON object with a known `type`.',
  IDEMPOTENCY_KEY_REUSED: 'The idempotency key was already used for a different request.',
  INTERNAL: 'The server failed. Its log has the reason under the request id.',
  INVALID_JSON: 'The body or frame is not JSON.',
  INVALID_UTF8: 'The body or frame is not UTF-8.',
  INVITE_INVALID:
    'The invite is unknown, used, withdrawn or expired, or its sender no longer holds what it grants.',
  INVITE_NOT_FOUND: 'The invite does not exist.',
  LAST_SIGNING_KEY: 'This is the only active signing key. Create or rotate keys first.',
  LAST_SUPER_ADMIN: 'The last super_admin cannot be removed.',
  LOGIN_FAILED: 'Invalid email or password.',
  MAPPING_NOT_FOUND: 'The scope has no such mapping.',
  MAPPING_NOT_HOME:
    'A mapping can only be changed in its home environment. Other environments run the versions promoted to them.',
  MAPPING_PROMOTED: 'The mapping runs in other environments. Delete it there first.',
  MAPPING_VERSION_NOT_FOUND: 'The mapping has no such version, or does not run in that environment.',
  MEMORY_LIMIT: 'The application or the node has reached its memory limit for subscriptions and member states.',
  MFA_CODE_INVALID: 'The code is wrong, used or expired, or the login that it belongs to has expired.',
  MFA_NOT_PENDING: 'No second factor is set up. Set one up first.',
  MFA_ENABLED: 'A second factor is already enabled. Disable it first.',
  MUTATION_FAILED: 'A mutation failed, so none was applied.',
  NOT_A_MEMBER: 'The connection is not a member of the channel. Join it first with `join`.',
  NUMBER_INEXACT:
    'A number has more digits than a double can hold, or is out of its range. `details` has the path. Send it as a ' +
      'string.',
  OIDC_ACCOUNT:
    'The user signs in with the identity provider, which manages their address, password and second factor.',
  OIDC_ACCOUNT_CONFLICT: 'The address belongs to a user who is another user of the identity provider.',
  OIDC_CODE_INVALID: 'The one-time code is unknown, used or expired, or belongs to another browser. Sign in again.',
  OIDC_DENIED: 'The identity provider refused the sign-in, or the user cancelled it.',
  OIDC_EMAIL_MISSING: 'The identity provider sent no email address. Request it with `OIDC_SCOPES`.',
  OIDC_EMAIL_UNVERIFIED:
    'The address has an account, and the identity provider has not verified that it belongs to the user.',
  OIDC_NOT_CONFIGURED: 'The platform has no identity provider. Set `OIDC_ISSUER`.',
  OIDC_NO_ROLE: 'No value of the role claim is in `OIDC_ROLE_MAP`, so the user may not sign in.',
  OIDC_ONLY: 'Passwords and invites are disabled (`OIDC_ONLY`). Sign in with the identity provider.',
  OIDC_PROVIDER_ERROR: 'The identity provider reported an error. The log of the server has it.',
  OIDC_RESPONSE_INVALID:
    'The answer of the identity provider is not valid: it is expired, forged, or not for this sign-in.',
  OIDC_STATE_INVALID:
    'The sign-in was not started in this browser, took too long, or was already completed. Sign in again.',
  OIDC_UNAVAILABLE: 'The identity provider cannot be reached. Retry after the time in `Retry-After`.',
  PATTERN_TOO_WIDE: 'The pattern matches more topics than a subscription, or a connection, may have.',
  OVERLOADED: 'The server is overloaded. Retry after the time in `Retry-After`.',
  PASSWORD_WRONG: 'The current password is missing or wrong.',
  PERMISSION_DENIED: 'The credential lacks the permission.',
  PERSON_REQUIRED: 'Approvals are given by users. Use a session or an API key, not a token.',
  PERMISSION_NOT_HELD: 'A caller cannot grant permissions that it does not hold.',
  QUEUE_FULL: 'The write queue is full. Retry after the time in `Retry-After`.',
  RATE_LIMITED: 'Too many requests. Retry after the time in `Retry-After`, or over a socket in `retryAfterMs`.',
  QUOTA_EXCEEDED:
    'The application has used up one of its quotas. `details` names it. Wait only if the response has `Retry-After`.',
  REPLAY_LIMIT: 'The scope has reached its limit of unfinished replays.',
  REPLAY_NOT_FOUND: 'The scope has no such replay.',
  RESET_INVALID: 'The password reset is unknown, used or expired. Request another.',
  RETENTION_PASSED: 'The log no longer holds the events that the subscription requires.',
  REVISION_MISMATCH: "The document's revision differs from the expected one.",
  ROLE_ASSIGNED: 'The user already has the role there.',
  ROLE_BUILT_IN: 'Built-in roles cannot be changed.',
  ROLE_EXISTS: 'A role with this name already exists.',
  ROLE_NOT_FOUND: 'The role does not exist, or the user does not have it.',
  ROUTE_NOT_FOUND: 'The endpoint does not exist.',
  SAMPLE_NOT_FOUND:
    "No valid payload was found for the topic's active schema. Add one to the `examples` of the schema.",
  SCHEMA_COMPARISON_LIMIT:
    'The schemas could not be compared within the step limit. The message says whether a retry continues the ' +
      'comparison.',
  SCHEMA_INCOMPATIBLE: "The schema violates the topic's compatibility mode. `details` lists every incompatible change.",
  SCHEMA_INVALID: 'The schema cannot be used: it is malformed, too large, or refers outside itself.',
  SCHEMA_NOT_ACTIVE: "No version of the topic's schema is active.",
  SCHEMA_NOT_FOUND: 'The topic has no schema.',
  SCHEMA_VERSION_NOT_FOUND: 'The topic has no such schema version.',
  SCHEMA_VIOLATED: "The payload does not match the topic's active schema. `details` lists every violation.",
  SELF_APPROVAL: 'A deployment must be approved by somebody other than its author. API keys count as their creator.',
  SERIES_TOO_LONG: 'The series would have too many points. `details` has the smallest step for the range.',
  SERVICE_EXISTS: 'The application already has a service with this name.',
  SERVICE_NOT_EMPTY: 'The service still has documents. Delete it with `?force=true` to delete them as well.',
  SERVICE_NOT_FOUND: 'The application has no such service.',
  SESSION_NOT_FOUND: 'The user has no such session.',
  SESSION_REQUIRED: 'The endpoint requires a session. Tokens and API keys are not accepted.',
  SETUP_DONE: 'The platform is already set up. Log in instead.',
  SETUP_TOKEN_REQUIRED:
    'Setup from another machine or through a proxy requires the setup token that the server prints at start.',
  SHUTTING_DOWN: 'The server is shutting down. Retry to reach another node.',
  SIGNING_KEY_INACTIVE: 'The signing key is inactive.',
  SIGNING_KEY_LIMIT: 'The limit of signing keys is reached. Revoke one whose tokens have expired.',
  SIGNING_KEY_NOT_FOUND: 'The signing key does not exist or is revoked.',
  SLOW_CONSUMER: 'The client reads more slowly than its events arrive.',
  SOCKET_NOT_FOUND: 'The scope has no open socket with this id.',
  SOURCE_UNAVAILABLE: 'The connected database is currently unavailable. The message has the reason.',
  STREAM_LIMIT: 'The limit of open streams is reached.',
  SUBSCRIPTION_LIMIT: 'The connection or its application has reached the limit of subscriptions.',
  SUBSCRIPTION_NOT_FOUND: 'The connection (in the debugger, the application) has no such subscription.',
  TABLE_BUSY:
    'Transactions that began before the table was published are still writing to it. Retry when they have ended.',
  TABLE_NOT_FOUND: 'The connected database has no such table, or its user has no access to it.',
  TABLE_NOT_PUBLISHED:
    'The table is not in the publication and cannot be added to it. `details` has the statement to run, if there is ' +
      'one.',
  TOO_MANY_TOPICS:
    'The environment has too many topics for one document. Read them in pages with `GET /api/schemas?active=true`.',
  TOPIC_EXISTS: 'The environment already has a topic with this name.',
  TOPIC_NOT_FOUND: 'The scope has no topic with this name.',
  TOPIC_RESERVED: 'The topic roots sync, socket, presence and system are reserved for the platform.',
  TRACE_NOT_FOUND: 'The scope has no trace of this event: it does not exist, was not sampled, or is past retention.',
  USER_EXISTS: 'A user with this email address already exists.',
  USER_NOT_FOUND: 'The user does not exist.',
  WEBHOOK_DELIVERY_NOT_FOUND: 'The application has no such delivery, or the delivery is past retention.',
  WEBHOOK_INACTIVE: 'The webhook is inactive. Activate it first.',
  WEBHOOK_LIMIT: 'The application has reached its limit of webhooks, or the webhook its limit of signing secrets.',
  WEBHOOK_NOT_FOUND: 'The application has no such webhook.',
  WEBHOOK_URL_FORBIDDEN: 'The webhook URL is not allowed. Use https and a public address.',
  VALIDATION_FAILED: 'The request is invalid. `details` lists each invalid part.',
  VERSION_MISMATCH: 'The environment does not run the expected version of the mapping.'
} as const
export type ErrorCode = keyof typeof errorCodes

/** One problem of a request: where it is (a JSON Pointer), what it is, and fields that help to correct it. */
export interface ErrorDetail { path: string, message: string, [more: string]: unknown }

/**
 * An error that is returned to the caller as it is. Any other error is a fault of the server: it is logged, and the
 * caller gets a 500 without detail.
 */
export abstract class PublicError extends Error {
  abstract readonly status: number
  readonly code: ErrorCode
  readonly details: ErrorDetail[] | undefined

  constructor (code: ErrorCode, message: string, options: { details?: ErrorDetail[], cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.details = options.details
  }

  /** Returns the wire form, which REST and sockets share. */
  toBody (): ErrorBody {
    return { error: this.name, message: this.message, code: this.code, ...(this.details && { details: this.details }) }
  }
}

export class ValidationError extends PublicError { readonly status = 400 }
export class UnauthorizedError extends PublicError { readonly status = 401 }
export class ForbiddenError extends PublicError { readonly status = 403 }
export class NotFoundError extends PublicError { readonly status = 404 }
export class ConflictError extends PublicError { readonly status = 409 }
export class IncompatibleSchemaError extends ConflictError {}
export class PreconditionFailedError extends PublicError { readonly status = 412 }
export class PayloadTooLargeError extends PublicError { readonly status = 413 }
export class UnsupportedMediaTypeError extends PublicError { readonly status = 415 }

interface PassingOptions { retryAfterS?: number, retryAfterMs?: number, cause?: unknown }

/**
 * A temporary refusal. `retryAfterS` seconds are sent as `Retry-After`. Sockets have no such header: `retryAfterMs` is
 * in the body.
 */
abstract class PassingError extends PublicError {
  readonly retryAfterS: number
  readonly retryAfterMs: number | undefined

  constructor (code: ErrorCode, message: string, options: PassingOptions = {}) {
    super(code, message, options)
    this.retryAfterS = options.retryAfterS ?? 1
    this.retryAfterMs = options.retryAfterMs
  }

  override toBody (): ErrorBody {
    return { ...super.toBody(), ...(this.retryAfterMs !== undefined && { retryAfterMs: this.retryAfterMs }) }
  }
}

/** Without `retryAfterMs`, waiting does not help: the caller must release something first. */
export class RateLimitError extends PassingError { readonly status = 429 }

/**
 * A refusal because a quota of the application is used up. `quota` names it, as the API does. Without `retryAfterMs`,
 * waiting does not help: the application must delete or close something, or get a higher quota.
 */
export class QuotaExceededError extends PublicError {
  readonly status = 429
  readonly retryAfterMs: number | undefined

  constructor (
    code: ErrorCode, quota: string, message: string, { retryAfterMs }: { retryAfterMs?: number } = {}
  ) {
    super(code, message, { details: [{ path: quota, message }] })
    this.retryAfterMs = retryAfterMs
  }

  /** The seconds of `Retry-After`. */
  get retryAfterS (): number | undefined {
    return this.retryAfterMs === undefined ? undefined : Math.max(1, Math.ceil(this.retryAfterMs / 1000))
  }

  override toBody (): ErrorBody {
    return { ...super.toBody(), ...(this.retryAfterMs !== undefined && { retryAfterMs: this.retryAfterMs }) }
  }
}

export class ServiceUnavailableError extends PassingError {
  readonly status = 503

  constructor (code: ErrorCode, message: string, options: PassingOptions = {}) {
    super(code, message, { ...options, retryAfterMs: options.retryAfterMs ?? (options.retryAfterS ?? 1) * 1000 })
  }
}

/** Replaces an internal error in responses. It reveals nothing of the cause. */
export class InternalServerError extends PublicError {
  readonly status = 500
  constructor (cause: unknown) {
    super('INTERNAL', 'The server failed to process the request. Its log has the reason under the request id', {
      cause
    })
  }
}

const unreachableSystemCodes = new Set([
  'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'ENOENT', 'EHOSTUNREACH', 'ENETUNREACH'
])
/**
 * SQLSTATE classes and codes of temporary failures, as opposed to statements that would fail again.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const unreachableSqlStates = /^(08|53|57P|58|25006|40003)/
const unreachableMessages =
  new RegExp(
    'Connection terminated|timeout exceeded when trying to connect|Query read timeout|' +
      'Client has encountered a connection error|Cannot use a pool after calling end|Client was closed'
  )

/** Returns whether an error means that the database is unreachable, full or restarting. */
export function isDatabaseUnavailable (error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error instanceof AggregateError) return error.errors.some(isDatabaseUnavailable)
  const code = (error as NodeJS.ErrnoException).code
  if (code !== undefined && (unreachableSystemCodes.has(code) || unreachableSqlStates.test(code))) return true
  return unreachableMessages.test(error.message)
}

/** Returns the public form of any thrown value. */
export function toPublicError (error: unknown): PublicError {
  if (error instanceof PublicError) return error
  if (isDatabaseUnavailable(error)) {
    return new ServiceUnavailableError(
      'DATABASE_UNAVAILABLE', 'The database is unavailable. Retry after the time in Retry-After', { cause: error }
    )
  }
  return new InternalServerError(error)
}
