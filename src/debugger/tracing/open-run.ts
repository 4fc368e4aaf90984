import type { Scope } from '../../../schemas/scope.ts'
import type { RoutedEvent } from '../../delivery/delivery-observer.ts'
import type { LoggedEvent } from '../../events/envelope.ts'
import type { CommittedBatch } from '../../events/write-observer.ts'
import { runOf } from '../../foundation/ids.ts'
import { Column, type PartDetail, type RunDetail } from './detail.ts'
import type { PartRow, RunRow } from './trace-store.ts'

interface Step {
  place: number
  matched: number
  filtered: number
  lost: number
  routedMs: number
  firstMs: number | null
  lastMs: number | null
  list: number
}

/** The scope, ID and time of an event. */
export interface TracedPlace { id: string, scope: Scope, timestamp: number }

/** The times of the batch that stored a run. */
export type BatchTimes = Pick<CommittedBatch, 'startedAt' | 'checkedMs' | 'storedMs'>

const placeOf = ({ id }: Pick<TracedPlace, 'id'>): number => runOf(id)?.ordinal ?? 0
/** Returns the offset of the run's first event: the events of a run are consecutive in their log. */
const firstOffsetOf = (event: LoggedEvent): number => event.offset - placeOf(event)
const rounded = (ms: number): number => Math.round(ms * 100) / 100

/** Collects how this node's hub and sockets handle the events of one run. */
export class OpenPart {
  readonly #id: string
  readonly #scope: Scope
  readonly #createdAt: number
  readonly #steps = new Map<number, Step>()
  readonly #settled = new Set<number>()
  readonly #lists: [readonly string[], readonly string[]][] = []
  #firstOffset: number | undefined

  constructor ({ id, scope, timestamp }: TracedPlace) {
    this.#id = id.slice(4, 16)
    this.#scope = scope
    this.#createdAt = timestamp
  }

  get size (): number { return this.#steps.size + this.#settled.size }

  has (event: LoggedEvent): boolean { return this.#stepOf(event) !== undefined }

  routed ({ event, routedAt, matched, filtered, matchedIds, filteredIds }: RoutedEvent): void {
    this.#firstOffset ??= firstOffsetOf(event)
    const place = event.offset - this.#firstOffset
    const lost = this.#steps.get(place)?.lost ?? 0
    this.#steps.set(place, {
      place,
      matched,
      filtered,
      lost,
      routedMs: rounded(routedAt - this.#createdAt),
      firstMs: null,
      lastMs: null,
      list: this.#listOf(matchedIds, filteredIds)
    })
  }

  handedOn (event: LoggedEvent, { firstAt, lastAt }: { firstAt: number, lastAt: number }): void {
    const step = this.#stepOf(event)
    if (step === undefined) return
    step.firstMs ??= rounded(firstAt - this.#createdAt)
    step.lastMs = rounded(lastAt - this.#createdAt)
  }

  givenUp (event: LoggedEvent, subscriptions: number): void {
    const step = this.#stepOf(event)
    if (step !== undefined) step.lost += subscriptions
  }

  /** Records that a webhook delivery of the event has settled. */
  settled (event: Pick<TracedPlace, 'id'>): void {
    this.#settled.add(placeOf(event))
  }

  hasSettled (event: Pick<TracedPlace, 'id'>): boolean { return this.#settled.has(placeOf(event)) }

  toDetail (): PartDetail {
    const steps = [...this.#steps.values()]
    const column = <T>(of: (step: Step) => T) => {
      const values = new Column<T>()
      for (const step of steps) values.push(of(step))
      return values.toStored()
    }
    return {
      ...(steps.some(({ place }, i) => place !== i) && { places: steps.map(({ place }) => place) }),
      count: steps.length,
      matched: column(({ matched }) => matched),
      filtered: column(({ filtered }) => filtered),
      lost: column(({ lost }) => lost),
      routedMs: column(({ routedMs }) => routedMs),
      firstMs: column(({ firstMs }) => firstMs),
      lastMs: column(({ lastMs }) => lastMs),
      list: column(({ list }) => list),
      lists: this.#lists as [string[], string[]][],
      ...(this.#settled.size > 0 && { settled: [...this.#settled] })
    }
  }

  toRow (): PartRow {
    return { id: this.#id, createdAt: this.#createdAt, scope: this.#scope, detail: JSON.stringify(this.toDetail()) }
  }

  #stepOf ({ offset }: LoggedEvent): Step | undefined {
    return this.#firstOffset === undefined ? undefined : this.#steps.get(offset - this.#firstOffset)
  }

  /** Returns the index of the list. Consecutive events mostly match the same subscriptions. */
  #listOf (matched: readonly string[], filtered: readonly string[]): number {
    const last = this.#lists.at(-1)
    if (last === undefined || !isSame(last[0], matched) || !isSame(last[1], filtered)) {
      this.#lists.push([matched, filtered])
    }
    return this.#lists.length - 1
  }
}

const isSame = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((id, i) => id === b[i])

/** Collects a run that this node has committed, until it is stored. */
export class OpenRun {
  readonly id: string
  readonly part: OpenPart
  /** Properties that the events share. Payloads are not kept in memory. */
  readonly #common: Pick<LoggedEvent, 'scope' | 'topic' | 'epoch' | 'timestamp'>
  readonly #firstOffset: number
  readonly #times: BatchTimes
  #count = 0
  #lastPlace = -1
  /** Set when not every event is traced. */
  #places: number[] | undefined
  readonly #types = new Column<string>()
  readonly #sources = new Column<string>()
  readonly #versions = new Column<number | null>()
  readonly #waitedMs = new Column<number>()

  constructor (event: LoggedEvent, times: BatchTimes) {
    this.id = event.id.slice(4, 16)
    this.part = new OpenPart(event)
    this.#common = { scope: event.scope, topic: event.topic, epoch: event.epoch, timestamp: event.timestamp }
    this.#firstOffset = firstOffsetOf(event)
    this.#times = times
  }

  get size (): number { return this.#count }

  /** Whether an event of the same batch belongs to this run. */
  isOf ({ scope, topic }: LoggedEvent): boolean {
    return this.#common.topic === topic && this.#common.scope.applicationId === scope.applicationId &&
      this.#common.scope.environment === scope.environment
  }

  /** Whether an event of the run is traced. Places are added in ascending order. */
  has (event: LoggedEvent): boolean {
    return event.offset - this.#firstOffset <= this.#lastPlace
  }

  add (event: LoggedEvent, receivedAt: number): void {
    const place = event.offset - this.#firstOffset
    if (this.#places === undefined && place !== this.#count) {
      this.#places = Array.from({ length: this.#count }, (_, i) =>
        i)
    }
    this.#places?.push(place)
    this.#lastPlace = place
    this.#count++
    this.#types.push(event.type)
    this.#sources.push(event.source)
    this.#versions.push(event.schemaVersion)
    this.#waitedMs.push(Math.max(0, this.#times.startedAt - receivedAt))
  }

  toRow (): RunRow {
    const { scope, topic, epoch, timestamp } = this.#common
    const { startedAt, checkedMs, storedMs } = this.#times
    const sources = this.#sources.toStored()
    const detail: RunDetail = {
      ...(this.#places !== undefined && { places: this.#places }),
      epoch,
      types: this.#types.toStored(),
      sources,
      versions: this.#versions.toStored(),
      waitedMs: this.#waitedMs.toStored(),
      checkedMs,
      storedMs,
      ...(timestamp > startedAt && { aheadMs: timestamp - startedAt }),
      count: this.#count,
      ...(this.part.size > 0 && { part: this.part.toDetail() })
    }
    return {
      id: this.id,
      createdAt: timestamp,
      scope,
      topic,
      source: Array.isArray(sources) ? 'mixed' : String(sources),
      outcome: 'stored',
      firstOffset: this.#firstOffset,
      events: this.#count,
      detail: JSON.stringify(detail)
    }
  }
}
