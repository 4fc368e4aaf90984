import type { LoggedEvent } from '../events/envelope.ts'
import { bytesOfEvent } from './recent-events.ts'

/** Limits for one topic, then for all topics of a node. */
const eventsMax = 5000
const bytesMax = 4 * 1024 * 1024
const allBytesMax = 32 * 1024 * 1024

/** Bytes that the early events of all topics of a node hold. */
export interface EarlyBudget { bytes: number }

/**
 * Events of one topic that arrived before their predecessors. Events beyond the limits are dropped, and later read from
 * the log.
 */
export class EarlyEvents {
  readonly #all: EarlyBudget
  readonly #events = new Map<number, LoggedEvent>()
  #bytes = 0
  #hasEnded = false

  constructor (all: EarlyBudget) {
    this.#all = all
  }

  get size () { return this.#events.size }

  keep (event: LoggedEvent): void {
    const bytes = bytesOfEvent(event)
    if (this.#hasEnded || this.#events.has(event.offset) || this.#events.size >= eventsMax) return
    if (this.#bytes + bytes > bytesMax || this.#all.bytes + bytes > allBytesMax) return
    this.#events.set(event.offset, event)
    this.#change(bytes)
  }

  /** Removes and returns the event at an offset. */
  take (offset: number): LoggedEvent | undefined {
    const event = this.#events.get(offset)
    if (event === undefined) return undefined
    this.#events.delete(offset)
    this.#change(-bytesOfEvent(event))
    return event
  }

  /** Drops the events up to and including an offset. */
  dropTo (last: number): void {
    for (const offset of this.#events.keys()) if (offset <= last) this.take(offset)
  }

  clear (): void {
    this.#events.clear()
    this.#change(-this.#bytes)
  }

  /** Drops all events and keeps no further ones. */
  end (): void {
    this.clear()
    this.#hasEnded = true
  }

  #change (bytes: number): void {
    this.#bytes += bytes
    this.#all.bytes += bytes
  }
}
