import { createAdminClient, unwrap, type AdminClient, type paths } from '@realtime-platform/client/admin'
import { closeSession, session } from './session.ts'

/* The REST API, typed from openapi.json. Components use the hooks of queries.ts and actions.ts. */

export const environments = ['development', 'staging', 'production'] as const
export type Environment = (typeof environments)[number]

/** An application and one of its environments. */
export interface Scope {
  readonly applicationId: string
  readonly environment: Environment
}

/** `[…]` in query keys and caches. */
export const scopeKey = (scope: Scope | null): string =>
  scope === null ? 'all' : `${scope.applicationId}/${scope.environment}`

const clients = new Map<string, AdminClient>()
// Clients of an ended session are of no use, and hold its token.
session.subscribe(() => clients.clear())

/** Returns the client for a scope, or for everything that the session has access to. */
export function apiFor (scope: Scope | null): AdminClient {
  const token = session.value
  const key = scopeKey(scope)
  const known = clients.get(key)
  if (known !== undefined) return known
  const client = createAdminClient({
    url: location.origin,
    token: token ?? 'none',
    retries: 2,
    // A person waits for the answer: a longer delay is shown instead.
    retryAfterMaxMs: 3000,
    ...scope,
    async fetch (request) {
      const response = await fetch(request)
      if (response.status === 401 && token !== null && !isVerdict(request) && await isSessionOver(response)) {
        if (session.value === token) closeSession()
      }
      return response
    }
  })
  clients.set(key, client)
  return client
}

/** Returns whether a 401 would be about the token in the body of the request, not about the session. */
const isVerdict = ({ url }: Request): boolean => new URL(url).pathname === '/auth/verify'

/** Wrong passwords and codes are answered with 401 as well. */
async function isSessionOver (response: Response): Promise<boolean> {
  const body: unknown = await response
    .clone()
    .json()
    .catch(() => undefined)
  return (
    typeof body === 'object' &&
    body !== null &&
    'code' in body &&
    typeof body.code === 'string' &&
    body.code.startsWith('CREDENTIAL_')
  )
}

/** The paths that can be read. */
export type GetPath = {
  [Path in keyof paths]: paths[Path] extends { get: object } ? Path : never
}[keyof paths]

/** The body of a successful GET. */
export type DataOf<Path extends GetPath> = paths[Path] extends {
  get: { responses: { 200: { content: infer Content } } }
}
  ? Content[keyof Content]
  : never

/** The query and path parameters of a GET. */
export interface Parameters<Path extends GetPath> {
  path?: paths[Path] extends { get: { parameters: { path: infer Names } } } ? Names : never
  query?: paths[Path] extends { get: { parameters: { query?: infer Query } } } ? Query : never
}

type UntypedGet = (path: string, init: object) => Promise<{ data?: unknown; error?: unknown; response: Response }>

/** Reads a path, with the headers of the answer. */
export async function read<Path extends GetPath> (
  scope: Scope | null,
  path: Path,
  params: Parameters<Path> = {},
  signal?: AbortSignal
): Promise<{ data: DataOf<Path>; headers: Headers }> {
  const get = apiFor(scope).GET as UntypedGet
  const result = await get(path, { params, ...(signal !== undefined && { signal }) })
  const data: DataOf<Path> = (await unwrap(result)) as DataOf<Path>
  return { data, headers: result.response.headers }
}
