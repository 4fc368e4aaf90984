/*
 * What a row of the trace store says of the events of a run, in few bytes: a column has one value for each event, or a
 * single one when all have the same. Events are known by their place in the run.
 */

/** Values of the events of a run. */
export class Column<T> {
  #first: T | undefined
  #all: T[] | undefined
  #length = 0

  push (value: T): void {
    if (this.#length === 0) this.#first = value
    else if (this.#all !== undefined) this.#all.push(value)
    else if (value !== this.#first) this.#all = [...new Array<T>(this.#length).fill(this.#first as T), value]
    this.#length++
  }

  toJSON (): unknown { return this.#all ?? this.#first ?? null }
}

export type Stored<T> = T | T[]

/** The value of the i-th event. */
export const at = <T>(column: Stored<T>, i: number): T => Array.isArray(column) ? column[i] as T : column

/** What a node's hub and sockets did with events of a run. Times are in milliseconds since the events' timestamp. */
export interface PartDetail {
  /** Places in the run; absent: 0, 1, 2, … */
  places?: number[]
  /** How many events it speaks of. */
  count: number
  matched: Stored<number>
  filtered: Stored<number>
  /** Of those that matched, the ones given up before the event was handed on. */
  lost: Stored<number>
  routedMs: Stored<number>
  firstMs: Stored<number | null>
  lastMs: Stored<number | null>
  /** Which of `lists`. */
  list: Stored<number>
  /** Ids of subscriptions that matched, and of those that did not: the first of each. */
  lists: [string[], string[]][]
  /** Places of events of which a webhook delivery was over by then. */
  settled?: number[]
}

/** Which events of the run a part speaks of. */
export const placesOf = ({ places, count, settled = [] }: PartDetail): Set<number> =>
  new Set([...(places ?? Array.from({ length: count }, (_, i) => i)), ...settled])

/** What the writing node knows of a run. */
export interface RunDetail {
  places?: number[]
  epoch: string
  types: Stored<string>
  sources: Stored<string>
  versions: Stored<number | null>
  /** From being handed in to the events' timestamp. */
  waitedMs: Stored<number>
  checkedMs: number
  storedMs: number
  /** How many events it has: those that are traced. */
  count: number
  /** What the same node did with it, when it was in time for the row. */
  part?: PartDetail
}

/** A write that left nothing in the log. */
export interface RefusalDetail {
  source: string
  type: string
  schemaVersion: number | null
  waitedMs: number
  error: {
    error: string
    code: string
    message: string
    details?: { path: string, message: string, [more: string]: unknown }[] | undefined
  }
  /** JSON text of the payload that was refused, or its beginning. */
  payload?: string | undefined
  payloadBytes?: number | undefined
  /** Whatever else helps: which mapping, which row. */
  origin?: Record<string, unknown>
}
