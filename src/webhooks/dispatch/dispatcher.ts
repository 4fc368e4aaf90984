import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { Component } from '../../../schemas/health.ts'
import type { WebhookSettings } from '../../config/webhook-settings.ts'
import type { Encryption } from '../../foundation/encryption/encryption.ts'
import type { LiveStats } from '../../foundation/observability/live-stats.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { AddressGuard } from '../http/address-guard.ts'
import type { Readers } from '../readers.ts'
import { Alarm } from './alarm.ts'
import type { Claimed } from './claim.ts'
import { Claimer } from './claimer.ts'
import type { Deactivation } from './deactivation.ts'
import { EndpointHealth } from './endpoint-health.ts'
import { scanEndpoints, type EndpointScan } from './endpoint-scan.ts'
import { EndpointWorkers } from './endpoint-workers.ts'
import type { DeliveredEvent } from './give-up.ts'
import { Housekeeping } from './housekeeping.ts'
import type { Outbox } from './outbox.ts'
import type { Queue, Result } from './queue.ts'
import { Recorder } from './recorder.ts'
import { createRetrySchedule } from './retry-schedule.ts'

/** How long requests in flight may continue at shutdown. A process has three seconds after a signal. */
const drainMs = 1000
/** Shortest wait for a retry: a look at this time finds the retries that became due in the meantime. */
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
 * Sends deliveries of all tenants; every node runs one dispatcher. A delivery passes through three stages: the claimer
 * leases it, the worker of its endpoint sends it, the recorder stores the result.
 *
 * A loop looks for deliveries that are due, and claims them. Commits on this node wake it. Once per second it polls for
 * other work: commits on other nodes, and leases of servers that ended. Each endpoint has its own connections, limits
 * and circuit, and slots are shared out in turn, so that a slow or dead endpoint delays no other.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #alarm: Alarm
  readonly #workers: EndpointWorkers
  readonly #claimer: Claimer
  readonly #recorder: Recorder
  readonly #housekeeping: Housekeeping
  #running: Promise<void> | undefined
  #isStopping = false
  #isFailing = false
  /** When the loop looks for due deliveries again. In between, it claims from endpoints that are known to have some. */
  #lookAt = -Infinity
  #scan: EndpointScan = { failing: [], oldestDueAt: Infinity, nextDueAt: Infinity }
  #heartbeatAt = performance.now()

  constructor (options: DispatcherOptions) {
    this.#options = options
    const { settings, metrics } = options
    const schedule = createRetrySchedule(settings.retryScheduleMs)
    this.#alarm = new Alarm(options.now)
    const endpointHealth = new EndpointHealth({ ...options, schedule })
    this.#recorder = new Recorder({
      ...options, schedule, endpointHealth, onRecorded: result => this.#recorded(result)
    })
    this.#workers = new EndpointWorkers({
      ...options,
      onEnded: (worker, ended) => {
        this.#recorder.record(worker, ended)
        if (this.#isStopping) this.#alarm.wake()
      },
      onReturned: claimed => { void this.#giveBack(claimed) },
      onResent: () => metrics.webhookResends.inc()
    })
    this.#claimer = new Claimer({ ...options, workers: this.#workers, recorder: this.#recorder, alarm: this.#alarm })
    this.#housekeeping = new Housekeeping({
      ...options, workers: this.#workers, endpointHealth, failing: () => this.#scan.failing
    })
  }

  start (): void {
    this.#running ??= this.#run()
    this.#housekeeping.start()
  }

  /** Polls the queue, because new deliveries may be due. */
  wake (): void {
    this.#lookBy(-Infinity)
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
      oldestWaitingMs: Math.max(0, now - this.#scan.oldestDueAt),
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
    await Promise.all([this.#running, this.#housekeeping.close()])
    for (const worker of this.#workers.all()) worker.giveBack()
    const deadline = setTimeout(() => {
      this.#recorder.breakOff()
      for (const worker of this.#workers.all()) worker.breakOff()
    }, drainMs)
    while (this.#workers.held > 0) await this.#alarm.next()
    clearTimeout(deadline)
    await this.#recorder.close()
    await this.#workers.close()
  }

  async #run (): Promise<void> {
    while (!this.#isStopping) {
      try {
        await this.#cycle()
        this.#heartbeatAt = performance.now()
        this.#isFailing = false
      } catch (err) {
        if (!this.#isFailing) this.#options.log.warn({ err }, 'webhooks.cycle_failed')
        this.#isFailing = true
        this.#lookAt = this.#options.now() + this.#options.settings.pollMs
      }
      this.#alarm.wakeAt(this.#lookAt)
      await this.#alarm.next()
    }
  }

  async #cycle (): Promise<void> {
    const { settings: { pollMs }, now } = this.#options
    const untilLookMs = this.#lookAt - now()
    // A look that is further away was planned before the clock was set back.
    if (untilLookMs <= 0 || untilLookMs > pollMs) await this.#look()
    await this.#claimer.claim(this.#workers.due(), now())
  }

  async #look (): Promise<void> {
    const { queue, settings: { pollMs }, now: clock } = this.#options
    this.#lookAt = clock() + pollMs
    await this.#expand()
    this.#scan = await scanEndpoints(queue, this.#workers, clock())
    this.#expectDue(this.#scan.nextDueAt)
  }

  /** Expands a limited part of the outbox: a fast-growing outbox must not hold up due deliveries. */
  async #expand (): Promise<void> {
    for (let round = 0; round < expandRounds; round++) if (!await this.#options.outbox.expand()) return
    this.wake()
  }

  #lookBy (time: number): void {
    this.#lookAt = Math.min(this.#lookAt, time)
    this.#alarm.wakeAt(this.#lookAt)
  }

  #expectDue (time: number): void {
    const { settings: { pollMs }, now } = this.#options
    this.#lookBy(Math.max(time, now() + Math.min(lookEveryMs, pollMs)))
  }

  #recorded ({ webhookId, state, nextAt, isLaned }: Result): void {
    const worker = this.#workers.find(webhookId)
    if (state === 'pending') this.#expectDue(nextAt)
    // The next delivery of the lane follows.
    else if (isLaned && worker !== undefined) worker.isDue = true
    // A slot is free.
    if (worker?.isDue === true) this.#alarm.wake()
  }

  async #giveBack (claimed: Claimed[]): Promise<void> {
    try {
      await this.#options.queue.release(claimed)
      this.wake()
    } catch (err) {
      // The leases expire by themselves.
      this.#options.log.warn({ err, deliveries: claimed.length }, 'webhooks.release_failed')
    }
  }
}
