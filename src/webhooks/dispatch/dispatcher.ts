import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { Component } from '../../../schemas/health.ts'
import type { WebhookSettings } from '../../config/webhook-settings.ts'
import type { Encryption } from '../../foundation/encryption/encryption.ts'
import type { LiveStats } from '../../foundation/observability/live-stats.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { AddressGuard } from '../http/address-guard.ts'
import type { Attempt } from '../http/sender.ts'
import type { Readers } from '../readers.ts'
import { createAttemptReport } from './attempt-report.ts'
import { createAttemptResult, isCounted, type EndedAttempt } from './attempt-result.ts'
import type { DeliveredEvent } from './burial.ts'
import type { Claimed } from './claim.ts'
import { Claimer } from './claimer.ts'
import type { Deactivation } from './deactivation.ts'
import { EndpointHealth } from './endpoint-health.ts'
import { scanEndpoints, type EndpointScan } from './endpoint-scan.ts'
import type { Ended, EndpointWorker } from './endpoint-worker.ts'
import { EndpointWorkers } from './endpoint-workers.ts'
import { Housekeeping } from './housekeeping.ts'
import type { Outbox } from './outbox.ts'
import type { Queue, Result } from './queue.ts'
import { ResultWriter } from './result-writer.ts'
import { createRetrySchedule } from './retry-schedule.ts'
import { WakeUp } from './wake-up.ts'

/** How long requests in flight may continue at shutdown. A process has three seconds after a signal. */
const drainMs = 1000
/** Interval between full polls of the queue while a backlog is being sent. */
const lookEveryMs = 100
/** Parts of the outbox that are expanded before due deliveries are sent. */
const expandRounds = 4
/** Time without a completed cycle after which the dispatcher counts as failed. */
const heartbeatMaxMs = 30_000

export interface DispatcherOptions {
  db: Kysely<Database>
  outbox: Outbox
  queue: Queue
  guard: AddressGuard
  encryption: Encryption
  readers: Readers
  settings: WebhookSettings
  metrics: Metrics
  liveStats: LiveStats
  deactivation: Deactivation
  /** The clock for leases and retries, which all nodes share. */
  now: () => number
  /** The id of this node, which holds the leases of its deliveries. */
  node: string
  /** Receives the events whose delivery was accepted or given up. Must not throw. */
  onOver (events: readonly DeliveredEvent[]): void
  /** Receives the event of each successful delivery. */
  onDelivered? (event: DeliveredEvent): void
  log: {
    debug (fields: object, message: string): void
    info (fields: object, message: string): void
    warn (fields: object, message: string): void
    error (fields: object, message: string): void
  }
}

/**
 * Sends deliveries of all tenants; every node runs one dispatcher. Commits on this node wake it. Once per second it
 * polls for other work: commits on other nodes, retries that are due, and leases of servers that ended. Each endpoint
 * has its own connections, limits and circuit, and slots are shared out in turn, so that a slow or dead endpoint delays
 * no other.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #wakeUp: WakeUp
  readonly #workers: EndpointWorkers
  readonly #claimer: Claimer
  readonly #housekeeping: Housekeeping
  readonly #resultOf: ReturnType<typeof createAttemptResult>
  readonly #report: ReturnType<typeof createAttemptReport>
  readonly #resultWriter: ResultWriter
  readonly #endpointHealth: EndpointHealth
  #running: Promise<void> | undefined
  #isStopping = false
  #isBrokenOff = false
  #isFailing = false
  #isLookDue = true
  #lookAt = 0
  #heartbeatAt = performance.now()
  #oldestDueAt: number | undefined

  constructor (options: DispatcherOptions) {
    this.#options = options
    const { settings } = options
    const schedule = createRetrySchedule(settings.retryScheduleMs)
    this.#resultOf = createAttemptResult(schedule, settings)
    this.#report = createAttemptReport(options)
    this.#wakeUp = new WakeUp({ pollMs: settings.pollMs, now: options.now })
    this.#workers = new EndpointWorkers({
      ...options,
      onEnded: (worker, ended) => this.#ended(worker, ended),
      onReturned: claimed => { void this.#giveBack(claimed) },
      onResent: () => options.metrics.webhookResends.inc()
    })
    this.#endpointHealth = new EndpointHealth({
      ...options,
      deactivateAfterMs: settings.deactivateAfterMs,
      givenUpAfterMs: schedule.totalMs + settings.timeoutMs
    })
    this.#resultWriter = new ResultWriter({
      queue: options.queue, log: options.log, onSettled: (result, isRecorded) => this.#settled(result, isRecorded)
    })
    this.#claimer = new Claimer({
      ...options, workers: this.#workers, resultWriter: this.#resultWriter, wakeUp: this.#wakeUp
    })
    this.#housekeeping = new Housekeeping({
      ...options, workers: this.#workers, endpointHealth: this.#endpointHealth
    })
  }

  start (): void {
    this.#running ??= this.#run()
  }

  /** Polls the queue, because new deliveries may be due. */
  wake (): void {
    this.#isLookDue = true
    this.#wakeUp.wake()
  }

  /** Call after a webhook is updated, disabled or deleted: sending to it pauses until its settings are reloaded. */
  changed (webhookId: string): void {
    this.#workers.hold(webhookId)
    this.wake()
  }

  /** Call after an application is deleted: its deliveries that this node has leased are not sent any more. */
  applicationDeleted (applicationId: string): void {
    this.#workers.holdApplication(applicationId)
    this.wake()
  }

  /** Returns the end of the pause that this node gives a failing endpoint; undefined while the circuit is closed. */
  pausedUntil (webhookId: string): number | undefined {
    const circuit = this.#workers.find(webhookId)?.circuit
    return circuit?.isOpen === true ? circuit.pausedUntil : undefined
  }

  health (): Component {
    const now = this.#options.now()
    const heartbeatAgeMs = Math.round(performance.now() - this.#heartbeatAt)
    return {
      status: heartbeatAgeMs < heartbeatMaxMs ? 'ok' : 'failed',
      heartbeatAgeMs,
      oldestWaitingMs: this.#oldestDueAt === undefined ? 0 : Math.max(0, now - this.#oldestDueAt),
      depth: this.#housekeeping.pending
    }
  }

  /**
   * Stops claiming, releases unsent deliveries and lets requests in flight finish within `drainMs`. Call before the
   * writer and the pool are closed.
   */
  async close (): Promise<void> {
    this.#isStopping = true
    this.wake()
    await this.#running
    for (const worker of this.#workers.all()) worker.giveBack()
    const deadline = setTimeout(() => {
      this.#isBrokenOff = true
      for (const worker of this.#workers.all()) worker.breakOff()
    }, drainMs)
    while (this.#workers.held > 0) await this.#wakeUp.woken()
    clearTimeout(deadline)
    await this.#resultWriter.close()
    await this.#endpointHealth.close()
    await this.#workers.close()
  }

  async #run (): Promise<void> {
    while (!this.#isStopping) {
      this.#wakeUp.reset()
      try {
        await this.#cycle()
        this.#heartbeatAt = performance.now()
        this.#isFailing = false
      } catch (err) {
        if (!this.#isFailing) this.#options.log.warn({ err }, 'webhooks.cycle_failed')
        this.#isFailing = true
        this.#wakeUp.reset()
      }
      if (this.#isStopping) return
      await (this.#isFailing ? this.#wakeUp.waitForPoll() : this.#wakeUp.wait())
    }
  }

  async #cycle (): Promise<void> {
    const { settings, now: clock } = this.#options
    // While a backlog is being sent, a full poll now and then is enough.
    if (!this.#isLookDue && clock() < this.#lookAt) {
      const workers = this.#workers.all().filter(worker => worker.mayHaveMore)
      return await this.#claimer.claim(workers, clock())
    }
    this.#isLookDue = false
    await this.#expand()
    const now = clock()
    this.#lookAt = now + Math.min(lookEveryMs, settings.pollMs)
    this.#wakeUp.startPoll(now)
    const { due, deactivated } = await this.#scan(now)
    await this.#claimer.claim(due, now)
    await this.#housekeeping.run(deactivated, now)
  }

  /** Expands a limited part of the outbox per cycle: a fast-growing outbox must not hold up due deliveries. */
  async #expand (): Promise<void> {
    for (let round = 0; round < expandRounds; round++) if (!await this.#options.outbox.expand()) return
    this.wake()
  }

  async #scan (now: number): Promise<EndpointScan> {
    const scan = await scanEndpoints(this.#options.queue, this.#workers, now)
    if (scan.nextDueAt !== undefined) this.#wakeUp.expect(scan.nextDueAt)
    this.#oldestDueAt = scan.oldestDueAt
    this.#workers.giveBackExcept(scan.active)
    return scan
  }

  #ended (worker: EndpointWorker, details: Ended): void {
    const ended: EndedAttempt = {
      ...details,
      now: this.#options.now(),
      isReplaced: details.url !== worker.url,
      isBrokenOff: this.#isBrokenOff && !details.attempt.success
    }
    const result = this.#resultOf(ended)
    // Only a request to the current URL shows how the endpoint is.
    if (isCounted(ended) && ended.void === undefined && !ended.isReplaced) this.#learn(worker, ended.attempt, ended.now)
    this.#report(ended, result)
    this.#resultWriter.record(result)
    if (this.#isStopping) this.#wakeUp.wake()
  }

  #learn (worker: EndpointWorker, attempt: Attempt, now: number): void {
    if (attempt.success) worker.circuit.succeeded()
    else {
      worker.circuit.failed(now)
      if (attempt.statusCode === 429 || (attempt.statusCode === 503 && attempt.retryAfterMs !== undefined)) {
        worker.circuit.pause(now + Math.max(attempt.retryAfterMs ?? 0, this.#options.settings.circuitPauseMs))
      }
    }
    this.#endpointHealth.note(worker, attempt, now)
  }

  #settled (result: Result, isRecorded: boolean): void {
    if (!isRecorded) this.#options.metrics.webhookDeliveries.inc({ status: 'lost' })
    else if (result.state !== 'pending') {
      this.#options.onOver([result.event])
      if (result.state === 'delivered') this.#options.onDelivered?.(result.event)
    }
    if (result.state === 'pending') this.#wakeUp.expect(result.nextAt)
    // A slot is free, and the next delivery of the lane may follow.
    if (!this.#isStopping && this.#workers.find(result.webhookId)?.mayHaveMore === true) this.#wakeUp.wake()
  }

  async #giveBack (claimed: Claimed[]): Promise<void> {
    try {
      await this.#options.queue.release(claimed)
      if (!this.#isStopping) this.wake()
    } catch (err) {
      // The leases expire by themselves.
      this.#options.log.warn({ err, deliveries: claimed.length }, 'webhooks.release_failed')
    }
  }
}
