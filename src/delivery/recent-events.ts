import type { LoggedEvent } from '../events/envelope.ts'

/** Events of one topic that a node keeps in memory for reconnecting clients, and their bytes. */
const eventsMax = 1000
const bytesMax = 4 * 1024 * 1024
/** Bytes for the recent events of all topics. One client may subscribe to thousands of busy ones. */
const allBytesMax = 64 * 1024 * 1024
const roomMadeBytes = 4 * 1024 * 1024
/** An event is held as parsed fields, as JSON text, and as the encoded text of two transports. */
const copies = 4
/** Estimated size of an event without its texts. */
const objectBytes = 500

export const bytesOfEvent = ({ payload, diff, meta }: LoggedEvent) =>
  objectBytes + copies * (payload.length + (diff?.length ?? 0) + (meta?.length ?? 0))

interface Share { bytes: number, readonly topics: Set<RecentEvents> }

/**
 * The memory budget for the recent events of all topics of a node. When it is exceeded, the application that holds the
 * most loses the recent events of its least recently used topics, so a busy application does not cost others theirs.
 * Lost events are read from the log.
 */
export class RecentEventsBudget {
  /** By application. A share's topics are ordered, least recently used first. */
  readonly #shares = new Map<string, Share>()
  #latest: RecentEvents | undefined
  #bytes = 0

  get bytes () { return this.#bytes }

  of (applicationId: string): number {
    return this.#shares.get(applicationId)?.bytes ?? 0
  }

  /** Marks the recent events of a topic as used and adds `bytes` to their size; negative when they shrink. */
  use (recent: RecentEvents, bytes: number): void {
    this.#bytes += bytes
    const share = this.#share(recent.applicationId)
    share.bytes += bytes
    if (this.#latest !== recent) {
      share.topics.delete(recent)
      share.topics.add(recent)
      this.#latest = recent
    }
    if (this.#bytes > allBytesMax) this.#shed(recent)
  }

  /** Removes the recent events of a topic, now empty, that held this many bytes. */
  release (recent: RecentEvents, bytes: number): void {
    this.#bytes -= bytes
    if (this.#latest === recent) this.#latest = undefined
    const share = this.#shares.get(recent.applicationId)
    if (share === undefined) return
    share.bytes -= bytes
    share.topics.delete(recent)
    if (share.topics.size === 0) this.#shares.delete(recent.applicationId)
  }

  /** Frees more than is needed, so that the next events find room. */
  #shed (used: RecentEvents): void {
    while (this.#bytes > allBytesMax - roomMadeBytes) {
      const oldest = this.#oldestOfLargest(used)
      if (oldest === undefined) return
      oldest.clear()
    }
  }

  #oldestOfLargest (but: RecentEvents): RecentEvents | undefined {
    let found: RecentEvents | undefined
    let most = 0
    for (const { bytes, topics } of this.#shares.values()) {
      if (bytes <= most) continue
      const [first, second] = topics
      const oldest = first === but ? second : first
      if (oldest !== undefined) [found, most] = [oldest, bytes]
    }
    return found
  }

  #share (applicationId: string): Share {
    let share = this.#shares.get(applicationId)
    if (share === undefined) this.#shares.set(applicationId, share = { bytes: 0, topics: new Set() })
    return share
  }
}

/** The latest events of one topic, without a gap. The budget may empty it at any time. */
export class RecentEvents {
  readonly applicationId: string
  readonly #budget: RecentEventsBudget
  #events: LoggedEvent[] = []
  #bytes = 0
  #hasEnded = false

  constructor (budget: RecentEventsBudget, applicationId: string) {
    this.#budget = budget
    this.applicationId = applicationId
  }

  /** Offset of the first event. */
  get first (): number | undefined { return this.#events[0]?.offset }

  /** Returns the events above an offset; undefined if they do not reach back that far. */
  above (after: number): LoggedEvent[] | undefined {
    const { first } = this
    if (first === undefined || first > after + 1) return undefined
    this.#budget.use(this, 0)
    return this.#events.slice(after + 1 - first)
  }

  /** Appends the next event. */
  push (event: LoggedEvent): void {
    if (this.#hasEnded) return
    this.#events.push(event)
    this.#change(bytesOfEvent(event))
    if (this.#events.length > eventsMax * 1.25 || this.#bytes > bytesMax * 1.25) this.#trim()
  }

  /** Prepends older events if they fit. */
  unshift (older: readonly LoggedEvent[]): void {
    const bytes = sum(older)
    if (this.#events.length + older.length > eventsMax || this.#bytes + bytes > bytesMax) return
    this.#events = [...older, ...this.#events]
    this.#change(bytes)
  }

  clear (): void {
    this.#budget.release(this, this.#bytes)
    this.#events = []
    this.#bytes = 0
  }

  /** Stays empty from now on, so that events still routed to a closed feed do not count against the budget. */
  end (): void {
    this.clear()
    this.#hasEnded = true
  }

  /** Trims with some slack, so that one copy serves many events. */
  #trim (): void {
    let first = Math.max(0, this.#events.length - eventsMax)
    let bytes = 0
    for (let i = this.#events.length - 1; i >= first; i--) {
      bytes += bytesOfEvent(this.#events[i] as LoggedEvent)
      if (bytes > bytesMax && i < this.#events.length - 1) first = i + 1
    }
    this.#events = this.#events.slice(first)
    this.#change(sum(this.#events) - this.#bytes)
  }

  #change (bytes: number): void {
    this.#bytes += bytes
    this.#budget.use(this, bytes)
  }
}

const sum = (events: readonly LoggedEvent[]) => events.reduce((bytes, event) => bytes + bytesOfEvent(event), 0)
