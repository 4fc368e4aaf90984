import type { LoggedEvent } from '../../events/envelope.ts'
import type { EventLog } from '../../events/log.ts'
import { scopeOf, type ListedEvent, type ReplayRow, type ReplayRows } from './replay-rows.ts'

/** A part of the events of a replay, and the position after it. */
export interface ReplayPage { events: LoggedEvent[], position: number, isOver: boolean }

export interface ReplayEventsOptions {
  log: EventLog
  rows: Pick<ReplayRows, 'listedEvents'>
}

/**
 * Reads the events of one replay from the log. A position is an offset, or for a list of events the number already
 * read.
 */
export class ReplayEvents {
  readonly #options: ReplayEventsOptions
  readonly #row: ReplayRow
  #listed: ListedEvent[] | undefined

  constructor (options: ReplayEventsOptions, row: ReplayRow) {
    this.#options = options
    this.#row = row
  }

  /** The position before the first event. */
  get start (): number {
    return this.#row.topic === null ? 0 : Math.max(0, (this.#row.from_offset ?? 0) - 1)
  }

  /** Returns the topics of the events. */
  async topics (): Promise<string[]> {
    if (this.#row.topic !== null) return [this.#row.topic]
    this.#listed ??= await this.#options.rows.listedEvents(this.#row.id)
    return [...new Set(this.#listed.map(([topic]) => topic))]
  }

  /** Reads the next events after a position and none beyond `until`. */
  async read (position: number, count: number, until = Number.MAX_SAFE_INTEGER): Promise<ReplayPage> {
    const { topic } = this.#row
    return topic === null
      ? await this.#readListed(position, count, until)
      : await this.#readSpan(topic, position, count, until)
  }

  async #readListed (position: number, count: number, until: number): Promise<ReplayPage> {
    const { log, rows } = this.#options
    this.#listed ??= await rows.listedEvents(this.#row.id)
    const listed = this.#listed.slice(position, Math.min(position + count, until))
    const events = await log.pick(scopeOf(this.#row), listed.map(([topic, offset]) => ({ topic, offset })))
    const ids = new Set(listed.map(([, , id]) => id))
    const next = position + listed.length
    return { events: events.filter(({ id }) => ids.has(id)), position: next, isOver: next >= this.#row.total }
  }

  async #readSpan (topic: string, position: number, count: number, until: number): Promise<ReplayPage> {
    const { log } = this.#options
    const row = this.#row
    const end = row.to_offset ?? 0
    const last = Math.min(end, until)
    const page = position >= last || count === 0
      ? []
      : (await log.page(scopeOf(row), topic, { after: position, limit: count })).filter(({ offset }) => offset <= last)
    const next = page.at(-1)?.offset ?? last
    const [from, to] = [row.from_time ?? 0, row.to_time ?? Number.MAX_SAFE_INTEGER]
    return {
      events: page.filter(({ timestamp }) => timestamp >= from && timestamp <= to), position: next, isOver: next >= end
    }
  }
}
