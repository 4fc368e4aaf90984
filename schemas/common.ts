import { Type, type Static, type TSchema } from '@sinclair/typebox'
import { environments } from './scope.ts'

/**
 * A reference to a schema that carries `$id`: one component in the OpenAPI document, and still typed. An answer is
 * described where it is given.
 */
export function ref<T extends TSchema> (schema: T, description?: string) {
  return Type.Unsafe<Static<T>>({ $ref: `${schema.$id}#`, ...(description !== undefined && { description }) })
}

export const Nullable = <T extends TSchema>(schema: T, options: Record<string, unknown> = {}) =>
  Type.Union([schema, Type.Null()], { examples: [schema['examples']?.[0] ?? null], ...options })

/** Text for people: non-empty, bounded, and free of NUL, which PostgreSQL cannot store. */
export const Text = (maxLength: number, options: Record<string, unknown> = {}) =>
  Type.String({ minLength: 1, maxLength, pattern: '^[^\\u0000]*$', ...options })

export const EpochMs = (description: string) =>
  Type.Integer({ description: `${description} Epoch milliseconds.`, examples: [1705312800000] })

const namedEnums = new Map<string, { name: string, description?: unknown }>()

/**
 * One of some texts, as JSON Schema `enum`. The OpenAPI document has it as a component of this name, so that generated
 * clients have it too.
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
  path: Type.String({ description: 'JSON Pointer to the part that was wrong.', examples: ['/payload/status'] }),
  message: Type.String({ examples: ['must be string'] })
}, { additionalProperties: true })

export const ErrorBody = Type.Object({
  error: Type.String({ description: 'The class of the refusal.', examples: ['NotFoundError'] }),
  message: Type.String({
    description: 'Names the thing and the value that was wrong.', examples: ['Topic not found: session.status']
  }),
  code: Type.String({ description: 'Exact and stable; see docs/ERRORS.md.', examples: ['TOPIC_NOT_FOUND'] }),
  details: Type.Optional(Type.Array(ErrorDetail)),
  retryAfterMs: Type.Optional(
    Type.Integer({
      minimum: 0, description: 'When to try again, in milliseconds, where waiting helps.', examples: [1000]
    })
  )
}, { $id: 'Error', description: 'Every refusal has this shape.' })
export type ErrorBody = Static<typeof ErrorBody>

const retryAfter = { 'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer' }, example: 1 } }
const kinds = {
  400: ['BadRequest', 'Body, query, header or payload is malformed.', {
    error: 'ValidationError',
    message: 'body/name must match pattern "^[a-z0-9]+(\\.[a-z0-9]+)*$", as "session.status" does',
    code: 'VALIDATION_FAILED',
    details: [{ path: '/name', message: 'must match pattern "^[a-z0-9]+(\\.[a-z0-9]+)*$", as "session.status" does' }]
  }],
  401: ['Unauthorized', 'No credential, or one that is invalid, expired or revoked.', {
    error: 'UnauthorizedError',
    message: 'The credential is not valid: the session is unknown or has ended',
    code: 'CREDENTIAL_INVALID'
  }],
  403: ['Forbidden', 'Authenticated, but lacking the permission, the application or the environment.', {
    error: 'ForbiddenError', message: 'Permission required: topics:create', code: 'PERMISSION_DENIED'
  }],
  404: ['NotFound', 'There is no such thing in this scope; another tenant\'s resource answers the same.', {
    error: 'NotFoundError', message: 'Topic not found: session.status', code: 'TOPIC_NOT_FOUND'
  }],
  409: ['Conflict', 'The state does not allow it: a duplicate, a revision mismatch, a reused idempotency key.', {
    error: 'ConflictError', message: 'Topic already exists: session.status', code: 'TOPIC_EXISTS'
  }],
  412: ['PreconditionFailed', '`If-Match` did not hold.', {
    error: 'PreconditionFailedError',
    message: 'If-Match does not match: session/doc_a1b2c3d4 is at revision 5',
    code: 'ETAG_MISMATCH'
  }],
  413: ['PayloadTooLarge', 'The body is larger than the route allows.', {
    error: 'PayloadTooLargeError', message: 'The body is larger than 1048576 bytes', code: 'BODY_TOO_LARGE'
  }],
  415: ['UnsupportedMediaType', 'The body is not JSON.', {
    error: 'UnsupportedMediaTypeError',
    message: 'The content type is not JSON: text/plain',
    code: 'CONTENT_TYPE_UNSUPPORTED'
  }],
  429: ['TooManyRequests', 'Too many requests; `Retry-After` says when to come back.', {
    error: 'RateLimitError',
    message: 'More than 6000 requests; come back in 12 s',
    code: 'RATE_LIMITED',
    retryAfterMs: 12000
  }],
  500: ['InternalServerError', 'A fault of the server. It carries no internals.', {
    error: 'InternalServerError',
    message: 'The server failed to answer; the request id leads to the reason in its log.',
    code: 'INTERNAL'
  }],
  503: [
    'ServiceUnavailable',
    'The database is away, a queue is full, or the server is shutting down; `Retry-After` says when to come back.',
    {
      error: 'ServiceUnavailableError', message: 'The database is unavailable; try again shortly.',
      code: 'DATABASE_UNAVAILABLE', retryAfterMs: 1000
    }
  ]
} as const satisfies Record<number, readonly [name: string, description: string, example: ErrorBody | object]>

type Refusal = keyof typeof kinds

/** The response schemas of the statuses that a route refuses with; 429, 500 and 503 can come from every route. */
export function refusals (...statuses: Refusal[]) {
  const all = [...statuses, 429, 500, 503] as const
  return Object.fromEntries(all.map(status => [status, {
    description: kinds[status][1], content: { 'application/json': { schema: ref(ErrorBody) } }
  }]))
}

/** The name that a refusal has among the document's responses, by its status. */
export const refusalNames = Object.fromEntries(Object.entries(kinds).map(([status, [name]]) => [status, name]))

/** The document's responses for refusals, each with an example of its own. */
export const refusalComponents = Object.fromEntries(
  Object.entries(kinds).map(([status, [name, description, example]]) => [name, {
    description,
    ...(['429', '503'].includes(status) && { headers: retryAfter }),
    content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' }, example } }
  }])
)

export const Page = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: 'Items a page.' })),
  cursor: Type.Optional(
    Type.String({
      maxLength: 2048,
      pattern: '^[A-Za-z0-9_-]*$',
      description: 'The `X-Next-Cursor` of the page before.'
    })
  )
}
export const PageQuery = Type.Object(Page, { additionalProperties: false })
export type PageQuery = Static<typeof PageQuery>

/** The header that leads to the next page of a list. */
export const nextCursor = (description = 'Pass it as `cursor` for the next page; absent on the last.') => ({
  'X-Next-Cursor': Type.String({ description })
})

/** The response schema of a list route: a page of items, with the header that leads to the next one. */
export function pageOf<T extends TSchema> (
  item: T, description: string, headers: Record<string, TSchema> = nextCursor()
) {
  return { description, headers, content: { 'application/json': { schema: Type.Array(ref(item)) } } }
}

/** Of answers that other nodes have a part in. */
export const nodesMissing = {
  'X-Nodes-Missing': Type.Integer({
    minimum: 1,
    description: 'How many nodes did not answer in time: the answer is without their part. Absent when all did.',
    examples: [1]
  })
}

export const IdempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(Type.String({
    minLength: 1,
    maxLength: 255,
    pattern: '^[\\x21-\\x7e]+$',
    description:
      'A retry with the same key and body has no second effect and gets the first answer; kept 24 h. Bodies are ' +
        'compared as canonical JSON (RFC 8785): the order of members and white space do not count.',
    examples: ['order-4711-placed']
  }))
})
