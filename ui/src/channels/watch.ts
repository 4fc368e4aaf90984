import type { ChannelSnapshot, RealtimeError } from '@realtime-platform/client'
import { createContext, useCallback, useContext, useEffect, useMemo, useState, useSyncExternalStore } from 'react'
import { useLive } from '../app/live.ts'
import { MessageLog } from './message-log.ts'

/**
 * How messages are received: `join` makes this page a member that others see. `log` subscribes to `socket.message`,
 * which the platform stores while it has a listener.
 */
export type WatchMode = 'join' | 'log'

export interface Watch {
  name: string
  mode: WatchMode | undefined
  setMode: (mode: WatchMode | undefined) => void
  messages: MessageLog
  /** The membership of this page, which is `left` unless the mode is `join`. */
  membership: ChannelSnapshot
  error: RealtimeError | undefined
}

const WatchContext = createContext<Watch | null>(null)
export const WatchProvider = WatchContext.Provider

export function useWatch (): Watch {
  const watch = useContext(WatchContext)
  if (watch === null) throw new Error('There is no channel here')
  return watch
}

/**
 * Watches a channel in the mode that the reader chooses. Nothing is joined or subscribed to before. A component that
 * uses it is keyed by the channel.
 */
export function useWatchOf (name: string): Watch {
  const live = useLive()
  const channel = useMemo(() => live.channel(name), [live, name])
  const [messages] = useState(() => new MessageLog())
  const [mode, setMode] = useState<WatchMode | undefined>()
  const [error, setError] = useState<RealtimeError | undefined>()
  const membership = useSyncExternalStore(
    useCallback(listener => channel.subscribe(listener), [channel]),
    () => channel.getSnapshot()
  )
  useEffect(() => {
    setError(undefined)
    if (mode === undefined) return
    if (mode === 'log') {
      const subscription = live.topic('socket.message').subscribe(
        ({ payload, timestamp }) => {
          const { event, data, from } = payload as { event: string; data: unknown; from: MessageSender }
          messages.add({ event, data, from, timestamp })
        },
        { filter: { channel: name }, onError: setError }
      )
      return () => subscription.unsubscribe()
    }
    const left = new AbortController()
    const off = channel.on('*', ({ event, data, from, timestamp }) => messages.add({ event, data, from, timestamp }))
    channel.join(undefined, { signal: left.signal }).catch((reason: RealtimeError) => {
      if (!left.signal.aborted) setError(reason)
    })
    return () => {
      off()
      left.abort()
    }
  }, [mode, live, channel, messages, name])
  return { name, mode, setMode, messages, membership, error }
}

interface MessageSender {
  socketId: string | null
  userId: string
}
