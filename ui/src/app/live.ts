import { RealtimeClient, type ConnectionState } from '@realtime-platform/client'
import { createContext, useContext, useEffect, useState, useSyncExternalStore } from 'react'
import type { Scope } from './api.ts'
import { meQuery } from './me.ts'
import { useObserved } from './observed.ts'
import { queryClient } from './query-client.ts'
import { session } from './session.ts'

/* One connection of the client library for the scope of the page. */

const LiveContext = createContext<RealtimeClient | null>(null)
export const LiveProvider = LiveContext.Provider

/** Returns the connection of the scope. */
export function useLive (): RealtimeClient {
  const client = useContext(LiveContext)
  if (client === null) throw new Error('There is no connection outside of an application')
  return client
}

export const useOptionalLive = (): RealtimeClient | null => useContext(LiveContext)

/** Opens the connection of a scope and closes it when the scope or the session changes. */
export function useScopeConnection (scope: Scope | null): RealtimeClient | null {
  const token = useObserved(session)
  const [client, setClient] = useState<RealtimeClient | null>(null)
  const { applicationId, environment } = scope ?? {}
  useEffect(() => {
    if (token === null || applicationId === undefined || environment === undefined) return
    const opened = new RealtimeClient({
      url: location.origin,
      token,
      applicationId,
      environment,
      reconnectionDelay: 500,
      reconnectionDelayMax: 5000
    })
    // Errors of subscriptions are shown where they belong; those of the connection are shown by its state.
    opened.on('error', () => {})
    followState(opened)
    setClient(opened)
    return () => {
      setClient(null)
      opened.disconnect()
    }
  }, [token, applicationId, environment])
  return client
}

/** Reads everything again after an interruption, and checks whether a refusal means that the session has ended. */
function followState (client: RealtimeClient): void {
  let wasInterrupted = false
  client.on('connection', ({ state, error }) => {
    if (state === 'reconnecting') wasInterrupted = true
    if (state === 'connected' && wasInterrupted) {
      wasInterrupted = false
      void queryClient.invalidateQueries()
    }
    // The client of the REST API closes a session that has ended.
    if (state === 'disconnected' && error !== undefined) {
      void queryClient.invalidateQueries({ queryKey: meQuery.queryKey })
    }
  })
}

export interface LiveState {
  state: ConnectionState
  /** When the state began, in epoch milliseconds. */
  since: number
}

const none = () => () => {}
const sinceOf = new WeakMap<RealtimeClient, LiveState>()

/** Returns the state of the connection, and since when it lasts. */
export function useLiveState (client: RealtimeClient | null): LiveState | null {
  return useSyncExternalStore(client === null ? none : listener => client.on('connection', listener), () =>
    client === null ? null : stateOf(client)
  )
}

function stateOf (client: RealtimeClient): LiveState {
  const known = sinceOf.get(client)
  if (known?.state === client.state) return known
  const current = { state: client.state, since: Date.now() }
  sinceOf.set(client, current)
  return current
}
