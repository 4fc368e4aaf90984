import type { RealtimeError } from '@realtime-platform/client'
import {
  keepPreviousData,
  queryOptions,
  useInfiniteQuery,
  useQuery,
  type UseQueryOptions,
  type UseQueryResult
} from '@tanstack/react-query'
import { useCallback, useMemo } from 'react'
import { read, scopeKey, type DataOf, type GetPath, type Parameters, type Scope } from './api.ts'
import { failureOf, queryClient } from './query-client.ts'
import { useScope } from './scope.ts'

type Options<Data> = Pick<
  UseQueryOptions<Data, RealtimeError>,
  'enabled' | 'refetchInterval' | 'staleTime' | 'placeholderData'
>

/** The options of a query that reads a path; for `useQuery`, `ensureQueryData` and `setQueryData`. */
export const get = <Path extends GetPath>(scope: Scope | null, path: Path, params?: Parameters<Path>) =>
  queryOptions<DataOf<Path>, RealtimeError>({
    queryKey: [path, scopeKey(scope), params ?? {}],
    queryFn: async ({ signal }) => (await read(scope, path, params, signal)).data
  })

/** Reads a path in the scope of the page: `useGet('/api/topics/{name}', { path: { name } })`. */
export function useGet<Path extends GetPath> (
  path: Path,
  params?: Parameters<Path>,
  options?: Options<DataOf<Path>>
): UseQueryResult<DataOf<Path>, RealtimeError> {
  return useSteady({ ...get(useScope(), path, params), ...options })
}

/** As `useGet`, for what belongs to no application: users, roles, signing keys, the list of applications. */
export function useGlobal<Path extends GetPath> (
  path: Path,
  params?: Parameters<Path>,
  options?: Options<DataOf<Path>>
): UseQueryResult<DataOf<Path>, RealtimeError> {
  return useSteady({ ...get(null, path, params), ...options })
}

/** As `useQuery`, but an error stays while the query is read again, until that has succeeded. */
function useSteady<Data> (options: UseQueryOptions<Data, RealtimeError>): UseQueryResult<Data, RealtimeError> {
  const query = useQuery(options)
  const error = query.isPending ? failureOf(options.queryKey) : null
  if (error === null) return query
  const failed = { error, status: 'error', isError: true, isPending: false, isLoading: false, isLoadingError: true }
  return { ...query, ...failed } as UseQueryResult<Data, RealtimeError>
}

export interface List<Item> {
  /** The items of all pages that have been read, or undefined before the first one has arrived. */
  items: Item[] | undefined
  error: RealtimeError | null
  isLoading: boolean
  /** Whether there are more pages. */
  hasMore: boolean
  isLoadingMore: boolean
  loadMore: () => void
  reload: () => void
}

export type ItemOf<Body> = Body extends readonly (infer Item)[]
  ? Item
  : Body extends object
    ? ItemOfProperty<Body[keyof Body]>
    : never
type ItemOfProperty<Property> = Property extends readonly (infer Item)[] ? Item : never

interface ListOptions {
  enabled?: boolean
  refetchInterval?: number
  /** Null for lists that belong to no application. Default: the scope of the page. */
  scope?: Scope | null
}

/** Reads a list by its cursor, page by page: `useList('/api/topics', { query: { q } })`. */
export function useList<Path extends GetPath> (
  path: Path,
  params: Parameters<Path> = {},
  { scope, ...options }: ListOptions = {}
): List<ItemOf<DataOf<Path>>> {
  const pageScope = useScope()
  const used = scope === undefined ? pageScope : scope
  const queryKey = [path, scopeKey(used), params, 'pages']
  const query = useInfiniteQuery({
    queryKey,
    initialPageParam: undefined as string | undefined,
    queryFn: async ({ pageParam, signal }) => {
      const query = { ...(params.query as object | undefined), ...(pageParam !== undefined && { cursor: pageParam }) }
      const { data, headers } = await read(used, path, { ...params, query } as Parameters<Path>, signal)
      return { items: itemsOf<ItemOf<DataOf<Path>>>(data), next: headers.get('x-next-cursor') ?? undefined }
    },
    getNextPageParam: ({ next }) => next,
    placeholderData: keepPreviousData,
    ...options
  })
  const { data, error, isPending, hasNextPage, isFetchingNextPage, fetchNextPage, refetch } = query
  const items = useMemo(() => data?.pages.flatMap(page => page.items), [data])
  const failure = error ?? (isPending ? failureOf(queryKey) : null)
  return {
    items,
    error: failure,
    isLoading: isPending && failure === null,
    hasMore: hasNextPage,
    isLoadingMore: isFetchingNextPage,
    loadMore: useCallback(() => {
      void fetchNextPage()
    }, [fetchNextPage]),
    reload: useCallback(() => {
      void refetch()
    }, [refetch])
  }
}

function itemsOf<Item> (data: unknown): Item[] {
  if (Array.isArray(data)) return data as Item[]
  const list = typeof data === 'object' && data !== null ? Object.values(data).find(Array.isArray) : undefined
  return (list ?? []) as Item[]
}

/** Reads again what begins with a path, in every scope: after a write. */
export const invalidate = (...paths: string[]): Promise<void> =>
  queryClient.invalidateQueries({
    predicate: ({ queryKey: [path] }) => paths.some(start => String(path).startsWith(start))
  })
