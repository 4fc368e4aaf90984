import { OpenPart, OpenRun } from './open-run.ts'
import type { Chunk, RunRow, TraceStore } from './trace-store.ts'

/** Memory of one rejection besides its text. */
const refusalBytes = 300
/** Rows per statement, and events with their steps: encoding them blocks the event loop for a moment. */
const rowsAtOnce = 200
const eventsAtOnce = 5000

/** A trace that is not stored yet: a run, later steps of a run, or the row of a rejection or of a loss. */
export type Unstored = OpenRun | OpenPart | RunRow

/** Rows for one statement of the store, and the memory that they free. */
export interface UnstoredChunk { rows: Chunk, events: number, steps: number, refusedBytes: number }

/** Traces that wait for the store, encoded in chunks. */
export class TraceBacklog {
  readonly #store: Pick<TraceStore, 'number'>
  readonly #waiting: Unstored[] = []
  #chunk: UnstoredChunk | undefined

  constructor (store: Pick<TraceStore, 'number'>) {
    this.#store = store
  }

  get isEmpty (): boolean { return this.#chunk === undefined && this.#waiting.length === 0 }

  /** The chunk that is being stored, or whose storing failed. */
  get chunk (): UnstoredChunk | undefined { return this.#chunk }

  push (items: readonly Unstored[]): void {
    // One by one: a spread call could exceed the limit of arguments.
    for (const item of items) this.#waiting.push(item)
  }

  /**
   * Returns the chunk to store: the one that failed, or the next. Encodes chunks one at a time, so that many of them do
   * not block the event loop.
   */
  next (): UnstoredChunk | undefined {
    if (this.#chunk === undefined && this.#waiting.length > 0) {
      const items = this.#waiting.splice(0, this.#countAtOnce())
      const runs = items.flatMap(item =>
        item instanceof OpenPart ? [] : [item instanceof OpenRun ? item.toRow() : item]
      )
      const parts = items.flatMap(item => item instanceof OpenPart ? [item.toRow()] : [])
      this.#chunk = {
        rows: this.#store.number(runs, parts),
        events: sumOf(items, eventsOf),
        steps: sumOf(items, stepsOf),
        refusedBytes: sumOf(items, refusedBytesOf)
      }
    }
    return this.#chunk
  }

  /** Call when the chunk is stored or given up. */
  settle (): void {
    this.#chunk = undefined
  }

  #countAtOnce (): number {
    let count = 0
    for (let size = 0; count < rowsAtOnce && size < eventsAtOnce && count < this.#waiting.length; count++) {
      size += eventsOf(this.#waiting[count] as Unstored) + stepsOf(this.#waiting[count] as Unstored)
    }
    return count
  }
}

/** The memory that a rejection with this detail takes while it waits. */
export const rejectionBytes = (detail: string): number => detail.length + refusalBytes

const eventsOf = (item: Unstored): number => item instanceof OpenRun ? item.size : 0
const refusedBytesOf = (item: Unstored): number =>
  item instanceof OpenRun || item instanceof OpenPart || item.outcome === 'dropped'
    ? 0
    : rejectionBytes(item.detail)
const stepsOf = (item: Unstored): number =>
  item instanceof OpenRun ? item.part.size : item instanceof OpenPart ? item.size : 0
const sumOf = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((sum, item) => sum + of(item), 0)
