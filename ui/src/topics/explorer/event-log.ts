import { RealtimeError, type Gap, type RealtimeEvent } from '@realtime-platform/client'

/** A row of the explorer: an event, or the place of events that are missing. */
export type Row =
  | { readonly kind: 'event'; readonly event: RealtimeEvent }
  | { readonly kind: 'gap'; readonly from: number; readonly to: number | null; readonly reason: string }

export interface Page {
  /** In the order of the request. */
  events: RealtimeEvent[]
  /** The offset after or before which the next page begins; undefined at the end of the log. */
  next: number | undefined
}

export interface PageQuery {
  order: 'asc' | 'desc'
  limit: number
  after?: number | undefined
  before?: number | undefined
  to?: number | undefined
  /** Whether the filter and the key apply. */
  isFiltered: boolean
}

export interface EventLogParts {
  read: (query: PageQuery, signal: AbortSignal) => Promise<Page>
  /** Receives the events after a position until the returned function is called. Undefined: no live events. */
  follow?: ((after: { offset: number; epoch?: string }, handlers: Handlers) => () => void) | undefined
  /** Whether a filter or a key leaves events out, so that missing offsets are no gap. */
  isFiltered: boolean
  /** Begin with the events below this offset, or at or before this time. */
  before?: number | undefined
  to?: number | undefined
}

interface Handlers {
  onEvent: (event: RealtimeEvent) => void
  onGap: (gap: Gap) => void
  onError: (error: RealtimeError) => void
}

/** The rows at one moment. `rows` is from the oldest to the newest; only the first `count` are shown. */
export interface LogSnapshot {
  readonly rows: readonly Row[]
  readonly count: number
  /** Rows above the first one that were shown and have been dropped from memory. */
  readonly above: number
  /** How many rows have been put above the shown ones by `loadNewer`, so that the list can keep its place. */
  readonly inserted: number
  /** Live events that wait until the reader is at the top again. */
  readonly pending: number
  /** Live events since the log was opened. */
  readonly received: number
  readonly hasOlder: boolean
  readonly hasNewer: boolean
  readonly isLoading: boolean
  readonly isLoadingOlder: boolean
  /** How far a filter has been evaluated while no event matched. */
  readonly searchedTo: number | undefined
  /** Whether many pages had no match, so that searching on is left to the reader. */
  readonly isSearchPaused: boolean
  readonly error: RealtimeError | null
  readonly liveError: RealtimeError | null
}

/** Rows in memory. Older or newer ones are read again when they are scrolled to. */
export const ringSize = 10_000
const pageSize = 200
/** Pages without a match that are read one after the other. A page examines up to 10,000 events. */
const emptyPagesMax = 10
/** Changes become visible together, so that the page does the same work at 10 and at 10,000 events/s. */
const flushMs = 100

/**
 * The events of a topic around the reader's place, outside of React: live ones enter at the newest end while the reader
 * follows, and wait otherwise. `open` reads the newest page first and follows from its last offset on, so nothing is
 * missed between the two.
 */
export class EventLog {
  readonly #parts: EventLogParts
  readonly #listeners = new Set<() => void>()
  #rows: Row[] = []
  #shown = 0
  #above = 0
  #inserted = 0
  #received = 0
  /** Live events that are not in `#rows`, because the ring was full. */
  #uncollected = 0
  #isDetached = false
  #isFollowing = true
  #isLoading = true
  #isReading = false
  #hasOlder = false
  #hasNewer = false
  #searchedTo: number | undefined
  #emptyPages = 0
  #error: RealtimeError | null = null
  #liveError: RealtimeError | null = null
  #opened: AbortController | undefined
  #stop: (() => void) | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #snapshot: LogSnapshot

  constructor (parts: EventLogParts) {
    this.#parts = parts
    this.#snapshot = this.#take()
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  readonly getSnapshot = (): LogSnapshot => this.#snapshot

  /** Reads the newest page and begins to follow. Until `close`. */
  open (): void {
    this.close()
    this.#rows = []
    this.#shown = this.#above = this.#uncollected = 0
    this.#isDetached = this.#isReading = false
    this.#isLoading = this.#isFollowing = true
    this.#hasOlder = this.#hasNewer = false
    this.#searchedTo = undefined
    this.#emptyPages = 0
    this.#error = this.#liveError = null
    this.#opened = new AbortController()
    this.#flush()
    void this.#start(this.#opened.signal)
  }

  close (): void {
    this.#opened?.abort()
    this.#stop?.()
    this.#stop = undefined
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Whether new rows may enter: the reader is at the top and has not paused. */
  setFollowing (isFollowing: boolean): void {
    if (this.#isFollowing === isFollowing) return
    this.#isFollowing = isFollowing
    if (isFollowing && this.#pending > 0) this.#schedule()
  }

  /** Shows what waits. If the ring could not hold it, the newest page is read again. */
  toLatest (): void {
    this.#isFollowing = true
    if (this.#isDetached || this.#above > 0) this.open()
    else this.#flush()
  }

  /** Reads the next older page. With a filter it may have no match although more follow. */
  async loadOlder (): Promise<void> {
    const signal = this.#opened?.signal
    const oldest = this.#rows.find(row => row.kind === 'event')
    const before = this.#searchedTo ?? (oldest?.kind === 'event' ? oldest.event.offset : undefined)
    if (signal === undefined || this.#isReading || !this.#hasOlder || before === undefined) return
    if (this.#emptyPages >= emptyPagesMax) this.#emptyPages = 0
    await this.#reading(signal, async () => {
      const page = await this.#parts.read({ order: 'desc', limit: pageSize, before, isFiltered: true }, signal)
      await this.#addOlder(page, signal)
    })
  }

  /** Reads the next newer page: rows that were dropped from memory, or those above the place of a seek. */
  async loadNewer (): Promise<void> {
    const signal = this.#opened?.signal
    const newest = this.#rows.findLast(row => row.kind === 'event')
    if (signal === undefined || this.#isReading || newest?.kind !== 'event') return
    if (this.#above === 0 && !this.#hasNewer) return
    const limit = this.#above > 0 ? Math.min(this.#above, pageSize) : pageSize
    await this.#reading(signal, async () => {
      const { events, next } = await this.#parts.read(
        { order: 'asc', limit, after: newest.event.offset, isFiltered: true },
        signal
      )
      if (this.#above > 0) this.#above = next === undefined ? 0 : Math.max(this.#above - events.length, 0)
      else {
        this.#inserted += events.length
        this.#hasNewer = next !== undefined
      }
      for (const event of events) this.#append({ kind: 'event', event })
      this.#shown = this.#rows.length
      if (this.#above === 0 && this.#uncollected === 0) this.#isDetached = false
      this.#dropOldest()
    })
  }

  get #pending (): number {
    return this.#rows.length - this.#shown + this.#uncollected
  }

  async #start (signal: AbortSignal): Promise<void> {
    const { read, follow, isFiltered, before, to } = this.#parts
    try {
      // Following begins after the head, not after the last match, so that the server need not search in between.
      const head =
        isFiltered && follow !== undefined
          ? (await read({ order: 'desc', limit: 1, isFiltered: false }, signal)).events[0]
          : undefined
      const page = await read(
        {
          order: 'desc',
          limit: pageSize,
          to,
          isFiltered: true,
          before: head === undefined ? before : head.offset + 1
        },
        signal
      )
      await this.#addOlder(page, signal)
      if (signal.aborted) return
      this.#hasNewer = follow === undefined && (before !== undefined || to !== undefined)
      const newest = head ?? page.events[0]
      this.#stop = follow?.(
        { offset: newest?.offset ?? 0, ...(newest && { epoch: newest.epoch }) },
        {
          onEvent: event => this.#receive(event),
          onGap: ({ from, to, reason }) => this.#receiveRow({ kind: 'gap', from, to, reason }),
          onError: error => {
            this.#liveError = error
            this.#schedule()
          }
        }
      )
    } catch (error) {
      if (signal.aborted) return
      this.#error = toError(error)
    }
    this.#isLoading = false
    this.#flush()
  }

  async #reading (signal: AbortSignal, read: () => Promise<void>): Promise<void> {
    this.#isReading = true
    this.#flush()
    try {
      await read()
      this.#error = null
    } catch (error) {
      if (!signal.aborted) this.#error = toError(error)
    }
    if (signal.aborted) return
    this.#isReading = false
    this.#flush()
  }

  async #addOlder ({ events, next }: Page, signal: AbortSignal): Promise<void> {
    const older: Row[] = []
    let above = this.#rows[0]
    for (const event of events) {
      const row: Row = { kind: 'event', event }
      const gap = this.#between(row, above)
      if (gap !== undefined) older.push(gap)
      older.push(row)
      above = row
    }
    this.#hasOlder = next !== undefined
    this.#emptyPages = events.length === 0 ? this.#emptyPages + 1 : 0
    this.#searchedTo = this.#parts.isFiltered ? next : undefined
    if (next === undefined) {
      const first = (await this.#parts.read({ order: 'asc', limit: 1, isFiltered: false }, signal)).events[0]
      if (signal.aborted) return
      if (first !== undefined && first.offset > 1) {
        older.push({ kind: 'gap', from: 1, to: first.offset - 1, reason: 'RETENTION_PASSED' })
      }
    }
    this.#rows = [...older.reverse(), ...this.#rows]
    this.#shown += older.length
    this.#dropNewest()
  }

  #receive (event: RealtimeEvent): void {
    this.#received++
    this.#receiveRow({ kind: 'event', event })
  }

  #receiveRow (row: Row): void {
    if (this.#isDetached) this.#uncollected++
    else this.#append(row)
    // A hidden tab flushes rarely.
    if (this.#rows.length > ringSize * 1.2) this.#flush()
    else this.#schedule()
  }

  #append (row: Row): void {
    const gap = row.kind === 'event' ? this.#between(this.#rows.at(-1), row) : undefined
    if (gap !== undefined) this.#rows.push(gap)
    this.#rows.push(row)
  }

  /** Returns the gap between two rows that follow one another, if offsets are missing. */
  #between (older: Row | undefined, newer: Row | undefined): Row | undefined {
    if (this.#parts.isFiltered || older?.kind !== 'event' || newer?.kind !== 'event') return undefined
    const [from, to] = [older.event.offset + 1, newer.event.offset - 1]
    if (older.event.epoch !== newer.event.epoch || from > to) return undefined
    return { kind: 'gap', from, to, reason: 'RETENTION_PASSED' }
  }

  #dropOldest (): void {
    const excess = this.#rows.length - ringSize
    if (excess <= 0) return
    this.#rows = this.#rows.slice(excess)
    this.#shown = Math.max(this.#shown - excess, 0)
    this.#hasOlder = true
    this.#searchedTo = undefined
  }

  /** Drops the rows that wait, and then those above, from which the reader has scrolled away. */
  #dropNewest (): void {
    const excess = this.#rows.length - ringSize
    if (excess <= 0) return
    const dropped = Math.max(excess, this.#rows.length - this.#shown)
    this.#uncollected += this.#rows.length - this.#shown
    this.#above += Math.max(dropped - (this.#rows.length - this.#shown), 0)
    this.#rows = this.#rows.slice(0, this.#rows.length - dropped)
    this.#shown = this.#rows.length
    this.#isDetached = true
  }

  #schedule (): void {
    this.#timer ??= setTimeout(() => this.#flush(), flushMs)
  }

  #flush (): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#isFollowing && !this.#isDetached && this.#above === 0) {
      this.#shown = this.#rows.length
      this.#dropOldest()
    } else if (this.#rows.length > ringSize) this.#dropNewest()
    this.#snapshot = this.#take()
    for (const listener of this.#listeners) listener()
  }

  #take (): LogSnapshot {
    return {
      rows: this.#rows,
      count: this.#shown,
      above: this.#above,
      inserted: this.#inserted,
      pending: this.#pending,
      received: this.#received,
      hasOlder: this.#hasOlder,
      hasNewer: this.#hasNewer,
      isLoading: this.#isLoading,
      isLoadingOlder: this.#isReading,
      searchedTo: this.#searchedTo,
      isSearchPaused: this.#emptyPages >= emptyPagesMax,
      error: this.#error,
      liveError: this.#liveError
    }
  }
}

const toError = (error: unknown): RealtimeError =>
  error instanceof RealtimeError ? error : new RealtimeError('FAILED', String(error))

/** Returns the row at an index from the top: 0 is the newest. */
export const rowAt = ({ rows, count, above }: LogSnapshot, index: number): Row | undefined =>
  rows[count - 1 - (index - above)]
