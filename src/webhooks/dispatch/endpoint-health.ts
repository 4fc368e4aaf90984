import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { Deactivation, DeactivationReason } from './deactivation.ts'
import type { Outlet } from './endpoint-worker.ts'
import type { Burial, DeliveredEvent, Queue } from './queue.ts'
import type { Attempt } from '../http/sender.ts'

/**
 * A failure that comes so long after the one before, beside what the schedule lasts, is the first: of what lies between
 * nobody knows.
 */
const quietMs = 24 * 3_600_000
/** How often it is written down that an endpoint still fails. */
const notedEveryMs = 10 * 60_000

const offTexts: Record<DeactivationReason, string> = {
  gone: 'Given up: the endpoint answered 410', failing: 'Given up: the endpoint has done nothing but fail for days'
}

/** A webhook that was switched off, not by its owner, and is still owed something. */
export interface SwitchedOff { id: string, deactivated_reason: DeactivationReason }

export interface EndpointHealthOptions {
  db: Kysely<Database>
  queue: Queue
  deactivation: Deactivation
  metrics: Metrics
  now: () => number
  /** How long an endpoint may do nothing but fail before it is switched off. */
  deactivateAfterMs: number
  /** How long a delivery is tried, from its first attempt to its last. */
  givenUpAfterMs: number
  /** Told of events a delivery of which has been given up. Never throws. */
  onOver (events: readonly DeliveredEvent[]): void
  log: { warn (fields: object, message: string): void }
}

/**
 * Keeps since when each endpoint has done nothing but fail, which all nodes share, and what follows of it: one that has
 * failed for days, or says that it is gone, is switched off, and what is owed to one that is down is given up when its
 * time is over.
 */
export class EndpointHealth {
  readonly #options: EndpointHealthOptions
  #burying: Promise<void> | undefined
  #isClosed = false

  constructor (options: EndpointHealthOptions) {
    this.#options = options
  }

  /** An attempt at the endpoint as it is now has ended. */
  note (outlet: Outlet, { success, statusCode }: Attempt, now: number): void {
    const { failingSince: since } = outlet
    if (statusCode === 410) return this.#inBackground(this.#options.deactivation.deactivate(outlet, 'gone'))
    if (success) {
      if (since === null) return
      outlet.failingSince = null
      return this.#inBackground(this.#succeeds(outlet))
    }
    const lastAt = outlet.failedAt ?? since ?? now
    const isFirst = since === null || now - lastAt > this.#quietMs
    if (!isFirst && now - since > this.#options.deactivateAfterMs) { return this.#inBackground(this.#options.deactivation.deactivate(outlet, 'failing')) }
    if (!isFirst && now - lastAt < notedEveryMs) return
    if (isFirst) outlet.failingSince = now
    outlet.failedAt = now
    this.#inBackground(this.#fails(outlet, now))
  }

  /**
   * Gives up what is owed to those that were switched off because they are gone or fail, and of what is owed to an
   * endpoint that is down what has been due for longer than the schedule lasts, as it would have been had each been
   * tried. This node must have seen it to be down for so long: of a time in which nothing was sent, nobody knows. It
   * goes on in the background, a part of each endpoint's at a time: nobody else's deliveries wait for it.
   */
  giveUp (outlets: readonly Outlet[], off: readonly SwitchedOff[]): void {
    this.#burying ??= this.#buryAll(outlets, off).catch(this.#notNoted).finally(() => { this.#burying = undefined })
  }

  /** Waits for what has been begun. */
  async close (): Promise<void> {
    this.#isClosed = true
    await this.#burying
  }

  async #buryAll (outlets: readonly Outlet[], off: readonly SwitchedOff[]): Promise<void> {
    const { givenUpAfterMs, now } = this.#options
    for (let isMore = true; isMore;) {
      isMore = false
      for (const { id, deactivated_reason: reason } of off) {
        isMore = await this.#bury(id, { dueBy: Number.MAX_SAFE_INTEGER, url: null, reason: offTexts[reason] }) || isMore
      }
      for (const { id, url, circuit, failingSince } of outlets) {
        const dueBy = now() - givenUpAfterMs
        if (circuit.downMs <= givenUpAfterMs || failingSince === null || failingSince >= dueBy) continue
        isMore =
          await this.#bury(id, {
            dueBy, url,
            reason: 'Given up: the endpoint has done nothing but fail for as long as the schedule of retries lasts'
          }) || isMore
      }
    }
  }

  async #succeeds ({ id, url }: Outlet): Promise<void> {
    await this.#options.db.updateTable('webhooks').set({ failing_since: null }).where('id', '=', id).where(
      'url', '=', url
    ).where('failing_since', 'is not', null).execute()
  }

  async #fails ({ id, url }: Outlet, now: number): Promise<void> {
    const isFirst = sql`failing_since is null or coalesce(failed_at, failing_since) < ${now - this.#quietMs}`
    await this.#options.db.updateTable('webhooks').set({
      failing_since: sql`case when ${isFirst} then ${now} else failing_since end`,
      failed_at: now
    })
      .where('id', '=', id).where('url', '=', url).execute()
  }

  get #quietMs (): number { return this.#options.givenUpAfterMs + quietMs }

  /** A part of it; answers whether there was any. */
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
