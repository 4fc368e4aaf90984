import type { RealtimeError } from '@realtime-platform/client'
import { unwrap, type AdminClient } from '@realtime-platform/client/admin'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { apiFor, scopeKey } from '../app/api.ts'
import { usePageScope } from '../app/scope.ts'

/** Returns the value once it has not changed for a while. */
export function useSettled<Value> (value: Value, delayMs = 300): Value {
  const [settled, setSettled] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), delayMs)
    return () => clearTimeout(timer)
  }, [value, delayMs])
  return settled
}

interface Answer {
  data?: unknown
  error?: unknown
  response: Response
}

export interface DryRun<Data> {
  /** The latest answer. While the next one is awaited, it belongs to an earlier input. */
  data: Data | undefined
  error: RealtimeError | null
  /** Whether the answer belongs to an earlier input. */
  isStale: boolean
}

/**
 * Asks the server about an input while it is typed: 300 ms after the last change. A request that is no longer needed is
 * aborted. Each answer is stored with its input, so one that arrives late is never taken for that of another input.
 * `input` undefined asks nothing.
 */
export function useDryRun<Input, Result extends Answer> (
  name: string,
  input: Input | undefined,
  call: (api: AdminClient, input: Input, signal: AbortSignal) => Promise<Result>
): DryRun<NonNullable<Result['data']>> {
  const scope = usePageScope()
  const text = JSON.stringify(input)
  const settled = useSettled(text)
  const query = useQuery({
    queryKey: ['dry run', name, scopeKey(scope), settled],
    queryFn: async ({ signal }) => {
      const body = JSON.parse(settled ?? '') as Input
      return (await unwrap(call(apiFor(scope), body, signal))) as NonNullable<Result['data']>
    },
    enabled: settled !== undefined,
    placeholderData: keepPreviousData,
    staleTime: 0,
    gcTime: 10_000,
    refetchOnWindowFocus: false
  })
  return {
    data: text === undefined ? undefined : query.data,
    error: query.error,
    isStale: text !== settled || query.isPlaceholderData || query.isPending
  }
}
