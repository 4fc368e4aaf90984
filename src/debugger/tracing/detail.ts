/*
 * The compact form in which a row of the trace store describes the events of a run. A column has one value for each
 * event, or a single one when all are equal. Events are identified by their place in the run.
 */

/** The values of one property for the events of a run. */
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

  /** Returns one value if all events have the same. */
  toStored (): Stored<T> { return this.#length === 0 ? [] : this.#all ?? this.#first as T }
}

export type Stored<T> = T | T[]

/** Returns the value of the i-th event. */
export const at = <T>(column: Stored<T>, i: number): T => Array.isArray(column) ? column[i] as T : column

/**
 * How a node's hub and sockets handled events of a run. Times are in milliseconds since the events' timestamp,
 * and negative if that is ahead of the node's clock.
 */
export interface PartDetail {
  /** Places in the run; absent for 0, 1, 2, … */
  places?: number[]
  /** How many events the part describes. */
  count: number
  matched: Stored<number>
  filtered: Stored<number>
  /** The matching subscriptions that were given up before the event was sent to their socket. */
  lost: Stored<number>
  routedMs: Stored<number>
  firstMs: Stored<number | null>
  lastMs: Stored<number | null>
  /** Index into `lists`. */
  list: Stored<number>
  /** IDs of subscriptions that matched, and of those that did not: the first of each. */
  lists: [string[], string[]][]
  /** Places of events that had a webhook delivery settle. */
  settled?: number[]
}

/** Returns the places in the run that a part describes. */
export const placesOf = ({ places, count, settled = [] }: PartDetail): Set<number> =>
  new Set([...(places ?? Array.from({ length: count }, (_, i) => i)), ...settled])

/** The details of a run that the writing node records. */
export interface RunDetail {
  places?: number[]
  epoch: string
  types: Stored<string>
  sources: Stored<string>
  versions: Stored<number | null>
  /** From submission to the start of the batch. The next two are in milliseconds since that start. */
  waitedMs: Stored<number>
  checkedMs: number
  storedMs: number
  /** How far the events' timestamp is ahead of the start of the batch; absent for 0. */
  aheadMs?: number
  /** How many events of the run are traced. */
  count: number
  /** The same node's part, if it was complete in time for the row. */
  part?: PartDetail
}

/** A write that stored no event. */
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
  /** JSON text of the rejected payload, or its beginning. */
  payload?: string | undefined
  payloadBytes?: number | undefined
  /** More context: the mapping and the row, for example. */
  origin?: Record<string, unknown>
}
