import { Type, type Static, type TSchema } from '@sinclair/typebox'
import { environments } from './scope.ts'

/**
 * Returns a typed reference to a schema with an `$id`, which is one component of the OpenAPI document. `description`
 * describes the response that uses it.
 */
export function ref<T extends TSchema> (schema: T, description?: string) {
  return Type.Unsafe<Static<T>>({ $ref: `${schema.$id}#`, ...(description !== undefined && { description }) })
}

export const Nullable = <T extends TSchema>(schema: T, options: Record<string, unknown> = {}) =>
  Type.Union([schema, Type.Null()], { examples: [schema['examples']?.[0] ?? null], ...options })

/** Non-empty text of limited length, without NUL, which PostgreSQL cannot store. */
export const Text = (maxLength: number, options: Record<string, unknown> = {}) =>
  Type.String({ minLength: 1, maxLength, pattern: '^[^\\u0000]*$', ...options })

export const EpochMs = (description: string) =>
  Type.Integer({ description: `${description} Epoch milliseconds.`, examples: [1705312800000] })

const namedEnums = new Map<string, { name: string, description?: unknown }>()

/**
 * A JSON Schema `enum` of strings. It is a component with this name in the OpenAPI document, so that generated clients
 * have it too.
 */
export function Enum<const T extends string> (
  name: string, values: readonly T[], options: Record<string, unknown> = {}
) {
  const key = JSON.stringify(values)
  const known = namedEnums.get(key)
  if (known !== undefined && known.name !== name) throw new Error(`The enum ${name} has the values of ${known.name}`)
  namedEnums.set(key, { name, ...('description' in options && { description: options['description'] }), ...known })
  return Type.Unsafe<T>({ type: 'string', enum: [...values], ...options })
}

/** Returns the name and description of the enum that has these values. */
export const findEnum = (values: readonly unknown[]) => namedEnums.get(JSON.stringify(values))

export const EnvironmentName = Enum('Environment', environments, {
  description: 'One of the three fixed environments, in promotion order.', examples: ['development']
})

export const ErrorDetail = Type.Object({
  path: Type.String({ description: 'JSON Pointer to the invalid part.', examples: ['/payload/status'] }),
  message: Type.String({ examples: ['must be string'] })
}, { additionalProperties: true })

export const ErrorBody = Type.Object({
  error: Type.String({ description: 'The class of the error.', examples: ['NotFoundError'] }),
  message: Type.String({
    description: 'The reason for the refusal, with the refused value.', examples: ['Topic not found: session.status']
  }),
  code: Type.String({ description: 'A stable code; see docs/ERRORS.md.', examples: ['TOPIC_NOT_FOUND'] }),
  details: Type.Optional(Type.Array(ErrorDetail, { description: 'The problems, each with its place.' })),
  retryAfterMs: Type.Optional(
    Type.Integer({
      minimum: 0, description: 'Milliseconds to wait before a retry. Absent if waiting does not help.', examples: [1000]
    })
  )
}, { $id: 'Error', description: 'Every error response has this shape.' })
export type ErrorBody = Static<typeof ErrorBody>

const retryAfter = {
  'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer' as const }, example: 1 }
}
const kinds = {
  400: ['BadRequest', 'The body, query, a header or the payload is invalid.', {
    error: 'ValidationError',
    message: 'body/name must match pattern "^[a-z0-9]+(\\.[a-z0-9]+)*$", as "session.status" does',
    code: 'VALIDATION_FAILED',
    details: [{ path: '/name', message: 'must match pattern "^[a-z0-9]+(\\.[a-z0-9]+)*$", as "session.status" does' }]
  }],
  401: ['Unauthorized', 'The credential is missing, invalid, expired or revoked.', {
    error: 'UnauthorizedError',
    message: 'The credential is not valid: the session is unknown or has ended',
    code: 'CREDENTIAL_INVALID'
  }],
  403: ['Forbidden', 'The credential lacks the permission, or has no access to the application or environment.', {
    error: 'ForbiddenError', message: 'Permission required: topics:create', code: 'PERMISSION_DENIED'
  }],
  404: ['NotFound', 'The resource does not exist in this scope. Resources of other tenants return the same.', {
    error: 'NotFoundError', message: 'Topic not found: session.status', code: 'TOPIC_NOT_FOUND'
  }],
  409: [
    'Conflict',
    'The current state does not allow the request: a duplicate, a revision mismatch, or a reused idempotency key.',
    { error: 'ConflictError', message: 'Topic already exists: session.status', code: 'TOPIC_EXISTS' }
  ],
  412: ['PreconditionFailed', '`If-Match` does not match the current version.', {
    error: 'PreconditionFailedError',
    message: 'If-Match does not match: session/doc_a1b2c3d4 is at revision 5',
    code: 'ETAG_MISMATCH'
  }],
  413: ['PayloadTooLarge', 'The body is larger than the route allows.', {
    error: 'PayloadTooLargeError', message: 'The body is larger than 1048576 bytes', code: 'BODY_TOO_LARGE'
  }],
  415: ['UnsupportedMediaType', 'The body is not JSON in UTF-8.', {
    error: 'UnsupportedMediaTypeError',
    message: 'The content type must be application/json, not text/plain',
    code: 'CONTENT_TYPE_UNSUPPORTED'
  }],
  429: ['TooManyRequests', 'Too many requests. Retry after the time in `Retry-After`.', {
    error: 'RateLimitError',
    message: 'More than 6000 requests per minute. Retry in 12 s',
    code: 'RATE_LIMITED',
    retryAfterMs: 12000
  }],
  500: ['InternalServerError', 'The server failed. The response has no internal details.', {
    error: 'InternalServerError',
    message: 'The server failed to process the request. Its log has the reason under the request id',
    code: 'INTERNAL'
  }],
  503: [
    'ServiceUnavailable',
    'The database is unavailable, a queue is full, or the server is shutting down. Retry after the time in ' +
      '`Retry-After`.',
    {
      error: 'ServiceUnavailableError', message: 'The database is unavailable. Retry after the time in Retry-After',
      code: 'DATABASE_UNAVAILABLE', retryAfterMs: 1000
    }
  ]
} as const satisfies Record<number, readonly [name: string, description: string, example: ErrorBody | object]>

type Refusal = keyof typeof kinds

/** Returns the response schemas of a route's error statuses; every route can also return 429, 500 and 503. */
export function refusals (...statuses: Refusal[]) {
  const all = [...statuses, 429, 500, 503] as const
  return Object.fromEntries(all.map(status => [status, {
    description: kinds[status][1], content: { 'application/json': { schema: ref(ErrorBody) } }
  }]))
}

/** The component names of error responses in the document, by status. */
export const refusalNames = Object.fromEntries(Object.entries(kinds).map(([status, [name]]) => [status, name]))

/** The error responses of the document, each with its own example. */
export const refusalComponents = Object.fromEntries(
  Object.entries(kinds).map(([status, [name, description, example]]) => [name, {
    description,
    ...(['429', '503'].includes(status) && { headers: retryAfter }),
    content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' }, example } }
  }])
)

export const Page = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: 'Items per page.' })),
  cursor: Type.Optional(
    Type.String({
      maxLength: 4096,
      pattern: '^[A-Za-z0-9_-]*$',
      description: 'The `X-Next-Cursor` of the previous page.'
    })
  )
}
export const PageQuery = Type.Object(Page, { additionalProperties: false })
export type PageQuery = Static<typeof PageQuery>

/** The header with the cursor of the next page of a list. */
export const nextCursor = (description = 'Pass it as `cursor` to get the next page. Absent on the last page.') => ({
  'X-Next-Cursor': Type.String({ description })
})

/** Returns the response schema of a list route: a page of items, with the header of the next cursor. */
export function pageOf<T extends TSchema> (
  item: T, description: string, headers: Record<string, TSchema> = nextCursor()
) {
  return { description, headers, content: { 'application/json': { schema: Type.Array(ref(item)) } } }
}

/** The header of responses that other nodes contribute to. */
export const nodesMissing = {
  'X-Nodes-Missing': Type.Integer({
    minimum: 1,
    description: 'How many nodes did not respond in time. The response lacks their part. Absent if all did.',
    examples: [1]
  })
}

export const IdempotencyKey = Type.String({
  minLength: 1,
  maxLength: 255,
  pattern: '^[\\x21-\\x7e]+$',
  description:
    'A retry with the same key and body has no second effect and returns the first response, for 24 h. Bodies are ' +
      'compared as canonical JSON (RFC 8785): the order of members and white space do not matter.',
  examples: ['order-4711-placed']
})

export const IdempotencyHeaders = Type.Object({ 'idempotency-key': Type.Optional(IdempotencyKey) })

/** The header of requests for texts that rarely change. */
export const IfNoneMatch = Type.Object({
  'if-none-match': Type.Optional(
    Type.String({
      maxLength: 4096,
      description: 'The response is 304 if the text still has this entity tag.',
      examples: ['"k3J9sQ2x"']
    })
  )
})
