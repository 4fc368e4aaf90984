import { Type, type Static, type TSchema } from '@sinclair/typebox'

/** A reference to a schema that carries `$id`: one component in the OpenAPI document, and still typed. An answer is described where it is given. */
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

export const EnvironmentName = Type.Union([
  Type.Literal('development'), Type.Literal('staging'), Type.Literal('production')
], { description: 'One of the three fixed environments, in promotion order.', examples: ['development'] })

export const ErrorDetail = Type.Object({
  path: Type.String({ description: 'JSON Pointer to the part that was wrong.', examples: ['/payload/status'] }),
  message: Type.String({ examples: ['must be string'] })
}, { additionalProperties: true })

export const ErrorBody = Type.Object({
  error: Type.String({ description: 'The class of the refusal.', examples: ['NotFoundError'] }),
  message: Type.String({ description: 'Names the thing and the value that was wrong.', examples: ['Topic not found: session.status'] }),
  code: Type.String({ description: 'Exact and stable; see docs/ERRORS.md.', examples: ['TOPIC_NOT_FOUND'] }),
  details: Type.Optional(Type.Array(ErrorDetail)),
  retryAfterMs: Type.Optional(Type.Integer({ minimum: 0, description: 'When to try again, in milliseconds, where waiting helps.', examples: [1000] }))
}, { $id: 'Error', description: 'Every refusal has this shape.' })
export type ErrorBody = Static<typeof ErrorBody>

const refusalTexts = {
  400: 'Body, query, header or payload is malformed.',
  401: 'No credential, or one that is invalid, expired or revoked.',
  403: 'Authenticated, but lacking the permission, the application or the environment.',
  404: 'There is no such thing in this scope; another tenant\'s resource answers the same.',
  409: 'The state does not allow it: a duplicate, a revision mismatch, a reused idempotency key.',
  412: '`If-Match` did not hold.',
  413: 'The body is larger than the route allows.',
  415: 'The body is not JSON.',
  429: 'Too many requests; `Retry-After` says when to come back.',
  500: 'A fault of the server. It carries no internals.',
  503: 'The database is away, a queue is full, or the server is shutting down; `Retry-After` says when to come back.'
} as const

type Refusal = keyof typeof refusalTexts

/** The response schemas of the statuses that a route refuses with; 429, 500 and 503 can come from every route. */
export function refusals (...statuses: Refusal[]) {
  const all = [...statuses, 429, 500, 503] as const
  return Object.fromEntries(all.map(status => [status, {
    description: refusalTexts[status], content: { 'application/json': { schema: ref(ErrorBody) } }
  }]))
}

export const Page = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: 'Items a page.' })),
  cursor: Type.Optional(Type.String({ maxLength: 2048, pattern: '^[A-Za-z0-9_-]*$', description: 'The `X-Next-Cursor` of the page before.', examples: ['mB3yfq0bVn8mU5Jx2kQd4wWyJzZXNzaW9uLnN0YXR1cyJd'] }))
}
export const PageQuery = Type.Object(Page, { additionalProperties: false })
export type PageQuery = Static<typeof PageQuery>

/** The header that leads to the next page of a list. */
export const nextCursor = (description = 'Pass it as `cursor` for the next page; absent on the last.') => ({
  'X-Next-Cursor': Type.String({ description })
})

/** The response schema of a list route: a page of items, with the header that leads to the next one. */
export function pageOf<T extends TSchema> (item: T, description: string, headers: Record<string, TSchema> = nextCursor()) {
  return { description, headers, content: { 'application/json': { schema: Type.Array(ref(item)) } } }
}

/** Of answers that other nodes have a part in. */
export const nodesMissing = {
  'X-Nodes-Missing': Type.Integer({ minimum: 1, description: 'How many nodes did not answer in time: the answer is without their part. Absent when all did.', examples: [1] })
}

export const IdempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(Type.String({
    minLength: 1,
    maxLength: 255,
    pattern: '^[\\x21-\\x7e]+$',
    description: 'A retry with the same key and body has no second effect and gets the first answer; kept 24 h.',
    examples: ['order-4711-placed']
  }))
})
