import { useEffect, useMemo, useState } from 'react'
import type { RealtimeEvent } from '@realtime-platform/client'
import { read, type DataOf, type Scope } from '../../app/api.ts'
import { Observed, useObserved } from '../../app/observed.ts'
import { useScope } from '../../app/scope.ts'

export type TraceSummary = DataOf<'/api/debugger/traces'>[number]
export type Statuses = ReadonlyMap<string, TraceSummary | null>

const kept = 2000
const settleMs = 300
/** Pages of traces that are read for the rows in sight. */
const pagesMax = 5
/** Traces are stored half a second after the event, and deliveries follow. */
const youngMs = 10_000

/** The trace summaries of events by id: null if there is none. They are read for rows that have stayed in sight. */
class StatusStore {
  readonly statuses = new Observed<Statuses>(new Map())
  readonly #scope: Scope
  readonly #topic: string

  constructor (scope: Scope, topic: string) {
    this.#scope = scope
    this.#topic = topic
  }

  /** Asks once for all events of a range whose status is not known, or may still change. */
  async ask (events: readonly RealtimeEvent[], signal: AbortSignal): Promise<void> {
    const open = events.filter(event => this.#isOpen(event))
    if (open.length === 0) return
    const times = open.map(({ timestamp }) => timestamp)
    const query = { topic: this.#topic, from: Math.min(...times), to: Math.max(...times), limit: 100 }
    const found = new Map<string, TraceSummary>()
    let cursor: string | undefined
    // Events of a batch have the same time, so a range may hold more than those in sight.
    for (let page = 0; page < pagesMax && (page === 0 || cursor !== undefined); page++) {
      const { data, headers } = await read(
        this.#scope,
        '/api/debugger/traces',
        { query: { ...query, ...(cursor !== undefined && { cursor }) } },
        signal
      )
      for (const trace of data) found.set(trace.eventId, trace)
      cursor = headers.get('x-next-cursor') ?? undefined
      if (open.every(({ id }) => found.has(id))) break
    }
    const next = new Map([...this.statuses.value].slice(-kept))
    for (const { id } of open) {
      const trace = found.get(id)
      // Without the last page, a trace may still exist.
      if (trace !== undefined || cursor === undefined) next.set(id, trace ?? null)
    }
    this.statuses.set(next)
  }

  #isOpen ({ id, timestamp }: RealtimeEvent): boolean {
    const known = this.statuses.value.get(id)
    return known === undefined || known?.status === 'pending' || Date.now() - timestamp < youngMs
  }
}

/** Returns the statuses of the events in sight. They are asked for when the list rests. */
export function useStatuses (topic: string, visible: readonly RealtimeEvent[], isEnabled: boolean): Statuses {
  const scope = useScope()
  const store = useMemo(
    () => new StatusStore(scope ?? { applicationId: '', environment: 'development' }, topic),
    [scope, topic]
  )
  const [round, setRound] = useState(0)
  const first = visible[0]?.id
  const last = visible.at(-1)?.id
  useEffect(() => {
    if (!isEnabled || visible.length === 0) return
    const abort = new AbortController()
    const timer = setTimeout(() => {
      store.ask(visible, abort.signal).catch(() => {})
    }, settleMs)
    const again = setTimeout(() => setRound(round => round + 1), 3000)
    return () => {
      abort.abort()
      clearTimeout(timer)
      clearTimeout(again)
    }
    // The first and the last one stand for all visible events.
  }, [store, isEnabled, first, last, round])
  return useObserved(store.statuses)
}
