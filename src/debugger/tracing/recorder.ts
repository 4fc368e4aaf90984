import { scopeKey, type Scope } from '../../../schemas/scope.ts'
import type { DeliveryObserver, FlushReport, RoutedEvent } from '../../delivery/delivery-observer.ts'
import type { LoggedEvent } from '../../events/envelope.ts'
import type { CommittedBatch, RefusedIntent, WriteObserver } from '../../events/write-observer.ts'
import { newRun } from '../../foundation/ids.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import { BackgroundWriter } from '../../foundation/batching/background-writer.ts'
import { OpenPart, OpenRun, type BatchTimes, type TracedPlace } from './open-run.ts'
import type { Sampling } from './sampling.ts'
import type { RunRow, TraceStore } from './trace-store.ts'
import { rejectionDetail, rejectionOf, type Rejection } from './rejection.ts'
import { rejectionBytes, TraceBacklog, type Unstored, type UnstoredChunk } from './trace-backlog.ts'

/** Memory limit for waiting rejections. Everything else that waits takes a few bytes per event. */
const refusedBytesMax = 32 * 1024 * 1024

export interface TraceRecorderOptions {
  store: TraceStore
  sampling: Sampling
  metrics: Metrics
  log: { warn (fields: object, message: string): void }
  /** Limit of events that wait to be stored, and of steps. Beyond it new ones are dropped and counted. */
  pendingMax: number
  /** How long a reader of traces waits for the latest ones to be stored. */
  readersWaitMs: number
}

/**
 * Records in the background what becomes of events. It collects reports of the writer and the hub in memory, one row
 * per run, and stores them several times per second. While the store cannot keep up, traces beyond the memory limits
 * are dropped and counted, and the store records their number later.
 */
export class TraceRecorder implements WriteObserver, Pick<DeliveryObserver, 'follows' | 'flushed'> {
  readonly #options: TraceRecorderOptions
  #runs = new Map<string, OpenRun>()
  #parts = new Map<string, OpenPart>()
  #refusals: RunRow[] = []
  readonly #backlog: TraceBacklog
  /** Waiting events, waiting steps, and the bytes of waiting rejections. */
  #events = 0
  #steps = 0
  #refusedBytes = 0
  #dropped = new Map<string, Dropped>()
  /** Runs without a stored event because of the limit: their steps are ignored. */
  #withoutRoom = new Set<string>()
  readonly #flush = new BackgroundWriter(() => this.#write())
  readonly #listeners = new Set<(scopes: ReadonlySet<string>) => void>()

  constructor (options: TraceRecorderOptions) {
    this.#options = options
    this.#backlog = new TraceBacklog(options.store)
  }

  committed ({ events, receivedAt, ...times }: CommittedBatch): void {
    let run: OpenRun | undefined
    for (let i = 0; i < events.length; i++) {
      const event = events[i] as LoggedEvent
      if (!this.follows(event)) continue
      if (!this.#admit(event.scope)) {
        if (run?.isOf(event) !== true) this.#withoutRoom.add(runKey(event))
        continue
      }
      // Events of one log are mostly adjacent, and those of one batch form one run.
      if (run === undefined || !run.isOf(event)) run = this.#runOf(event, times)
      run.add(event, receivedAt[i] ?? times.startedAt)
    }
    this.#flush.schedule()
  }

  refused (report: RefusedIntent): void {
    const rejection = rejectionOf(report)
    if (rejection !== undefined) this.record(rejection)
  }

  /** Records a rejection, regardless of sampling. */
  record (rejection: Rejection): void {
    const { scope, topic, source, outcome } = rejection
    const now = Date.now()
    const detail = rejectionDetail(rejection, now)
    // Rejections have their own limit, which a flood of events cannot use up.
    const bytes = rejectionBytes(detail)
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
   * Records that a webhook delivery of each event has settled. The trace reads the result from the delivery; streams
   * are notified.
   */
  settled (events: readonly TracedPlace[]): void {
    for (const event of events) {
      const isKept = this.follows(event) &&
        (this.#findPart(event)?.hasSettled(event) === true || this.#admitStep(event.scope))
      if (isKept) this.#partOf(event).settled(event)
    }
    this.#flush.schedule()
  }

  /** Registers a listener that receives the keys of scopes whose traces were stored. Returns how to remove it. */
  onStored (listener: (scopes: ReadonlySet<string>) => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  /** Number of waiting events, for the metric of queues. */
  get pending (): number { return this.#events }

  /** Stores everything collected so far, so that a reader on this node sees it. Resolves even if storing fails. */
  async flush (): Promise<void> {
    await this.#flush.now()
  }

  /** Works as `flush`, but waits for `readersWaitMs` at most. */
  async flushSoon (): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const enough = new Promise<void>(resolve => { timer = setTimeout(resolve, this.#options.readersWaitMs) })
    await Promise.race([this.flush(), enough])
    clearTimeout(timer)
  }

  async close (): Promise<void> {
    await this.#flush.close()
  }

  #runOf (event: LoggedEvent, times: BatchTimes): OpenRun {
    let run = this.#runs.get(runKey(event))
    if (run === undefined) {
      run = new OpenRun(event, times)
      this.#runs.set(run.id, run)
    }
    return run
  }

  /** Returns the collected steps for a run, as part of the run itself while that is not stored. */
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

  /** Returns where to record the step of an event; undefined without room for it. */
  #partOfStep ({ event }: RoutedEvent): OpenPart | undefined {
    if (this.#withoutRoom.has(runKey(event)) || this.#runs.get(runKey(event))?.has(event) === false) return undefined
    if (this.#findPart(event)?.has(event) !== true && !this.#admitStep(event.scope)) return undefined
    return this.#partOf(event)
  }

  /** Returns false, and counts the event as dropped, without room for it. */
  #admit (scope: Scope): boolean {
    if (this.#events >= this.#options.pendingMax) {
      this.#drop(scope, 'event')
      return false
    }
    this.#events++
    return true
  }

  /** Steps have their own limit, so that a trace never shows no recipients just because events filled the memory. */
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
    this.#backlog.push(this.#take())
    const stop = metrics.traceFlushDuration.startTimer()
    const scopes = new Set<string>()
    try {
      for (let chunk = this.#backlog.next(); chunk !== undefined; chunk = this.#backlog.next()) {
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
      const { chunk } = this.#backlog
      if (!this.#flush.isFailing) log.warn({ err, events: this.#events }, 'traces.not_stored')
      this.#flush.isFailing = true
      // Rows that the database will never accept are not retried.
      if (chunk !== undefined && !store.isPassing(err)) {
        for (const { scope, outcome, events } of chunk.rows.runs) {
          if (outcome !== 'dropped') this.#drop(scope, 'event', events)
        }
        for (const { scope } of chunk.rows.parts) this.#drop(scope, 'step')
        this.#settle(chunk)
      }
    }
    const isCollecting = this.#runs.size + this.#parts.size + this.#refusals.length > 0
    if (isCollecting || !this.#backlog.isEmpty) this.#flush.schedule()
  }

  #settle ({ events, steps, refusedBytes }: UnstoredChunk): void {
    this.#events -= events
    this.#steps -= steps
    this.#refusedBytes -= refusedBytes
    this.#backlog.settle()
    this.#options.metrics.queueDepth.set({ queue: 'traces' }, this.#events)
  }

  /** Takes everything collected. Counts of dropped traces come last, so that a stream reports the gap in its place. */
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

/** How much of a scope was dropped since the last stored count. */
interface Dropped { scope: Scope, event: number, step: number }

const runKey = ({ id }: TracedPlace): string => id.slice(4, 16)
