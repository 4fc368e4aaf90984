import type { RealtimeError } from '@realtime-platform/client'
import { QueryCache, QueryClient, type QueryKey } from '@tanstack/react-query'

const failures = new WeakMap<object, RealtimeError>()

export const queryClient = new QueryClient({
  queryCache: new QueryCache({
    onError: (error, query) => failures.set(query, error),
    onSuccess: (_data, query) => failures.delete(query)
  }),
  defaultOptions: {
    queries: {
      staleTime: 5000,
      // The client of the REST API repeats what may be repeated.
      retry: false,
      refetchOnWindowFocus: true
    },
    mutations: { retry: false }
  }
})

/**
 * Returns why a query has no data. The query itself forgets it whenever it is read again, so what is shown instead, a
 * form for example, would be replaced by a skeleton for a moment, and what was typed would be lost.
 */
export function failureOf (queryKey: QueryKey): RealtimeError | null {
  const query = queryClient.getQueryCache().find({ queryKey, exact: true })
  return query === undefined ? null : failures.get(query) ?? null
}

declare module '@tanstack/react-query' {
  interface Register {
    defaultError: RealtimeError
  }
}
