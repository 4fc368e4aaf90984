import type { LoggedEvent } from '../events/envelope.ts'

/** Events of a topic that a node keeps in memory for reconnecting clients, and the bytes that they may hold. */
const eventsMax = 1000
const bytesMax = 4 * 1024 * 1024
/** What the tails of all topics may hold: one client may listen to thousands of busy ones. */
const allBytesMax = 64 * 1024 * 1024
const roomMadeBytes = 4 * 1024 * 1024
/** An event is there as its parts, as JSON text, and as what two transports made of that. */
const copies = 4
/** What it holds beside its texts. */
const objectBytes = 500

export const bytesOfEvent = ({ payload, diff, meta }: LoggedEvent) =>
  objectBytes + copies * (payload.length + (diff?.length ?? 0) + (meta?.length ?? 0))

interface Share { bytes: number, readonly tails: Set<Tail> }

/**
 * What all tails of a node hold. When it is too much, the application that holds the most loses those that it has not
 * used for longest, so a busy application does not cost others their tails. The log has it all.
 */
export class TailBudget {
  /** By application; its tails, least recently used first. */
  readonly #shares = new Map<string, Share>()
  #latest: Tail | undefined
  #bytes = 0

  get bytes () { return this.#bytes }

  of (applicationId: string): number {
    return this.#shares.get(applicationId)?.bytes ?? 0
  }

  /** A tail is used, and holds so many bytes more or less. */
  use (tail: Tail, bytes: number): void {
    this.#bytes += bytes
    const share = this.#share(tail.applicationId)
    share.bytes += bytes
    if (this.#latest !== tail) {
      share.tails.delete(tail)
      share.tails.add(tail)
      this.#latest = tail
    }
    if (this.#bytes > allBytesMax) this.#shed(tail)
  }

  /** A tail that held so many bytes is empty. */
  release (tail: Tail, bytes: number): void {
    this.#bytes -= bytes
    if (this.#latest === tail) this.#latest = undefined
    const share = this.#shares.get(tail.applicationId)
    if (share === undefined) return
    share.bytes -= bytes
    share.tails.delete(tail)
    if (share.tails.size === 0) this.#shares.delete(tail.applicationId)
  }

  /** Makes some room at once, so that the next events find it. */
  #shed (used: Tail): void {
    while (this.#bytes > allBytesMax - roomMadeBytes) {
      const oldest = this.#oldestOfLargest(used)
      if (oldest === undefined) return
      oldest.clear()
    }
  }

  #oldestOfLargest (but: Tail): Tail | undefined {
    let found: Tail | undefined
    let most = 0
    for (const { bytes, tails } of this.#shares.values()) {
      if (bytes <= most) continue
      const [first, second] = tails
      const oldest = first === but ? second : first
      if (oldest !== undefined) [found, most] = [oldest, bytes]
    }
    return found
  }

  #share (applicationId: string): Share {
    let share = this.#shares.get(applicationId)
    if (share === undefined) this.#shares.set(applicationId, share = { bytes: 0, tails: new Set() })
    return share
  }
}

/** The last events of one topic, without a gap; none at any time when the budget is exceeded. */
export class Tail {
  readonly applicationId: string
  readonly #budget: TailBudget
  #events: LoggedEvent[] = []
  #bytes = 0
  #hasEnded = false

  constructor (budget: TailBudget, applicationId: string) {
    this.#budget = budget
    this.applicationId = applicationId
  }

  /** The offset of the first of them. */
  get first (): number | undefined { return this.#events[0]?.offset }

  /** Those above an offset; undefined when it does not reach back so far. */
  above (after: number): LoggedEvent[] | undefined {
    const { first } = this
    if (first === undefined || first > after + 1) return undefined
    this.#budget.use(this, 0)
    return this.#events.slice(after + 1 - first)
  }

  /** The next event. */
  push (event: LoggedEvent): void {
    if (this.#hasEnded) return
    this.#events.push(event)
    this.#change(bytesOfEvent(event))
    if (this.#events.length > eventsMax * 1.25 || this.#bytes > bytesMax * 1.25) this.#trim()
  }

  /** Takes in what was before it, if it fits. */
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

  /** It takes in nothing more: what is left to route to a closed feed is not to be kept by the budget. */
  end (): void {
    this.clear()
    this.#hasEnded = true
  }

  /** With some slack, so that the copy is paid once in many events. */
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
