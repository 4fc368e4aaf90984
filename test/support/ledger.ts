import type { Gap, Positions, RealtimeEvent } from '@realtime-platform/client'

/* Runs in Node and in pages, so it imports types only. */

/** The record of one handler: its place in each topic, and every violation of the promise. */
export interface LedgerState {
  /** False until the subscription has begun. */
  hasBegun: boolean
  places: Record<string, { offset: number, epoch?: string }>
  gaps: Gap[]
  faults: string[]
  events: number
}

export interface LedgerOptions {
  /** The handler's filter lets every n-th offset through. Default: all. */
  every?: number
  /** The state before a reload of the page. */
  state?: LedgerState | undefined
  /** Keeps the state. Called with each change. */
  save?: (state: LedgerState) => void
}

/**
 * Checks that a handler gets every offset of its topics once, in order, or one gap that names the missing ones. The
 * payloads are `{ n }`, and n is the offset if the publisher stored each event once, in order.
 */
export class Ledger {
  readonly state: LedgerState
  readonly #every: number
  readonly #save: (state: LedgerState) => void

  constructor ({ every = 1, state, save = () => {} }: LedgerOptions = {}) {
    this.#every = every
    this.state = state ?? { hasBegun: false, places: {}, gaps: [], faults: [], events: 0 }
    this.#save = save
  }

  /** Records where the subscription begins. Without effect for one that resumes after a reload. */
  begin (positions: Positions): void {
    if (this.state.hasBegun) return
    this.state.hasBegun = true
    this.state.places = { ...positions }
    this.#save(this.state)
  }

  event ({ topic, offset, epoch, payload }: RealtimeEvent): void {
    // A topic that is not among the first positions was created later: its log begins with 1.
    const last = this.state.places[topic] ?? { offset: 0 }
    const expected = this.#next(last.offset)
    if (last.epoch !== undefined && last.epoch !== epoch) this.fault(`${topic}: epoch ${epoch} after ${last.epoch}`)
    else if (offset !== expected) this.fault(`${topic}: offset ${offset} instead of ${expected}`)
    const { n } = payload as { n: number }
    if (n !== offset) this.fault(`${topic}: payload ${n} at offset ${offset}`)
    this.state.places[topic] = { offset, epoch }
    this.state.events++
    this.#save(this.state)
  }

  gap (gap: Gap): void {
    const { topic, from, to, epoch } = gap
    const last = this.state.places[topic]?.offset ?? 0
    // A filter leaves offsets out before a gap.
    if (from <= last || from > this.#next(last)) this.fault(`${topic}: gap from ${from} after ${last}`)
    this.state.gaps.push(gap)
    if (to !== null) this.state.places[topic] = { offset: to, ...(epoch !== undefined && { epoch }) }
    this.#save(this.state)
  }

  fault (fault: string): void {
    if (this.state.faults.length < 20) this.state.faults.push(fault)
    this.#save(this.state)
  }

  /** Returns the first offset after this one that the filter lets through. */
  #next (offset: number): number {
    return (Math.floor(offset / this.#every) + 1) * this.#every
  }
}
