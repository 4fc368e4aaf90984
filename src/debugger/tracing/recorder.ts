import { scopeKey, type Scope } from '../../../schemas/scope.ts'
import type { DeliveryObserver, FlushReport, RoutedEvent } from '../../delivery/delivery-observer.ts'
import type { PublicError } from '../../errors.ts'
import type { LoggedEvent } from '../../events/envelope.ts'
import type { CommittedBatch, RefusedIntent, WriteObserver } from '../../events/write-observer.ts'
import { newRun } from '../../foundation/ids.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import { typeOfEventsOn } from '../../registry/topics/topic-names.ts'
import { BackgroundFlush } from '../../foundation/batching/background-writer.ts'
import { OpenPart, OpenRun, type TracedPlace } from './open-run.ts'
import type { RefusalDetail } from './detail.ts'
import type { Sampling } from './sampling.ts'
import type { Chunk, RunRow, TraceStore } from './trace-store.ts'

/** What refusals that wait may hold in memory; what else waits is a few bytes an event. */
const refusedBytesMax = 32 * 1024 * 1024
/** Of one of them, beside its text. */
const refusalBytes = 300
/** Rows of one statement, and events with their steps: encoding them holds up everything else for a moment. */
const rowsAtOnce = 200
const eventsAtOnce = 5000
/** How long whoever reads traces waits for those of just now. */
const readersWaitMs = 1000
const payloadKeptBytes = 4096
const detailsKept = 20

export interface TraceRecorderOptions {
  store: TraceStore
  sampling: Sampling
  metrics: Metrics
  log: { warn (fields: object, message: string): void }
  /** Events that wait to be written, and as many steps; beyond it new ones are given up, and counted. */
  pendingMax: number
}

/** Something that was refused before the writer could see it, or by another part: a mapping, say. */
export interface Refused {
  scope: Scope
  topic: string
  source: string
  type?: string
  outcome: 'rejected' | 'failed'
  error: RefusalDetail['error']
  receivedAt: number
  schemaVersion?: number | null
  /** JSON text. */
  payload?: string | undefined
  /** Whatever helps: the mapping, the row's key. */
  origin?: Record<string, unknown>
}

/**
 * Writes down what becomes of events, in the background: what the writer and the hub know is gathered in memory, a row
 * a run, and goes to the store a few times a second. What does not fit into memory while the store is behind is given
 * up, counted, and told of in the store once that is back.
 */
export class TraceRecorder implements WriteObserver, Pick<DeliveryObserver, 'follows' | 'flushed'> {
  readonly #options: TraceRecorderOptions
  #runs = new Map<string, OpenRun>()
  #parts = new Map<string, OpenPart>()
  #refusals: RunRow[] = []
  /** Taken out of the maps, and not encoded yet; and what is encoded, and not stored yet. */
  readonly #waiting: Unstored[] = []
  #unstored: UnstoredChunk | undefined
  /** What waits: events, what this node did with events, and the bytes of refusals. */
  #events = 0
  #steps = 0
  #refusedBytes = 0
  #dropped = new Map<string, Dropped>()
  /** Runs of which no event found room: their steps are not looked for. */
  #withoutRoom = new Set<string>()
  readonly #flush = new BackgroundFlush(() => this.#write())
  readonly #listeners = new Set<(scopes: ReadonlySet<string>) => void>()

  constructor (options: TraceRecorderOptions) {
    this.#options = options
  }

  committed ({ events, receivedAt, checkedMs, storedMs }: CommittedBatch): void {
    let run: OpenRun | undefined
    for (let i = 0; i < events.length; i++) {
      const event = events[i] as LoggedEvent
      if (!this.follows(event)) continue
      if (!this.#admit(event.scope)) {
        if (run?.isOf(event) !== true) this.#withoutRoom.add(runKey(event))
        continue
      }
      // Events of one log mostly stand together, and those of one batch are one run.
      if (run === undefined || !run.isOf(event)) run = this.#runOf(event, { checkedMs, storedMs })
      run.add(event, receivedAt[i] ?? event.timestamp)
    }
    this.#flush.schedule()
  }

  refused ({ intent, refusal, receivedAt, checked, source }: RefusedIntent): void {
    const topic = checked?.topic ?? intent.topics[0]
    if (topic === undefined || !(source !== undefined || isAboutAnEvent(refusal))) return
    this.record({
      scope: intent.scope,
      topic,
      source: source ?? sourceOf(topic),
      outcome: refusal.status >= 500 ? 'failed' : 'rejected',
      error: bodyOf(refusal),
      receivedAt,
      schemaVersion: checked?.schemaVersion ?? null,
      payload: checked === undefined ? undefined : JSON.stringify(checked.payload)
    })
  }

  /** Keeps a refusal, whatever is sampled. */
  record (
    { scope, topic, source, type, outcome, error, receivedAt, schemaVersion = null, payload, origin }: Refused
  ): void {
    const now = Date.now()
    const detail = JSON.stringify(
      {
        source,
        type: type ?? typeOfEventsOn(topic),
        schemaVersion,
        waitedMs: Math.max(0, now - receivedAt),
        error: { ...error, ...(error.details !== undefined && { details: error.details.slice(0, detailsKept) }) },
        ...(payload !== undefined &&
          { payload: payload.slice(0, payloadKeptBytes), payloadBytes: Buffer.byteLength(payload) }),
        ...(origin !== undefined && { origin })
      } satisfies RefusalDetail
    )
    // A room of their own: no flood of events takes it.
    const bytes = detail.length + refusalBytes
    if (this.#refusedBytes + bytes > refusedBytesMax) return this.#drop(scope, 'event')
    this.#refusedBytes += bytes
    this.#refusals.push({
      id: newRun(), createdAt: now, scope, topic, source, outcome, firstOffset: null, events: 1, detail
    })
    this.#flush.schedule()
  }

  follows (event: TracedPlace): boolean {
    return this.#options.sampling.isSampled(event.scope, event.id)
  }

  flushed ({ routed, givenUp, sent }: FlushReport): void {
    for (const step of routed) {
      const part = this.#partOfStep(step)
      part?.routed(step)
      if (sent !== undefined && step.matched > 0) part?.handedOn(step.event, sent)
    }
    for (const { event, subscriptions } of givenUp) this.#findPart(event)?.givenUp(event, subscriptions)
    if (routed.length > 0) this.#flush.schedule()
  }

  /**
   * The delivery of an event to a webhook is over. The trace reads what became of it; whoever follows traces is to hear
   * of it.
   */
  settled (events: readonly TracedPlace[]): void {
    for (const event of events) {
      if (this.follows(event) && (this.#findPart(event)?.hasSettled(event) === true || this.#admitStep(event.scope))) { this.#partOf(event).settled(event) }
    }
    this.#flush.schedule()
  }

  /** Calls back whenever something was stored, with the keys of the scopes that it was of. Answers how to stop that. */
  onStored (listener: (scopes: ReadonlySet<string>) => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  /** Events that wait, for the metric of queues. */
  get pending (): number { return this.#events }

  /**
   * Stores what there is by now, so that a reader on this node sees it. Resolves when it is stored, or could not be.
   */
  async flush (): Promise<void> {
    await this.#flush.now()
  }

  /** The same, for those who rather do without than wait for a store that is behind. */
  async flushSoon (): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const enough = new Promise<void>(resolve => { timer = setTimeout(resolve, readersWaitMs) })
    await Promise.race([this.flush(), enough])
    clearTimeout(timer)
  }

  async close (): Promise<void> {
    await this.#flush.close()
  }

  #runOf (event: LoggedEvent, times: { checkedMs: number, storedMs: number }): OpenRun {
    let run = this.#runs.get(runKey(event))
    if (run === undefined) {
      run = new OpenRun(event, times)
      this.#runs.set(run.id, run)
    }
    return run
  }

  /** What is gathered of this node's steps with a run, in the run itself while that has not been written. */
  #findPart (event: TracedPlace): OpenPart | undefined {
    const key = runKey(event)
    return this.#runs.get(key)?.part ?? this.#parts.get(key)
  }

  #partOf (event: TracedPlace): OpenPart {
    let part = this.#findPart(event)
    if (part === undefined) {
      part = new OpenPart(event)
      this.#parts.set(runKey(event), part)
    }
    return part
  }

  /** Where the step of an event is noted; undefined when there is no room for it. */
  #partOfStep ({ event }: RoutedEvent): OpenPart | undefined {
    if (this.#withoutRoom.has(runKey(event)) || this.#runs.get(runKey(event))?.has(event) === false) return undefined
    if (this.#findPart(event)?.has(event) !== true && !this.#admitStep(event.scope)) return undefined
    return this.#partOf(event)
  }

  /** Answers false when there is no room: then it is counted as given up. */
  #admit (scope: Scope): boolean {
    if (this.#events >= this.#options.pendingMax) {
      this.#drop(scope, 'event')
      return false
    }
    this.#events++
    return true
  }

  /** Room of its own, so that a trace does not say of an event that nobody got it because others have filled it. */
  #admitStep (scope: Scope): boolean {
    if (this.#steps >= this.#options.pendingMax) {
      this.#drop(scope, 'step')
      return false
    }
    this.#steps++
    return true
  }

  #drop (scope: Scope, kind: 'event' | 'step', count = 1): void {
    this.#options.metrics.tracesDropped.inc({ kind }, count)
    const key = scopeKey(scope)
    let dropped = this.#dropped.get(key)
    if (dropped === undefined) this.#dropped.set(key, dropped = { scope, event: 0, step: 0 })
    dropped[kind] += count
  }

  async #write (): Promise<void> {
    const { store, metrics, log } = this.#options
    // One by one: there may be more than a call has room for.
    for (const item of this.#take()) this.#waiting.push(item)
    const stop = metrics.traceFlushDuration.startTimer()
    const scopes = new Set<string>()
    try {
      for (let chunk = this.#next(); chunk !== undefined; chunk = this.#next()) {
        await store.append(chunk.rows)
        metrics.tracesWritten.inc(
          chunk.rows.runs.reduce((sum, { outcome, events }) => sum + (outcome === 'dropped' ? 0 : events), 0)
        )
        if (this.#listeners.size > 0) {
          for (const { scope } of [...chunk.rows.runs, ...chunk.rows.parts]) scopes.add(scopeKey(scope))
        }
        this.#settle(chunk)
      }
      stop()
      this.#flush.isFailing = false
      if (scopes.size > 0) for (const listener of this.#listeners) listener(scopes)
    } catch (err) {
      const chunk = this.#unstored
      if (!this.#flush.isFailing) log.warn({ err, events: this.#events }, 'traces.not_stored')
      this.#flush.isFailing = true
      // What the database will never take is not tried again and again.
      if (chunk !== undefined && !store.isPassing(err)) {
        for (const { scope, outcome, events } of chunk.rows.runs) { if (outcome !== 'dropped') this.#drop(scope, 'event', events) }
        for (const { scope } of chunk.rows.parts) this.#drop(scope, 'step')
        this.#settle(chunk)
      }
    }
    if (
      this.#unstored !== undefined || this.#waiting.length > 0 ||
      this.#runs.size + this.#parts.size + this.#refusals.length > 0
    ) this.#flush.schedule()
  }

  #settle ({ events, steps, refusedBytes }: UnstoredChunk): void {
    this.#events -= events
    this.#steps -= steps
    this.#refusedBytes -= refusedBytes
    this.#unstored = undefined
    this.#options.metrics.queueDepth.set({ queue: 'traces' }, this.#events)
  }

  /**
   * The chunk that is due: the one that failed, or the next. It is encoded only now, so that a lot of them does not
   * hold up the event loop.
   */
  #next (): UnstoredChunk | undefined {
    if (this.#unstored === undefined && this.#waiting.length > 0) {
      const items = this.#waiting.splice(0, this.#countAtOnce())
      const runs = items.flatMap(item =>
        item instanceof OpenPart ? [] : [item instanceof OpenRun ? item.toRow() : item]
      )
      const parts = items.flatMap(item => item instanceof OpenPart ? [item.toRow()] : [])
      this.#unstored = {
        rows: this.#options.store.number(runs, parts),
        events: sumOf(items, eventsOf),
        steps: sumOf(items, stepsOf),
        refusedBytes: sumOf(items, refusedBytesOf)
      }
    }
    return this.#unstored
  }

  #countAtOnce (): number {
    let count = 0
    for (let size = 0; count < rowsAtOnce && size < eventsAtOnce && count < this.#waiting.length; count++) { size += eventsOf(this.#waiting[count] as Unstored) + stepsOf(this.#waiting[count] as Unstored) }
    return count
  }

  /** What was dropped since the last time comes last: whoever reads along hears of it where it is missing. */
  #take (): Unstored[] {
    const now = Date.now()
    const taken: Unstored[] = [
      ...this.#runs.values(),
      ...this.#parts.values(),
      ...this.#refusals,
      ...[...this.#dropped.values()].map(({ scope, event, step }): RunRow => ({
        id: newRun(), createdAt: now, scope, topic: '', source: '', outcome: 'dropped', firstOffset: null,
        events: event, detail: JSON.stringify({ steps: step })
      }))
    ]
    this.#runs = new Map()
    this.#parts = new Map()
    this.#refusals = []
    this.#dropped = new Map()
    this.#withoutRoom = new Set()
    return taken
  }
}

type Unstored = OpenRun | OpenPart | RunRow
interface UnstoredChunk { rows: Chunk, events: number, steps: number, refusedBytes: number }
/** How much of a scope was given up since that was last told of. */
interface Dropped { scope: Scope, event: number, step: number }

const eventsOf = (item: Unstored): number => item instanceof OpenRun ? item.size : 0
const refusedBytesOf = (item: Unstored): number =>
  item instanceof OpenRun || item instanceof OpenPart || item.outcome === 'dropped'
    ? 0
    : item.detail.length + refusalBytes
const stepsOf = (item: Unstored): number =>
  item instanceof OpenRun ? item.part.size : item instanceof OpenPart ? item.size : 0
const sumOf = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((sum, item) => sum + of(item), 0)

const bodyOf = (refusal: PublicError): RefusalDetail['error'] => {
  const { error, code, message, details } = refusal.toBody()
  return { error, code, message, details }
}

const runKey = ({ id }: TracedPlace): string => id.slice(4, 16)

/** Conflicts of documents and the like are answers to requests, and no event has come to anything by them. */
const isAboutAnEvent = ({ code, status }: PublicError): boolean =>
  status >= 500 || code === 'SCHEMA_VIOLATED' || code === 'TOPIC_NOT_FOUND' || code === 'APPLICATION_NOT_FOUND'

const rootOf = (topic: string) => topic.slice(0, topic.indexOf('.'))

function sourceOf (topic: string): string {
  const root = rootOf(topic)
  return root === 'sync' ? 'sync' : root === 'socket' || root === 'presence' ? 'socket' : 'api'
}
