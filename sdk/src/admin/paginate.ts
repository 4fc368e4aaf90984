import type { Client } from 'openapi-fetch'
import type { paths } from './openapi.gen.ts'
import { unwrap, type AdminResult } from './response.ts'

/** Events are paged by offset. */
const eventsPath = '/api/topics/{name}/events'

/** The paths of lists. */
export type ListPath = {
  [Path in keyof paths]: 'cursor' extends keyof QueryOf<paths[Path]> ? Path : never
}[keyof paths] | typeof eventsPath

/** An operation without parameters has the query `never`, of which every name is a key. */
type QueryOf<Operations> = Operations extends { get: { parameters: { query?: infer Query } } }
  ? [Query] extends [never] ? unknown : Exclude<Query, undefined>
  : unknown

type Page<Path extends ListPath> =
  paths[Path] extends { get: { responses: { 200: { content: { 'application/json': infer Body } } } } } ? Body : never

/** An item of a list. Some lists are a property of their response. */
export type ListItem<Path extends ListPath> = Page<Path> extends readonly (infer Item)[]
  ? Item
  : Page<Path>[keyof Page<Path>] extends readonly (infer Item)[] ? Item : never

type Parameters<Path extends ListPath> = paths[Path] extends { get: { parameters: infer All } } ? All : never

/** The parameters of the list, without the cursor, and what ends it. `limit` is the number of items of a page. */
export type PaginateOptions<Path extends ListPath> = { signal?: AbortSignal } & (
  Parameters<Path> extends { path: infer PathParameters }
    ? { params: { path: PathParameters } & OptionalParameters<Path> }
    : { params?: OptionalParameters<Path> }
)
type OptionalParameters<Path extends ListPath> = {
  query?: Omit<NonNullable<Parameters<Path>['query' & keyof Parameters<Path>]>, 'cursor'>
  header?: NonNullable<Parameters<Path>['header' & keyof Parameters<Path>]>
}

type PaginateArguments<Path extends ListPath> =
  Record<never, never> extends PaginateOptions<Path>
    ? [options?: PaginateOptions<Path>]
    : [options: PaginateOptions<Path>]

/** The call that `paginate` makes, for any path. */
type Get = (path: string, init: {
  params: { query: Record<string, unknown> }, signal?: AbortSignal
}) => Promise<AdminResult>

/**
 * Iterates over the items of a list, and reads the next page when it needs one. Throws the server's refusal as
 * RealtimeError, and the reason of the signal. The parameters of the list stay the same from page to page, as a cursor
 * requires (docs/LISTS.md).
 */
export async function * paginate<Path extends ListPath> (
  admin: Client<paths>, path: Path, ...[options]: PaginateArguments<Path>
): AsyncGenerator<ListItem<Path>, void, undefined> {
  const { signal, params = {} }: { signal?: AbortSignal, params?: { query?: Record<string, unknown> } } = options ?? {}
  // The caller may change its object while the walk goes on.
  const all = { ...params, query: { ...params.query } }
  const cursorName = path !== eventsPath ? 'cursor' : all.query['order'] === 'desc' ? 'before' : 'after'
  let cursor: string | undefined
  do {
    if (cursor !== undefined) all.query[cursorName] = cursor
    const page = await (admin.GET as Get)(path, { params: all, ...(signal !== undefined && { signal }) })
    yield * itemsOf(await unwrap(page)) as ListItem<Path>[]
    cursor = page.response.headers.get('x-next-cursor') ?? undefined
  } while (cursor !== undefined)
}

const itemsOf = (page: unknown): unknown[] =>
  Array.isArray(page) ? page : Object.values(page as object).find(Array.isArray) ?? []
