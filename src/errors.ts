/**
 * Every refusal that the platform gives on purpose. `code` is exact and stable; the sentence is its documentation
 * (docs/ERRORS.md is printed from it).
 */
export const errorCodes = {
  APPLICATION_FORBIDDEN: 'The credential does not reach the application that was named.',
  APPLICATION_NOT_EMPTY: 'The application still owns data; delete with `?force=true` to lose it.',
  APPLICATION_NOT_FOUND: 'There is no such application.',
  APPLICATION_REQUIRED: 'The endpoint belongs to an application: name it in `X-Application-Id`.',
  AUTH_TIMEOUT: 'The socket did not authenticate in time.',
  BODY_TOO_LARGE: 'The body is larger than the route allows.',
  CDC_POSITION_LOST: 'Another reader of the connected database has gone on; never answered to a request.',
  CHANNEL_LIMIT: 'The connection is a member of as many channels as it may.',
  CONNECTION_LIMIT: 'The address, or the application, has as many connections as it may.',
  CONNECTION_NOT_FOUND: 'The scope has no connected database.',
  CONTENT_ENCODING_UNSUPPORTED:
    'Bodies may be compressed by gzip or deflate, once; `Accept-Encoding` in the answer lists them.',
  CONTENT_TYPE_UNSUPPORTED: 'Bodies are JSON in UTF-8: send `Content-Type: application/json`.',
  CREDENTIAL_INVALID: 'The credential is malformed, unknown, expired or revoked.',
  CREDENTIAL_MISSING: 'The endpoint needs a credential.',
  DATABASE_SUBSCRIPTION_EXISTS: 'The mapping has a subscription in the environment: activate that one.',
  DATABASE_SUBSCRIPTION_NOT_FOUND: 'The scope has no such subscription of a mapping.',
  DATABASE_UNAVAILABLE: 'The platform\'s database cannot be reached; what was asked for is not known to have happened.',
  DOCUMENT_EXISTS: 'A document of that id exists.',
  DOCUMENT_NOT_FOUND: 'There is no such document in this scope.',
  ENVIRONMENT_FORBIDDEN: 'The credential is pinned to another environment.',
  ENVIRONMENT_INVALID: '`X-Environment` is one of development, staging, production.',
  ETAG_MISMATCH: '`If-Match` did not hold.',
  EVENT_NOT_FOUND: 'The scope has no such event, or nothing is kept of it any more.',
  FRAME_INVALID: 'The frame is not a JSON object with a known `type`.',
  IDEMPOTENCY_KEY_REUSED: 'The idempotency key was used for another request.',
  INTERNAL: 'A fault of the server.',
  INVALID_JSON: 'The body or frame is not JSON.',
  INVALID_UTF8: 'The body or frame is not UTF-8.',
  INVITE_INVALID:
    'The invite is unknown, used, withdrawn or expired, or whoever sent it may no longer give what it promises.',
  INVITE_NOT_FOUND: 'There is no such invite.',
  LAST_SIGNING_KEY: 'Without this key no token could be issued: create or rotate first.',
  LAST_SUPER_ADMIN: 'The last super_admin cannot be removed.',
  LOGIN_FAILED: 'Invalid email or password.',
  MAPPING_NOT_FOUND: 'The scope has no such mapping.',
  MAPPING_NOT_HOME: 'A mapping is changed in its home environment; elsewhere runs what was promoted.',
  MAPPING_PROMOTED: 'The mapping runs in other environments: delete it there first.',
  MAPPING_VERSION_NOT_FOUND: 'The mapping has no such version, or none in that environment.',
  MEMORY_LIMIT: 'The application, or the node, holds as many bytes of subscriptions and members\' states as it may.',
  MFA_CODE_INVALID: 'The code is wrong, used or out of date, or the login that it belongs to has expired.',
  MFA_NOT_PENDING: 'There is no second factor to confirm or disable: set it up first.',
  MFA_ENABLED: 'A second factor is in use: disable it first.',
  MUTATION_FAILED: 'A mutation could not be applied; none was.',
  NOT_A_MEMBER: 'The connection is not a member of the channel: `join` it first.',
  NUMBER_INEXACT:
    'A number has more digits than a double keeps, or is out of its range; `details` has the path. Send it as a ' +
      'string.',
  PATTERN_TOO_WIDE: 'The pattern matches more topics than one subscription, or one connection, may have.',
  OVERLOADED: 'The server has more to do than it can; `Retry-After` says when to come back.',
  PASSWORD_WRONG: 'The current password is missing or wrong.',
  PERMISSION_DENIED: 'The credential lacks the permission.',
  PERMISSION_NOT_HELD: 'Nobody may grant more than they hold.',
  QUEUE_FULL: 'Writes arrive faster than they can be stored; come back shortly.',
  RATE_LIMITED: 'Too many requests; `Retry-After`, or over a socket `retryAfterMs`, says when to come back.',
  REPLAY_LIMIT: 'The scope has as many unfinished replays as it may.',
  REPLAY_NOT_FOUND: 'There is no such replay in this scope.',
  RESET_INVALID: 'The reset is unknown, used or expired; ask for another.',
  RETENTION_PASSED: 'The log no longer holds what the subscription needs.',
  REVISION_MISMATCH: 'The document is not at the expected revision.',
  ROLE_ASSIGNED: 'The user has the role there.',
  ROLE_BUILT_IN: 'Built-in roles do not change.',
  ROLE_EXISTS: 'There is a role of that name.',
  ROLE_NOT_FOUND: 'There is no such role, or the user does not have it.',
  ROUTE_NOT_FOUND: 'There is no such endpoint.',
  SCHEMA_COMPARISON_LIMIT:
    'The schemas could not be compared within the steps that are allowed; the message says whether a retry goes on.',
  SCHEMA_INCOMPATIBLE: 'The schema breaks the promised compatibility; `details` has every offending change.',
  SCHEMA_INVALID: 'The schema cannot be used: it is malformed, too large, or refers outside itself.',
  SCHEMA_NOT_FOUND: 'The topic has no schema.',
  SCHEMA_VERSION_NOT_FOUND: 'The topic has no such schema version.',
  SCHEMA_VIOLATED: 'The payload is not what the topic\'s active schema wants; `details` has every place.',
  SERVICE_EXISTS: 'The application has a service of that name.',
  SERVICE_NOT_EMPTY: 'The service has documents; delete with `?force=true` to lose them.',
  SERVICE_NOT_FOUND: 'The application has no such service.',
  SESSION_NOT_FOUND: 'The user has no such session.',
  SESSION_REQUIRED: 'Only somebody who is logged in can do this, not a token.',
  SETUP_DONE: 'The platform is set up; log in instead.',
  SETUP_TOKEN_REQUIRED: 'From elsewhere than loopback, and by a proxy, setup needs the token printed at start.',
  SHUTTING_DOWN: 'The server is stopping; another attempt reaches its successor.',
  SIGNING_KEY_INACTIVE: 'The key signs no more.',
  SIGNING_KEY_LIMIT: 'There are as many signing keys as are allowed: revoke one whose tokens have expired.',
  SIGNING_KEY_NOT_FOUND: 'There is no such signing key, or it is revoked.',
  SLOW_CONSUMER: 'The client reads more slowly than its events arrive.',
  SOCKET_NOT_FOUND: 'The scope has no open socket of that id.',
  SOURCE_UNAVAILABLE: 'The connected database cannot be used at the moment; the message says why.',
  STREAM_LIMIT: 'As many streams are open as may be.',
  SUBSCRIPTION_LIMIT: 'The connection holds as many subscriptions as it may.',
  SUBSCRIPTION_NOT_FOUND: 'There is no such subscription: of the connection, or, for the debugger, of the application.',
  TABLE_BUSY:
    'Transactions that began before the table was published still write to it; try again when they have ended.',
  TABLE_NOT_FOUND: 'The connected database has no such table, or its user may not see it.',
  TABLE_NOT_PUBLISHED:
    'The table is not in the publication, and cannot be added to it; `details` has the statement, if there is one.',
  TOPIC_EXISTS: 'The environment has a topic of that name.',
  TOPIC_NOT_FOUND: 'The scope has no topic of that name.',
  TOPIC_RESERVED: 'The roots sync, socket, presence and system belong to the platform.',
  TRACE_NOT_FOUND: 'The scope has no trace of such an event: it never was, was not sampled, or is past retention.',
  USER_EXISTS: 'There is a user of that address.',
  USER_NOT_FOUND: 'There is no such user.',
  WEBHOOK_DELIVERY_NOT_FOUND: 'The application has no such delivery, or its time is over.',
  WEBHOOK_INACTIVE: 'The webhook is switched off: activate it first.',
  WEBHOOK_LIMIT: 'The application has as many webhooks as it may, or the webhook as many secrets that sign.',
  WEBHOOK_NOT_FOUND: 'The application has no such webhook.',
  WEBHOOK_URL_FORBIDDEN: 'The URL is not one that webhooks may be sent to: https, and a public address.',
  VALIDATION_FAILED: 'Part of the request is malformed; `details` names each part.',
  VERSION_MISMATCH: 'The environment does not run the expected version of the mapping.'
} as const
export type ErrorCode = keyof typeof errorCodes

/** One thing that was wrong: where (a JSON Pointer), what, and whatever else helps. */
export interface ErrorDetail { path: string, message: string, [more: string]: unknown }

/** A refusal that the caller is meant to read. Everything else that is thrown is our own fault and answers 500. */
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

  /** The wire form, the same over REST and sockets. */
  toBody () {
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
 * A refusal that time mends; `retryAfterS` seconds is the advice that goes out as `Retry-After`. Over a socket there is
 * no such header: the same advice is in the body, as `retryAfterMs`.
 */
abstract class PassingError extends PublicError {
  readonly retryAfterS: number
  readonly retryAfterMs: number | undefined

  constructor (code: ErrorCode, message: string, options: PassingOptions = {}) {
    super(code, message, options)
    this.retryAfterS = options.retryAfterS ?? 1
    this.retryAfterMs = options.retryAfterMs
  }

  override toBody () {
    return { ...super.toBody(), ...(this.retryAfterMs !== undefined && { retryAfterMs: this.retryAfterMs }) }
  }
}

/** Without `retryAfterMs`, waiting alone does not help: something has to be given back first. */
export class RateLimitError extends PassingError { readonly status = 429 }

export class ServiceUnavailableError extends PassingError {
  readonly status = 503

  constructor (code: ErrorCode, message: string, options: PassingOptions = {}) {
    super(code, message, { ...options, retryAfterMs: options.retryAfterMs ?? (options.retryAfterS ?? 1) * 1000 })
  }
}

/** What a stranger may see of a fault of ours. */
export class InternalServerError extends PublicError {
  readonly status = 500
  constructor (cause: unknown) {
    super('INTERNAL', 'The server failed to answer; the request id leads to the reason in its log.', { cause })
  }
}

const unreachableSystemCodes = new Set([
  'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'ENOENT', 'EHOSTUNREACH', 'ENETUNREACH'
])
/**
 * SQLSTATE classes and codes that mean "not now" rather than "not like this".
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const unreachableSqlStates = /^(08|53|57P|58|25006|40003)/
const unreachableMessages =
  /Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Cannot use a pool after calling end|Client was closed/

/** Whether an error says that the database is away, full or restarting. */
export function isDatabaseUnavailable (error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error instanceof AggregateError) return error.errors.some(isDatabaseUnavailable)
  const code = (error as NodeJS.ErrnoException).code
  if (code !== undefined && (unreachableSystemCodes.has(code) || unreachableSqlStates.test(code))) return true
  return unreachableMessages.test(error.message)
}

/** Turns whatever was thrown into what may be answered. */
export function toPublicError (error: unknown): PublicError {
  if (error instanceof PublicError) return error
  if (isDatabaseUnavailable(error)) {
    return new ServiceUnavailableError('DATABASE_UNAVAILABLE', 'The database is unavailable; try again shortly.', {
      cause: error
    })
  }
  return new InternalServerError(error)
}
