import { useInfiniteQuery } from '@tanstack/react-query'
import { useEffect, useMemo } from 'react'
import { read, scopeKey, type DataOf } from '../app/api.ts'
import type { ItemOf } from '../app/queries.ts'
import { usePageScope } from '../app/scope.ts'
import { changedPaths, isObject, type Data } from './data.ts'

type Event = ItemOf<DataOf<'/api/topics/{name}/events'>>

const kinds = ['created', 'updated', 'deleted'] as const
type Kind = (typeof kinds)[number]

export interface Revision {
  revision: number
  kind: Kind
  at: number
  data: Data
  /** The data of the revision before, if the log still has it. */
  before: Data | undefined
  /** JSON Pointers of the parts that changed. */
  changed: readonly string[]
  /** Why it was deleted: by a request, or because it expired. */
  reason: string | undefined
}

/** Where each topic is read on. Null: read to its end. */
type Places = Record<Kind, number | null | undefined>

/** The revisions of a document that the log keeps, with the latest first. They are events of three topics. */
export function useHistory (service: string, id: string, latest: number | undefined) {
  const scope = usePageScope()
  const query = useInfiniteQuery({
    queryKey: ['history', scopeKey(scope), service, id],
    initialPageParam: { created: undefined, updated: undefined, deleted: undefined } as Places,
    queryFn: async ({ pageParam, signal }) => {
      const pages = await Promise.all(
        kinds.map(async kind => {
          const before = pageParam[kind]
          if (before === null) return { kind, events: [], next: null }
          const path = { name: `sync.${service}.${kind}` }
          const query = { key: id, order: 'desc' as const, limit: 50, ...(before !== undefined && { before }) }
          const { data, headers } = await read(scope, '/api/topics/{name}/events', { path, query }, signal)
          const next = headers.get('x-next-cursor')
          return { kind, events: data, next: next === null ? null : Number(next) }
        })
      )
      const next = Object.fromEntries(pages.map(({ kind, next }) => [kind, next])) as Places
      return { events: pages.flatMap(({ kind, events }) => events.map(event => ({ kind, event }))), next }
    },
    getNextPageParam: ({ next }) => (kinds.some(kind => next[kind] !== null) ? next : undefined)
  })
  const { data, hasNextPage, isFetchingNextPage, fetchNextPage, refetch } = query
  const revisions = useMemo(() => {
    if (data === undefined) return undefined
    const events = data.pages.flatMap(({ events }) => events)
    const unread = kinds.filter(kind => data.pages.at(-1)?.next[kind] !== null)
    // Below the oldest event of a topic that is not read to its end, revisions may be missing.
    const oldest = Math.max(
      0,
      ...unread.map(kind =>
        Math.min(Infinity, ...events.filter(one => one.kind === kind).map(({ event }) => revisionOf(event)))
      )
    )
    return toRevisions(events.filter(({ event }) => revisionOf(event) >= oldest))
  }, [data])
  useEffect(() => {
    if (latest !== undefined) void refetch()
  }, [latest, refetch])
  const isEmpty = revisions?.length === 0
  useEffect(() => {
    // The key is rare in the log: a request examines a part of it only.
    if (isEmpty && hasNextPage && !isFetchingNextPage) void fetchNextPage()
  }, [isEmpty, hasNextPage, isFetchingNextPage, fetchNextPage])
  return {
    revisions: isEmpty === true && hasNextPage ? undefined : revisions,
    error: query.error,
    reload: () => {
      void refetch()
    },
    hasMore: hasNextPage,
    isLoadingMore: isFetchingNextPage,
    loadMore: () => {
      void fetchNextPage()
    }
  }
}

const payloadOf = ({ payload }: Event): Data => (isObject(payload) ? payload : {})
const revisionOf = (event: Event): number => Number(payloadOf(event)['revision'])

function toRevisions (events: readonly { kind: Kind; event: Event }[]): Revision[] {
  const sorted = events.toSorted((a, b) => revisionOf(b.event) - revisionOf(a.event))
  return sorted.map(({ kind, event }, i) => {
    const { data, reason } = payloadOf(event)
    const revision = revisionOf(event)
    const earlier = sorted[i + 1]
    const isNext = earlier !== undefined && revisionOf(earlier.event) === revision - 1
    const before = isNext ? payloadOf(earlier.event)['data'] : undefined
    const current = isObject(data) ? data : {}
    return {
      revision,
      kind,
      at: event.timestamp,
      data: current,
      before: isObject(before) && earlier?.kind !== 'deleted' ? before : undefined,
      changed: kind === 'updated' && isObject(before) ? changedPaths(before, current) : [],
      reason: typeof reason === 'string' ? reason : undefined
    }
  })
}
