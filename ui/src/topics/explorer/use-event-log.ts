import type { RealtimeClient } from '@realtime-platform/client'
import { useEffect, useMemo, useSyncExternalStore } from 'react'
import { read, type Scope } from '../../app/api.ts'
import { useLive } from '../../app/live.ts'
import { usePageScope } from '../../app/scope.ts'
import { EventLog, type EventLogParts, type PageQuery } from './event-log.ts'
import type { EventFilter } from './filter.ts'

export interface LogPlace {
  topic: string
  filter: EventFilter | undefined
  key: string | undefined
  /** The newest offset, or the latest time in epoch milliseconds. */
  at: number | undefined
  to: number | undefined
  isLive: boolean
}

/** Opens the log of a topic, and opens another one when the place changes. */
export function useEventLog (place: LogPlace) {
  const scope = usePageScope()
  const client = useLive()
  const id = JSON.stringify(place)
  const log = useMemo(() => new EventLog(partsOf(JSON.parse(id) as LogPlace, scope, client)), [id, scope, client])
  useEffect(() => {
    log.open()
    return () => log.close()
  }, [log])
  return { log, snapshot: useSyncExternalStore(log.subscribe, log.getSnapshot) }
}

function partsOf (
  { topic, filter, key, at, to, isLive }: LogPlace,
  scope: Scope,
  client: RealtimeClient
): EventLogParts {
  async function readPage ({ isFiltered, ...page }: PageQuery, signal: AbortSignal) {
    const condition = isFiltered && { key, filter: filter && JSON.stringify(filter) }
    const { data, headers } = await read(
      scope,
      '/api/topics/{name}/events',
      { path: { name: topic }, query: { ...page, ...condition } },
      signal
    )
    const next = headers.get('x-next-cursor')
    return { events: data, next: next === null ? undefined : Number(next) }
  }
  const follow: EventLogParts['follow'] = (after, { onEvent, onGap, onError }) => {
    // A subscription filters by payload only.
    const handler: typeof onEvent =
      key === undefined
        ? onEvent
        : event => {
          if (event.key === key) onEvent(event)
        }
    const subscription = client.topic(topic).subscribe(handler, { after, filter, onGap, onError })
    return () => subscription.unsubscribe()
  }
  return {
    read: readPage,
    follow: isLive ? follow : undefined,
    isFiltered: filter !== undefined || key !== undefined,
    before: at === undefined ? undefined : at + 1,
    to
  }
}
