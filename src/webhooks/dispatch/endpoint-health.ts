import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { Deactivation, DeactivationReason } from './deactivation.ts'
import type { EndpointWorker } from './endpoint-worker.ts'
import type { Burial, DeliveredEvent } from './burial.ts'
import type { Queue } from './queue.ts'
import type { Attempt } from '../http/sender.ts'

/**
 * Added to the duration of the schedule. A failure that follows the previous one by more than the sum starts a new
 * series: the state of the endpoint in between is unknown.
 */
const quietMs = 24 * 3_600_000
/** Interval between updates of the time of the last failure. */
const notedEveryMs = 10 * 60_000

const offTexts: Record<DeactivationReason, string> = {
  gone: 'Given up: the endpoint responded with 410 Gone',
  failing: 'Given up: every request to the endpoint has failed for days'
}

/** A webhook that the platform deactivated and that still has pending deliveries. */
export interface SwitchedOff { id: string, deactivated_reason: DeactivationReason }

export interface EndpointHealthOptions {
  db: Kysely<Database>
  queue: Queue
  deactivation: Deactivation
  metrics: Metrics
  now: () => number
  /** How long every request to an endpoint may fail before its webhook is deactivated. */
  deactivateAfterMs: number
  /** Longest time from the first attempt of a delivery to the last. */
  givenUpAfterMs: number
  /** Receives the events whose delivery was given up. Must not throw. */
  onOver (events: readonly DeliveredEvent[]): void
  log: { warn (fields: object, message: string): void }
}

/**
 * Records since when every request to an endpoint has failed; all nodes share this time. Deactivates the webhook when
 * the endpoint has failed for days or responds with 410, and gives up deliveries of an endpoint that is down once their
 * schedule is over.
 */
export class EndpointHealth {
  readonly #options: EndpointHealthOptions
  #burying: Promise<void> | undefined
  #isClosed = false

  constructor (options: EndpointHealthOptions) {
    this.#options = options
  }

  /** Records the result of an attempt at the current URL. */
  note (worker: EndpointWorker, { success, statusCode }: Attempt, now: number): void {
    const { failingSince: since } = worker
    if (statusCode === 410) return this.#inBackground(this.#options.deactivation.deactivate(worker, 'gone'))
    if (success) {
      if (since === null) return
      worker.failingSince = null
      return this.#inBackground(this.#succeeds(worker))
    }
    const lastAt = worker.failedAt ?? since ?? now
    const isFirst = since === null || now - lastAt > this.#quietMs
    if (!isFirst && now - since > this.#options.deactivateAfterMs) {
      return this.#inBackground(this.#options.deactivation.deactivate(worker, 'failing'))
    }
    if (!isFirst && now - lastAt < notedEveryMs) return
    if (isFirst) worker.failingSince = now
    worker.failedAt = now
    this.#inBackground(this.#fails(worker, now))
  }

  /**
   * Gives up all pending deliveries of webhooks that the platform deactivated. For an endpoint that is down, gives up
   * the deliveries that have been due for longer than the schedule lasts, as if each had been tried. This node must
   * have observed the outage for that long, because times without a request are no evidence. Runs in the background, a
   * part of each endpoint at a time, so that other deliveries do not wait.
   */
  giveUp (workers: readonly EndpointWorker[], off: readonly SwitchedOff[]): void {
    this.#burying ??= this.#buryAll(workers, off).catch(this.#notNoted).finally(() => { this.#burying = undefined })
  }

  /** Waits for the part in progress. */
  async close (): Promise<void> {
    this.#isClosed = true
    await this.#burying
  }

  async #buryAll (workers: readonly EndpointWorker[], off: readonly SwitchedOff[]): Promise<void> {
    const { givenUpAfterMs, now } = this.#options
    for (let isMore = true; isMore;) {
      isMore = false
      for (const { id, deactivated_reason: reason } of off) {
        isMore = await this.#bury(id, { dueBy: Number.MAX_SAFE_INTEGER, url: null, reason: offTexts[reason] }) || isMore
      }
      for (const { id, url, circuit, failingSince } of workers) {
        const dueBy = now() - givenUpAfterMs
        if (circuit.downMs <= givenUpAfterMs || failingSince === null || failingSince >= dueBy) continue
        isMore =
          await this.#bury(id, {
            dueBy, url,
            reason: 'Given up: every request to the endpoint has failed for as long as the retry schedule lasts'
          }) || isMore
      }
    }
  }

  async #succeeds ({ id, url }: EndpointWorker): Promise<void> {
    await this.#options.db.updateTable('webhooks').set({ failing_since: null }).where('id', '=', id).where(
      'url', '=', url
    ).where('failing_since', 'is not', null).execute()
  }

  async #fails ({ id, url }: EndpointWorker, now: number): Promise<void> {
    const isFirst = sql`failing_since is null or coalesce(failed_at, failing_since) < ${now - this.#quietMs}`
    await this.#options.db.updateTable('webhooks').set({
      failing_since: sql`case when ${isFirst} then ${now} else failing_since end`,
      failed_at: now
    })
      .where('id', '=', id).where('url', '=', url).execute()
  }

  get #quietMs (): number { return this.#options.givenUpAfterMs + quietMs }

  /** Gives up one part. Returns whether there was any. */
  async #bury (webhookId: string, burial: Burial): Promise<boolean> {
    const { queue, log, metrics, onOver, now } = this.#options
    if (this.#isClosed) return false
    const events = await queue.bury(webhookId, burial, now())
    if (events.length === 0) return false
    onOver(events)
    metrics.webhookDeliveries.inc({ status: 'dead' }, events.length)
    log.warn({ webhookId, deliveries: events.length, reason: burial.reason }, 'deliveries.dead')
    return true
  }

  #inBackground (work: Promise<void>): void {
    work.catch(this.#notNoted)
  }

  readonly #notNoted = (err: unknown) => this.#options.log.warn({ err }, 'webhooks.health_not_noted')
}
