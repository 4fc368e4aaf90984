import type { Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { WebhookSettings } from '../../config/webhook-settings.ts'
import type { Encryption } from '../../foundation/encryption/encryption.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { AddressGuard } from '../http/address-guard.ts'
import { fairSlots } from './fair-slots.ts'
import type { Deactivation } from './deactivation.ts'
import { EndpointHealth, type SwitchedOff } from './endpoint-health.ts'
import { deliveryId, EndpointWorker, type Ended, type Leased } from './endpoint-worker.ts'
import type { BusyEndpoint, Claimed, DeliveredEvent, Queue, Result } from './queue.ts'
import { createRetrySchedule, type RetrySchedule } from './retry-schedule.ts'
import type { Attempt } from '../http/sender.ts'
import type { Readers } from '../readers.ts'
import { ResultWriter } from './result-writer.ts'

/** How long requests in flight may continue at shutdown. A process has three seconds after a signal. */
const drainMs = 1000
/** Interval between checks for expired deliveries of endpoints that are down. */
const giveUpEveryMs = 1000
/** Interval between full polls of the queue while a backlog is being sent. */
const lookEveryMs = 100
/** Parts of the outbox that are expanded before due deliveries are sent. */
const expandRounds = 4
/** Interval between counts of the totals. */
const totalsEveryMs = 5000

export interface DispatcherOptions {
  db: Kysely<Database>
  queue: Queue
  guard: AddressGuard
  encryption: Encryption
  readers: Readers
  settings: WebhookSettings
  metrics: Metrics
  deactivation: Deactivation
  /** The clock for leases and retries, which all nodes share. */
  now: () => number
  /** The id of this node, which holds the leases of its deliveries. */
  node: string
  /** Receives the events whose delivery was accepted or given up. Must not throw. */
  onOver (events: readonly DeliveredEvent[]): void
  log: {
    debug (fields: object, message: string): void
    info (fields: object, message: string): void
    warn (fields: object, message: string): void
    error (fields: object, message: string): void
  }
}

export interface DispatcherHealth { heartbeatAgeMs: number, oldestWaitingMs: number, pending: number, dead: number }

/**
 * Sends deliveries of all tenants; every node runs one dispatcher. Commits on this node wake it. Once per second it
 * polls for other work: commits on other nodes, retries that are due, and leases of servers that ended. Each endpoint
 * has its own connections, limits and circuit, and slots are shared out in turn, so that a slow or dead endpoint delays
 * no other.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #schedule: RetrySchedule
  readonly #resultWriter: ResultWriter
  readonly #endpointHealth: EndpointHealth
  readonly #workers = new Map<string, EndpointWorker>()
  #running: Promise<void> | undefined
  #isStopping = false
  #isBrokenOff = false
  #wakeUp: () => void = () => {}
  #isWoken = false
  #isLookDue = true
  #lookAt = 0
  #timer: NodeJS.Timeout | undefined
  #unsettled = 0
  #rotation = 0
  #nextDue = Infinity
  #heartbeatAt = performance.now()
  #oldestDue: number | undefined
  #off: SwitchedOff[] = []
  #givenUpAt = 0
  #totalsAt = 0
  #totals = { pending: 0, dead: 0 }
  #isFailing = false

  constructor (options: DispatcherOptions) {
    this.#options = options
    const { settings } = options
    this.#schedule = createRetrySchedule(settings.retryScheduleMs)
    this.#endpointHealth = new EndpointHealth({
      ...options,
      deactivateAfterMs: settings.deactivateAfterMs,
      givenUpAfterMs: this.#schedule.totalMs + settings.timeoutMs
    })
    this.#resultWriter = new ResultWriter({
      queue: options.queue, log: options.log, onSettled: (result, isRecorded) => this.#settled(result, isRecorded)
    })
  }

  start (): void {
    this.#running ??= this.#run()
  }

  /** Polls the queue, because new deliveries may be due. */
  wake (): void {
    this.#isLookDue = true
    this.#wakeForMore()
  }

  /** Call after a webhook is updated, disabled or deleted: sending to it pauses until its settings are reloaded. */
  changed (webhookId: string): void {
    this.#workers.get(webhookId)?.hold()
    this.wake()
  }

  /** Call after an application is deleted: its deliveries that this node has leased are not sent any more. */
  applicationDeleted (applicationId: string): void {
    for (const worker of this.#workers.values()) if (worker.applicationId === applicationId) worker.hold()
    this.wake()
  }

  /** Returns the end of the pause that this node gives a failing endpoint; undefined while the circuit is closed. */
  pausedUntil (webhookId: string): number | undefined {
    const circuit = this.#workers.get(webhookId)?.circuit
    return circuit?.isOpen === true ? circuit.pausedUntil : undefined
  }

  health (): DispatcherHealth {
    const now = this.#options.now()
    return {
      heartbeatAgeMs: Math.round(performance.now() - this.#heartbeatAt),
      oldestWaitingMs: this.#oldestDue === undefined ? 0 : Math.max(0, now - this.#oldestDue),
      ...this.#totals
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
    for (const worker of this.#workers.values()) worker.giveBack()
    const deadline = setTimeout(() => {
      this.#isBrokenOff = true
      for (const worker of this.#workers.values()) worker.breakOff()
    }, drainMs)
    while (this.#held > 0) await new Promise<void>(resolve => { this.#wakeUp = resolve })
    clearTimeout(deadline)
    await this.#resultWriter.close()
    await this.#endpointHealth.close()
    await Promise.all([...this.#workers.values()].map(worker => worker.close()))
  }

  async #run (): Promise<void> {
    while (!this.#isStopping) {
      this.#isWoken = false
      try {
        await this.#cycle()
        this.#heartbeatAt = performance.now()
        this.#isFailing = false
      } catch (err) {
        if (!this.#isFailing) this.#options.log.warn({ err }, 'webhooks.cycle_failed')
        this.#isFailing = true
        this.#isWoken = false
      }
      await this.#pause()
    }
  }

  async #pause (): Promise<void> {
    if (this.#isWoken || this.#isStopping) return
    await new Promise<void>(resolve => {
      this.#wakeUp = resolve
      this.#setTimer()
    })
    clearTimeout(this.#timer)
    this.#wakeUp = () => {}
  }

  #setTimer (): void {
    const { pollMs } = this.#options.settings
    clearTimeout(this.#timer)
    this.#timer = setTimeout(
      () => this.#wakeUp(),
      this.#isFailing ? pollMs : Math.min(pollMs, Math.max(1, this.#nextDue - this.#options.now()))
    ).unref()
  }

  async #cycle (): Promise<void> {
    const { settings } = this.#options
    // While a backlog is being sent, a full poll now and then is enough.
    if (!this.#isLookDue && this.#options.now() < this.#lookAt) {
      const workers = [...this.#workers.values()].filter(worker => worker.mayHaveMore)
      return await this.#claim(workers, this.#options.now())
    }
    this.#isLookDue = false
    await this.#expand()
    const now = this.#options.now()
    this.#lookAt = now + Math.min(lookEveryMs, settings.pollMs)
    this.#nextDue = now + settings.pollMs
    const workers = await this.#busyWorkers(now)
    await this.#claim(workers, now)
    await this.#houseKeep(now)
  }

  /** Expands a limited part of the outbox per cycle: a fast-growing outbox must not hold up due deliveries. */
  async #expand (): Promise<void> {
    for (let round = 0; round < expandRounds; round++) if (!await this.#options.queue.expand()) return
    this.wake()
  }

  /** Returns the workers of active webhooks with deliveries that may be due, with their settings reloaded. */
  async #busyWorkers (now: number): Promise<EndpointWorker[]> {
    const { queue } = this.#options
    const workers: EndpointWorker[] = []
    const active = new Set<EndpointWorker>()
    const off: SwitchedOff[] = []
    let oldest: number | undefined
    for (let after = '', isMore = true; isMore;) {
      const page = await queue.busy(after)
      isMore = page.length >= queue.busyMax
      after = page.reduce((last, { id }) => id > last ? id : last, after)
      for (const endpoint of page) {
        if (!endpoint.active) {
          if (endpoint.deactivated_reason !== null) {
            off.push({ id: endpoint.id, deactivated_reason: endpoint.deactivated_reason })
          }
          continue
        }
        const worker = this.#workerOf(endpoint)
        active.add(worker)
        if (endpoint.next_at !== null && endpoint.next_at > now) this.#expect(endpoint.next_at)
        if (endpoint.is_laned || (endpoint.next_at !== null && endpoint.next_at <= now)) workers.push(worker)
        if (endpoint.next_at !== null && endpoint.next_at <= now) {
          oldest = Math.min(oldest ?? Infinity, endpoint.next_at)
        }
      }
    }
    this.#oldestDue = oldest
    this.#off = off
    for (const worker of this.#workers.values()) if (!active.has(worker)) worker.giveBack()
    return workers
  }

  async #claim (workers: EndpointWorker[], now: number): Promise<void> {
    const { queue, settings, node, metrics } = this.#options
    const free = settings.concurrencyMax - this.#held - this.#unsettled
    const demands = workers.map(of => ({ of, applicationId: of.applicationId, room: of.room(now), held: of.held }))
    const slots = fairSlots(demands, free, this.#heldByApplication(), this.#rotation++)
    for (const { of, room } of demands) {
      if (room <= 0) this.#expect(of.roomAt(now))
      // The worker gets its turn when slots are free.
      else if (!slots.has(of)) of.mayHaveMore = true
    }
    if (slots.size === 0) return
    const leaseUntil = now + 2 * settings.timeoutMs + settings.leaseMarginMs
    const wanted = [...slots].map(([worker, count]) => ({
      webhookId: worker.id, slots: count, afterLane: worker.afterLane
    }))
    const { claimed, lanesEnd } = await queue.claim(wanted, { now, leaseUntil, owner: node })
    const interrupted = claimed[0]?.interrupted ?? 0
    if (interrupted > 0) metrics.webhookDeliveries.inc({ status: 'interrupted' }, interrupted)
    const byWebhook = new Map<string, Leased[]>()
    for (const one of claimed) {
      const own = byWebhook.get(one.webhook_id)
      if (own === undefined) byWebhook.set(one.webhook_id, [{ claimed: one, leaseUntil }])
      else own.push({ claimed: one, leaseUntil })
    }
    for (const [worker, count] of slots) {
      const own = byWebhook.get(worker.id) ?? []
      const end = lanesEnd.get(worker.id)
      worker.mayHaveMore = own.length >= count || end !== undefined
      worker.afterLane = end ?? ''
      // The remaining lanes must be read before the next poll.
      if (end !== undefined && own.length < count) this.#expect(this.#options.now() + 10)
      worker.take(own)
    }
    this.#measure()
  }

  #workerOf (endpoint: BusyEndpoint): EndpointWorker {
    const known = this.#workers.get(endpoint.id)
    if (known !== undefined) {
      known.refresh(endpoint)
      return known
    }
    const { settings, guard, encryption, readers } = this.#options
    const worker = new EndpointWorker({
      endpoint,
      settings,
      guard,
      encryption,
      readers,
      now: this.#options.now,
      onEnded: (worker, ended) => this.#ended(worker, ended),
      onReturned: claimed => { void this.#giveBack(claimed) },
      onResent: () => this.#options.metrics.webhookResends.inc()
    })
    this.#workers.set(endpoint.id, worker)
    return worker
  }

  #ended (worker: EndpointWorker, { claimed, attempt, url, void: void_, isUndecided }: Ended): void {
    const { metrics, settings, log } = this.#options
    const now = this.#options.now()
    const isReplaced = url !== worker.url
    const isVoid = void_ !== undefined
    const isBrokenOff = this.#isBrokenOff && !attempt.success
    // A 410 deactivates the webhook, which gives up this delivery. If the URL was replaced meanwhile, the new
    // endpoint receives it.
    const notBefore = now + (attempt.statusCode === 410 && !isReplaced ? settings.timeoutMs : attempt.retryAfterMs ?? 0)
    // Neither case is a failure of the endpoint.
    const isNoTry = isBrokenOff || isUndecided
    const soon = isBrokenOff ? now : now + settings.pollMs
    const result = isNoTry
      ? this.#toResult(claimed, 'pending', soon, claimed.failures)
      : this.#resultOf(claimed, attempt.success, isVoid, notBefore, now)
    if (!isNoTry && !isVoid && !isReplaced) this.#learn(worker, attempt, now)
    metrics.webhookDeliveries.inc({
      status: isNoTry ? 'interrupted' : result.state === 'pending' ? 'failed' : result.state
    })
    metrics.webhookAttemptDuration.observe(attempt.durationMs / 1000)
    if (claimed.attempts > 1) metrics.webhookRetries.inc()
    if (result.state === 'delivered') metrics.webhookLatency.observe(Math.max(0, now - claimed.created_at) / 1000)
    const line = {
      deliveryId: deliveryId(claimed.id),
      webhookId: claimed.webhook_id,
      eventId: claimed.event_id,
      applicationId: claimed.application_id,
      attempt: claimed.attempts,
      status: attempt.statusCode,
      state: result.state,
      error: attempt.error,
      durationMs: attempt.durationMs
    }
    log.debug(line, 'delivery.attempted')
    if (result.state === 'dead') {
      log.warn(
        { ...line, ...(claimed.lane !== null && { key: claimed.lane, next: 'the next delivery of its key follows' }) },
        'delivery.dead'
      )
    }
    if (void_ === 'expired') log.error(line, 'delivery.event_expired')
    if (void_ === 'not_permitted') log.warn(line, 'delivery.not_permitted')
    const gaveUp = result.state === 'dead' && attempt.error !== null
      ? `${attempt.error}; given up after ${claimed.failures + 1} failures${
        claimed.lane === null ? '' : '. The next delivery of its key follows'
      }`
      : attempt.error
    this.#unsettled++
    this.#resultWriter.record({
      ...result,
      success: attempt.success,
      statusCode: attempt.statusCode,
      error: isBrokenOff ? 'Interrupted: the server was shutting down' : gaveUp,
      responseBody: attempt.responseBody,
      durationMs: attempt.durationMs,
      url
    })
    if (this.#isStopping) this.#wakeUp()
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

  #resultOf (claimed: Claimed, isSuccess: boolean, isFinal: boolean, notBefore: number, now: number): Result {
    if (isSuccess) return this.#toResult(claimed, 'delivered', now, claimed.failures)
    const failures = claimed.failures + 1
    const waitMs = isFinal ? undefined : this.#schedule.delayMs(failures)
    return waitMs === undefined
      ? this.#toResult(claimed, 'dead', now, failures)
      : this.#toResult(claimed, 'pending', Math.max(now + waitMs, notBefore), failures)
  }

  #toResult (claimed: Claimed, state: Result['state'], nextAt: number, failures: number): Result {
    const {
      seq, fence, webhook_id: webhookId, application_id: applicationId, environment, event_id: id, event_at: timestamp
    } = claimed
    return {
      seq,
      fence,
      webhookId,
      event: { scope: { applicationId, environment }, id, timestamp },
      state,
      nextAt,
      failures,
      success: false,
      statusCode: null,
      error: null,
      responseBody: null,
      durationMs: 0,
      url: ''
    }
  }

  #settled ({ webhookId, ...result }: Result, isRecorded: boolean): void {
    this.#unsettled--
    if (!isRecorded) this.#options.metrics.webhookDeliveries.inc({ status: 'lost' })
    else if (result.state !== 'pending') this.#options.onOver([result.event])
    if (result.state === 'pending') this.#expect(result.nextAt)
    // A slot is free, and the next delivery of the lane may follow.
    if (!this.#isStopping && this.#workers.get(webhookId)?.mayHaveMore === true) this.#wakeForMore()
  }

  #wakeForMore (): void {
    this.#isWoken = true
    this.#wakeUp()
  }

  async #houseKeep (now: number): Promise<void> {
    const { queue, metrics, settings, deactivation } = this.#options
    if (now - this.#givenUpAt >= Math.min(giveUpEveryMs, settings.pollMs)) {
      this.#givenUpAt = now
      this.#endpointHealth.giveUp([...this.#workers.values()], this.#off)
      for (const worker of this.#workers.values()) {
        // Keeps the worker until a pause requested by the endpoint ends.
        if (worker.held === 0 && now - worker.usedAt > settings.endpointIdleMs && now >= worker.circuit.pausedUntil) {
          this.#workers.delete(worker.id)
          void worker.close()
        }
      }
      await deactivation.tellRest()
    }
    if (now - this.#totalsAt >= totalsEveryMs) {
      this.#totalsAt = now
      this.#totals = await queue.totals()
      metrics.queueDepth.set({ queue: 'webhooks' }, this.#totals.pending)
      metrics.webhookDead.set(this.#totals.dead)
    }
    this.#measure()
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

  /** Schedules a poll for that time, if none is due earlier. */
  #expect (at: number): void {
    if (at >= this.#nextDue) return
    this.#nextDue = at
    if (this.#timer !== undefined) this.#setTimer()
  }

  get #held (): number {
    let held = 0
    for (const worker of this.#workers.values()) held += worker.held
    return held
  }

  #heldByApplication (): Map<string, number> {
    const held = new Map<string, number>()
    for (const worker of this.#workers.values()) {
      held.set(worker.applicationId, (held.get(worker.applicationId) ?? 0) + worker.held)
    }
    return held
  }

  #measure (): void {
    let inFlight = 0
    let open = 0
    for (const worker of this.#workers.values()) {
      inFlight += worker.inFlight
      if (worker.circuit.isOpen) open++
    }
    this.#options.metrics.webhooksInFlight.set(inFlight)
    this.#options.metrics.webhookCircuitsOpen.set(open)
  }
}
