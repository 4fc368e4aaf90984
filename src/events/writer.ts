import type pg from 'pg'
import {
  isDatabaseUnavailable, NotFoundError, ServiceUnavailableError, toPublicError, type PublicError
} from '../errors.ts'
import type { Metrics } from '../foundation/observability/metrics.ts'
import { scopeKey, type Scope } from '../../schemas/scope.ts'
import { commitBatch } from './batch.ts'
import type { BatchResult } from './batch-parts.ts'
import { noEventRouting, type EventRouting } from './event-routing.ts'
import type { LoggedEvent } from './envelope.ts'
import type { EpochOf } from './epochs.ts'
import type { Intent, Writer } from './intent.ts'
import type { CheckedPayload } from './outcome.ts'
import { ensurePartitions } from './partitions.ts'
import { noWriteObserver, type WriteObserver } from './write-observer.ts'
import type { PayloadCheck } from './payload-check.ts'
import { KnownServices } from './known-services.ts'
import { KnownTopics } from './known-topics.ts'
import { QueueQuota } from './queue-quota.ts'
import { isMissingReference, retryReason } from './transaction-failure.ts'
import { noWriteQuota, type WriteQuota } from './write-quota.ts'
import { WriteLane, type PendingIntent } from './write-lane.ts'

/**
 * The number of lanes that scopes are spread over. Each lane has one transaction in flight, so that one tenant cannot
 * block the others.
 */
const lanesCount = 4
/**
 * The number of lanes for streams of connected databases. They are separate, so that requests do not wait for a long
 * backlog.
 */
const streamLanesCount = 2
const attemptsMax = 8

export interface EventWriterOptions {
  pool: pg.Pool
  metrics: Metrics
  check: PayloadCheck
  epochOf: EpochOf
  /** Routes events to webhooks. Without it, events are delivered to sockets only. */
  routing?: EventRouting
  log: { error (fields: object, message: string): void, warn (fields: object, message: string): void }
  /** The clock for timestamps. Default: the machine's clock. */
  now?: () => number
  /**
   * Receives each batch's events after its intents are answered: ascending in each topic, and batches of one scope or
   * one stream in commit order.
   */
  onCommitted: (events: LoggedEvent[]) => void
  observer?: WriteObserver
  /** The quotas of applications. Without it, every intent is allowed. */
  quota?: WriteQuota
}

/**
 * Writes all events to the log. Intents that arrive while a transaction is in flight form the next transaction: an idle
 * system adds no delay, and a busy one shares a commit among hundreds of writes. Intents of one scope, and those of one
 * stream, are applied in the order of arrival.
 */
export class EventWriter implements Writer {
  readonly #options: EventWriterOptions
  readonly #observer: WriteObserver
  readonly #quota: WriteQuota
  readonly #lanes: WriteLane[]
  readonly #knownServices = new KnownServices()
  readonly #knownTopics = new KnownTopics()
  readonly #waiting = new QueueQuota()
  #isClosed = false

  constructor (options: EventWriterOptions) {
    this.#options = options
    this.#observer = options.observer ?? noWriteObserver
    this.#quota = options.quota ?? noWriteQuota
    this.#lanes = Array.from(
      { length: lanesCount + streamLanesCount }, () => new WriteLane(batch => this.#commit(batch))
    )
  }

  submit<Answer> (intent: Intent<Answer>): Promise<Answer> {
    if (this.#isClosed) return Promise.reject(new ServiceUnavailableError('SHUTTING_DOWN', 'The server is stopping'))
    const refusal = this.#admit(intent)
    if (refusal !== undefined) {
      this.#options.metrics.eventsRejected.inc({ code: refusal.code })
      this.#observer.refused({ intent, refusal, receivedAt: Date.now() })
      return Promise.reject(refusal)
    }
    return new Promise<Answer>((resolve, reject) => {
      this.#laneOf(intent).push({
        intent: intent as Intent<unknown>, since: Date.now(), resolve: resolve as PendingIntent['resolve'], reject
      })
    })
  }

  #admit (intent: Intent<unknown>): PublicError | undefined {
    if (!this.#waiting.enter(intent)) {
      return new ServiceUnavailableError('QUEUE_FULL', 'The write queue is full. Retry after the time in Retry-After')
    }
    const refusal = this.#quota.admit(intent)
    if (refusal !== undefined) this.#waiting.leave(intent)
    return refusal
  }

  /** Forgets a deleted service, so that its next document creates it again. */
  forgetService (applicationId: string, name: string): void {
    this.#knownServices.forget(applicationId, name)
  }

  /** Forgets the services of a deleted application. */
  forgetApplication (applicationId: string): void {
    this.#knownServices.forgetApplication(applicationId)
  }

  /** Returns the number of waiting intents, and for how long the oldest has waited. */
  health (): { depth: number, oldestWaitingMs: number } {
    const oldest = Math.min(...this.#lanes.map(lane => lane.oldest ?? Infinity))
    return { depth: this.#waiting.intents, oldestWaitingMs: oldest === Infinity ? 0 : Math.max(0, Date.now() - oldest) }
  }

  /** The scopes of the waiting intents, one for each intent. */
  * waiting (): Generator<Scope> {
    for (const lane of this.#lanes) yield * lane.waiting()
  }

  /** Refuses new intents and waits until all accepted intents are settled. */
  async close (): Promise<void> {
    this.#isClosed = true
    await Promise.all(this.#lanes.map(lane => lane.drained()))
  }

  #laneOf (intent: Intent<unknown>): WriteLane {
    const key = intent.position?.connectionId ?? scopeKey(intent.scope)
    let hash = 0
    for (let i = 0; i < key.length; i++) hash = (hash * 31 + key.charCodeAt(i)) | 0
    const index = intent.position === undefined
      ? Math.abs(hash) % lanesCount
      : lanesCount + Math.abs(hash) % streamLanesCount
    return this.#lanes[index] as WriteLane
  }

  /** Commits the batch, and returns the function that settles every intent of it. Never rejects. */
  async #commit (batch: PendingIntent[], attempt = 1): Promise<() => void> {
    const stop = this.#options.metrics.transactionDuration.startTimer()
    try {
      const result = await this.#transact(batch, attempt === 1)
      stop()
      return () => this.#settle(batch, result)
    } catch (error) {
      return await this.#recover(batch, error, attempt)
    }
  }

  async #transact (batch: PendingIntent[], mayRecall: boolean): Promise<BatchResult> {
    const client = await this.#options.pool.connect()
    try {
      const result = await commitBatch(batch.map(pending => pending.intent), {
        client,
        check: this.#options.check,
        epochOf: this.#options.epochOf,
        routing: this.#options.routing ?? noEventRouting,
        now: (this.#options.now ?? Date.now)(),
        knownTopics: this.#knownTopics,
        mayRecall,
        isServiceKnown: (applicationId, name) => this.#knownServices.has(applicationId, name)
      })
      client.release()
      return result
    } catch (error) {
      await abandon(client, error)
      throw error
    }
  }

  async #recover (batch: PendingIntent[], error: unknown, attempt: number): Promise<() => void> {
    const { metrics, pool } = this.#options
    if (isDatabaseUnavailable(error)) return () => this.#reject(batch, toPublicError(error))
    const reason = retryReason(error)
    if (reason !== undefined && attempt < attemptsMax) {
      metrics.transactionRetries.inc({ reason })
      if (reason === 'partition') await ensurePartitions(pool, (this.#options.now ?? Date.now)()).catch(() => {})
      if (reason === 'missing_reference') {
        for (const { intent } of batch) this.forgetApplication(intent.scope.applicationId)
      }
      return await this.#commit(batch, reason === 'missing_reference' ? attemptsMax : attempt + 1)
    }
    if (batch.length > 1) {
      metrics.transactionRetries.inc({ reason: 'halved' })
      const middle = batch.length >> 1
      const settleFirst = await this.#commit(batch.slice(0, middle))
      settleFirst()
      return await this.#commit(batch.slice(middle))
    }
    if (isMissingReference(error)) {
      const applicationId = batch[0]?.intent.scope.applicationId
      return () =>
        this.#reject(batch, new NotFoundError('APPLICATION_NOT_FOUND', `Application not found: ${applicationId}`))
    }
    this.#options.log.error({ err: error }, 'writer.intent_failed')
    return () => this.#reject(batch, toPublicError(error))
  }

  #settle (batch: PendingIntent[], result: BatchResult): void {
    const { outcomes, events, services, isOwed } = result
    const { metrics, onCommitted, routing } = this.#options
    for (const { applicationId, name } of services) this.#knownServices.add(applicationId, name)
    // Counted here and not by the check, because a batch may be checked again.
    for (const topic of result.violated) metrics.schemaViolations.inc({ topic: metrics.topicLabel(topic) })
    for (const [i, pending] of batch.entries()) {
      const outcome = outcomes[i]
      this.#waiting.leave(pending.intent)
      this.#quota.settled(pending.intent, result.counts[i] ?? 0)
      if (outcome !== undefined && 'answer' in outcome) {
        pending.resolve(outcome.answer)
      } else {
        const refusal = outcome?.refusal ?? toPublicError(new Error('the batch forgot an intent'))
        if (refusal.status >= 500) this.#options.log.error({ err: refusal.cause ?? refusal }, 'writer.intent_failed')
        this.#refuse(pending, refusal, outcome?.checked)
      }
    }
    metrics.batchIntents.observe(batch.length)
    metrics.queueDepth.set({ queue: 'writer' }, this.#waiting.intents)
    if (events.length > 0) {
      this.#count(events)
      this.#quota.committed(events)
      this.#observer.committed({
        events,
        receivedAt: result.counts.flatMap((count, i) => new Array<number>(count).fill(batch[i]?.since ?? 0)),
        startedAt: result.startedAt,
        checkedMs: result.checkedMs,
        storedMs: Date.now() - result.startedAt
      })
      setImmediate(onCommitted, events)
    }
    if (isOwed) routing?.committed()
  }

  /** Counts adjacent events of one topic together. */
  #count (events: readonly LoggedEvent[]): void {
    const { metrics } = this.#options
    for (let from = 0; from < events.length;) {
      const { source, topic } = events[from] as LoggedEvent
      let to = from + 1
      while (to < events.length && events[to]?.topic === topic && events[to]?.source === source) to++
      metrics.eventsReceived.inc({ source, topic: metrics.topicLabel(topic) }, to - from)
      from = to
    }
  }

  #reject (batch: PendingIntent[], refusal: PublicError): void {
    for (const pending of batch) {
      this.#waiting.leave(pending.intent)
      this.#quota.settled(pending.intent, 0)
      this.#refuse(pending, refusal)
    }
  }

  #refuse ({ intent, since, reject }: PendingIntent, refusal: PublicError, checked?: CheckedPayload): void {
    this.#options.metrics.eventsRejected.inc({ code: refusal.code })
    reject(refusal)
    this.#observer.refused({ intent, refusal, receivedAt: since, checked })
  }
}

/** Returns a connection to the pool after a failure, or discards it if it cannot roll back. */
async function abandon (client: pg.PoolClient, error: unknown): Promise<void> {
  if (isDatabaseUnavailable(error)) return client.release(true)
  try {
    await client.query('rollback')
    client.release()
  } catch {
    client.release(true)
  }
}
