import type { WebhookSettings } from '../../config/webhook-settings.ts'
import type { LiveStats } from '../../foundation/observability/live-stats.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { Attempt } from '../http/sender.ts'
import { createAttemptReport, type AttemptReportOptions } from './attempt-report.ts'
import { createAttemptResult, isCounted, type EndedAttempt } from './attempt-result.ts'
import type { EndpointHealth } from './endpoint-health.ts'
import type { Ended, EndpointWorker } from './endpoint-worker.ts'
import type { DeliveredEvent } from './give-up.ts'
import type { Queue, Result } from './queue.ts'
import { ResultWriter } from './result-writer.ts'
import type { RetrySchedule } from './retry-schedule.ts'

export interface RecorderOptions {
  queue: Queue
  schedule: RetrySchedule
  endpointHealth: EndpointHealth
  settings: WebhookSettings
  metrics: Metrics
  liveStats: LiveStats
  now: () => number
  /** Receives the events whose delivery was accepted or given up. Must not throw. */
  onOver (events: readonly DeliveredEvent[]): void
  /** Receives the event of each successful delivery. */
  onDelivered? (event: DeliveredEvent): void
  /** Receives each result once it is recorded, or its lease turns out to be lost. */
  onRecorded (result: Result): void
  log: AttemptReportOptions['log']
}

/** Decides how deliveries continue after their attempts, applies what these show of the endpoint, and stores both. */
export class Recorder {
  readonly #options: RecorderOptions
  readonly #resultOf: ReturnType<typeof createAttemptResult>
  readonly #report: ReturnType<typeof createAttemptReport>
  readonly #writer: ResultWriter
  #isBreakingOff = false

  constructor (options: RecorderOptions) {
    this.#options = options
    this.#resultOf = createAttemptResult(options.schedule, options.settings)
    this.#report = createAttemptReport(options)
    this.#writer = new ResultWriter({
      ...options, onSettled: (result, isRecorded) => this.#settled(result, isRecorded)
    })
  }

  /** Number of results that are not stored yet. */
  get unsettled (): number { return this.#writer.unsettled }

  record (worker: EndpointWorker, details: Ended): void {
    const ended: EndedAttempt = {
      ...details,
      now: this.#options.now(),
      isReplaced: details.url !== worker.url,
      isBrokenOff: this.#isBreakingOff && !details.attempt.success
    }
    const result = this.#resultOf(ended)
    // Only a request to the current URL shows how the endpoint is.
    if (isCounted(ended) && ended.void === undefined && !ended.isReplaced) this.#learn(worker, ended.attempt, ended.now)
    this.#report(ended, result)
    this.#writer.record(result)
  }

  /** From now on, a failure is an interruption by the shutdown of this server. */
  breakOff (): void {
    this.#isBreakingOff = true
  }

  /** Stores the waiting results. Discards them while the database is unavailable: leases expire by themselves. */
  async close (): Promise<void> {
    await this.#writer.close()
  }

  #learn (worker: EndpointWorker, attempt: Attempt, now: number): void {
    if (attempt.success) worker.circuit.succeeded()
    else {
      worker.circuit.failed(now)
      if (attempt.statusCode === 429 || (attempt.statusCode === 503 && attempt.retryAfterMs !== undefined)) {
        worker.circuit.pause(now + Math.max(attempt.retryAfterMs ?? 0, this.#options.settings.circuitPauseMs))
      }
    }
    this.#options.endpointHealth.note(worker, attempt, now)
  }

  #settled (result: Result, isRecorded: boolean): void {
    const { metrics, onOver, onDelivered, onRecorded } = this.#options
    if (!isRecorded) metrics.webhookDeliveries.inc({ status: 'lost' })
    else if (result.state !== 'pending') {
      onOver([result.event])
      if (result.state === 'delivered') onDelivered?.(result.event)
    }
    onRecorded(result)
  }
}
