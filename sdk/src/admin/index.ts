import createClient, { type Client } from 'openapi-fetch'
import { TokenSource, type TokenInput } from '../connection/token.ts'
import type { Environment } from '../protocol/protocol.ts'
import { createFetch } from './fetch.ts'
import { idempotentOperations } from './idempotent.gen.ts'
import type { paths } from './openapi.gen.ts'

export { paginate, type ListItem, type ListPath, type PaginateOptions } from './paginate.ts'
export { unwrap, type DataOf } from './response.ts'
export type { components, operations, paths } from './openapi.gen.ts'

export interface AdminClientOptions {
  /** The server, for example `https://realtime.example.com`. A path is kept, for a platform behind a prefix. */
  url: string
  /** A token, an API key or a session token, or a function that fetches one. */
  token: TokenInput
  /** Required with a session token; otherwise the credential names the application. */
  applicationId?: string
  /** Default: the environment of the credential, or `development`. */
  environment?: Environment
  /** Replaces `fetch`. */
  fetch?: (request: Request) => Promise<Response>
  /** How often a request is repeated. Default: 4. */
  retries?: number
  /** A response with a longer `Retry-After` is returned at once. In milliseconds. Default: 60,000. */
  retryAfterMaxMs?: number
}

/**
 * The REST API, typed from openapi.json: `admin.GET('/api/topics/{name}', { params: { path: { name } } })`. Calls
 * resolve with `{ data, error, response }`; `unwrap` turns that into the data or a thrown RealtimeError. Calls reject
 * with RealtimeError `NETWORK` if no response arrives, and `TOKEN_UNAVAILABLE` if the token function throws.
 */
export type AdminClient = Client<paths>

/**
 * Creates a client of the REST API. It repeats requests that are safe to repeat:
 * - any request after a 429 with `Retry-After`, because the server has refused it before it did anything;
 * - GET requests, and writes with an idempotency key, also after 502, 503, 504 and network errors. Where an operation
 *   takes such a key, the client adds one.
 *
 * After a refused credential, it calls the token function for a fresh token, and repeats the request once.
 */
export function createAdminClient ({
  url, token, applicationId, environment, fetch, retries = 4, retryAfterMaxMs = 60_000
}: AdminClientOptions): AdminClient {
  const repeatable = new WeakSet<Request>()
  const client = createClient<paths>({
    baseUrl: new URL(url).href.replace(/^ws/, 'http'),
    headers: { 'x-application-id': applicationId, 'x-environment': environment },
    fetch: createFetch({
      tokens: new TokenSource(token), send: fetch ?? (request => globalThis.fetch(request)),
      isRepeatable: request => request.method === 'GET' || repeatable.has(request), retries, retryAfterMaxMs
    })
  })
  client.use({
    onRequest ({ request, schemaPath }) {
      if (!idempotentOperations.has(`${request.method} ${schemaPath}`)) return
      if (!request.headers.has('idempotency-key')) request.headers.set('idempotency-key', crypto.randomUUID())
      repeatable.add(request)
    }
  })
  return client
}
