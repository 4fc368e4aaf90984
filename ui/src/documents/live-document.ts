import type { DocumentSnapshot, LiveDocument } from '@realtime-platform/client'
import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from 'react'
import { useLive } from '../app/live.ts'
import { useMe } from '../app/me.ts'
import type { Data } from './data.ts'

/** Returns a document that is kept current while the page shows it. */
export function useLiveDocument (
  service: string,
  id: string
): { document: LiveDocument<Data>; snapshot: DocumentSnapshot<Data> } {
  const live = useLive()
  const document = useMemo(() => live.document<Data>(service, id), [live, service, id])
  const snapshot = useSyncExternalStore(
    useCallback(listener => document.subscribe(listener), [document]),
    () => document.getSnapshot()
  )
  return { document, snapshot }
}

export interface Viewer {
  socketId: string
  userId: string
  joinedAt: number
  state: unknown
}

/** The state that the console sets for its member of a document's channel. */
export interface ViewerState {
  name: string
  isEditing: boolean
}

/**
 * Joins the channel of a document, so that others see who views it, and returns its members. Undefined until the server
 * has answered, and without permission.
 */
export function useViewers (
  service: string,
  id: string,
  isEditing: boolean
): { viewers: readonly Viewer[] | undefined; ownSocketId: string | undefined } {
  const live = useLive()
  const me = useMe()
  const name = me?.user?.name ?? me?.subject ?? ''
  const channel = useMemo(() => live.channel<ViewerState>(`doc:${service}:${id}`), [live, service, id])
  const [isRefused, setRefused] = useState(false)
  const snapshot = useSyncExternalStore(
    useCallback(listener => channel.subscribe(listener), [channel]),
    () => channel.getSnapshot()
  )
  useEffect(() => {
    if (name === '') return
    const controller = new AbortController()
    channel.join({ name, isEditing }, { signal: controller.signal }).catch(() => {
      if (!controller.signal.aborted) setRefused(true)
    })
    return () => controller.abort()
  }, [channel, name, isEditing])
  const isKnown = !isRefused && snapshot.members.length > 0
  return { viewers: isKnown ? snapshot.members : undefined, ownSocketId: snapshot.self?.socketId }
}
