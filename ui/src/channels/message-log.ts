/** Messages that are kept. Older ones are dropped. */
export const keptMax = 10_000
/** The listeners are called at most this often. */
const tellMs = 100

export interface SeenMessage {
  /** Counts the messages of this page. */
  number: number
  event: string
  data: unknown
  from: { socketId: string | null; userId: string }
  timestamp: number
}

export interface MessageSnapshot {
  /** The newest first. */
  shown: readonly SeenMessage[]
  /** How many have arrived since the view was held. */
  waiting: number
  total: number
}

/**
 * The messages that a channel has received while it was watched, at most 10,000. While it is held, new messages are
 * kept and counted, but the shown ones do not change.
 */
export class MessageLog {
  #kept: SeenMessage[] = []
  #total = 0
  #isHeld = false
  #snapshot: MessageSnapshot = { shown: [], waiting: 0, total: 0 }
  #timer: ReturnType<typeof setTimeout> | undefined
  readonly #listeners = new Set<() => void>()

  add (message: Omit<SeenMessage, 'number'>): void {
    this.#kept.push({ ...message, number: ++this.#total })
    // Cut in blocks, because each cut moves all of them.
    if (this.#kept.length > keptMax * 1.1) this.#kept = this.#kept.slice(-keptMax)
    this.#timer ??= setTimeout(() => this.#tell(), tellMs)
  }

  hold (isHeld: boolean): void {
    if (isHeld === this.#isHeld) return
    this.#isHeld = isHeld
    this.#tell()
  }

  clear (): void {
    this.#kept = []
    this.#snapshot = { ...this.#snapshot, shown: [], waiting: 0 }
    this.#tell()
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  readonly getSnapshot = (): MessageSnapshot => this.#snapshot

  #tell (): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const { shown } = this.#snapshot
    const last = shown[0]?.number ?? 0
    this.#snapshot = this.#isHeld
      ? { shown, waiting: this.#total - last, total: this.#total }
      : { shown: this.#kept.slice(-keptMax).reverse(), waiting: 0, total: this.#total }
    for (const listener of this.#listeners) listener()
  }
}
