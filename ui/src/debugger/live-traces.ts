import { useEffect, useRef, useState } from 'react'
import type { Scope } from '../app/api.ts'
import { followTraces } from './trace-stream.ts'
import type { TraceSummary } from './words.ts'

/** Traces that are kept from the stream. Older ones are on the pages of the list. */
const ringSize = 10_000
const drawnEveryMs = 250

export interface LiveTraces {
  /** New traces, newest first. */
  rows: readonly TraceSummary[]
  /** The latest state of traces that the list has shown already. */
  updates: ReadonlyMap<string, TraceSummary>
  /** How many new traces wait while the list is paused or scrolled. */
  waiting: number
  /** How many traces the server dropped because it could not keep up. */
  dropped: number
  state: 'connecting' | 'live' | 'reconnecting'
  since: number
}

const nothing: LiveTraces = {
  rows: [],
  updates: new Map(),
  waiting: 0,
  dropped: 0,
  state: 'connecting',
  since: Date.now()
}

/**
 * Follows the stream of traces. While `isHeld`, new traces wait and only rows that are shown change. `known` holds the
 * ids of the listed traces.
 */
export function useLiveTraces (
  scope: Scope,
  query: Record<string, string | undefined>,
  { isEnabled, isHeld, known }: { isEnabled: boolean; isHeld: boolean; known: ReadonlySet<string> }
): LiveTraces {
  const [shown, setShown] = useState<LiveTraces>(nothing)
  const buffer = useRef(new Map<string, TraceSummary>())
  const current = useRef({ isHeld, known })
  current.current = { isHeld, known }
  const key = JSON.stringify([scope, query])
  useEffect(() => {
    buffer.current.clear()
    setShown({ ...nothing, since: Date.now() })
    if (!isEnabled) return
    const controller = new AbortController()
    void followTraces({
      scope,
      query,
      signal: controller.signal,
      onState: state => setShown(last => (last.state === state ? last : { ...last, state, since: Date.now() })),
      onMessage: message => {
        if (message.kind === 'trace') buffer.current.set(message.trace.eventId, message.trace)
        if (message.kind === 'dropped') {
          setShown(last => ({ ...last, dropped: last.dropped + message.events }))
        }
      }
    })
    const timer = setInterval(() => {
      if (buffer.current.size > 0) setShown(last => merged(last, buffer.current, current.current))
    }, drawnEveryMs)
    return () => {
      clearInterval(timer)
      controller.abort()
    }
    // `key` stands for the scope and the query.
  }, [key, isEnabled])
  return shown
}

/** Takes over what may be shown now, and leaves the rest in the buffer. */
export function merged (
  last: LiveTraces,
  buffer: Map<string, TraceSummary>,
  { isHeld, known }: { isHeld: boolean; known: ReadonlySet<string> }
): LiveTraces {
  const places = new Map(last.rows.map(({ eventId }, i) => [eventId, i]))
  const rows = [...last.rows]
  const updates = new Map(last.updates)
  const fresh: TraceSummary[] = []
  let waiting = 0
  for (const [id, trace] of [...buffer]) {
    const place = places.get(id)
    if (place !== undefined) rows[place] = trace
    else if (known.has(id)) updates.set(id, trace)
    else if (isHeld) {
      waiting++
      continue
    } else fresh.push(trace)
    buffer.delete(id)
  }
  for (const id of [...buffer.keys()].slice(0, Math.max(buffer.size - ringSize, 0))) buffer.delete(id)
  fresh.sort((a, b) => b.timestamp - a.timestamp || (b.offset ?? 0) - (a.offset ?? 0))
  return { ...last, rows: [...fresh, ...rows].slice(0, ringSize), updates, waiting }
}
