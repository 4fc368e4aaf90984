import { sql, type Kysely } from 'kysely'
import type { Database } from '../../db/tables.ts'
import type { Metrics } from '../metrics.ts'
import type { Deactivation } from './deactivation.ts'
import type { Outlet } from './outlet.ts'
import type { DeliveredEvent, Queue } from './queue.ts'

/** A failure that comes so long after the one before, beside what the schedule lasts, is the first: of what lies between nobody knows. */
const quietMs = 24 * 3_600_000
/** How often it is written down that an endpoint still fails. */
const notedEveryMs = 10 * 60_000

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
 * Keeps since when each endpoint has done nothing but fail, which all nodes share, and what follows of it: one that has failed for days, or
 * says that it is gone, is switched off, and what is owed to one that is down is given up when its time is over.
 */
export class EndpointHealth {
  readonly #options: EndpointHealthOptions
  #burying: Promise<void> | undefined
  #isClosed = false

  constructor (options: EndpointHealthOptions) {
    this.#options = options
  }

  /** An attempt has ended. `isGone`: the endpoint has said that it is. */
  note (outlet: Outlet, isSuccess: boolean, isGone: boolean, now: number): void {
    const { failingSince: since } = outlet
    if (isGone) return this.#inBackground(this.#deactivate(outlet, 'gone'))
    if (isSuccess) {
      if (since === null) return
      outlet.failingSince = null
      return this.#inBackground(this.#succeeds(outlet.id))
    }
    const lastAt = outlet.failedAt ?? since ?? now
    const isFirst = since === null || now - lastAt > this.#quietMs
    if (!isFirst && now - since > this.#options.deactivateAfterMs) return this.#inBackground(this.#deactivate(outlet, 'failing'))
    if (!isFirst && now - lastAt < notedEveryMs) return
    if (isFirst) outlet.failingSince = now
    outlet.failedAt = now
    this.#inBackground(this.#fails(outlet.id, now))
  }

  /**
   * What has been due to an endpoint that is down for longer than the schedule lasts is given up, as it would have been had each been tried.
   * This node must have seen it to be down for so long: of a time in which nothing was sent, nobody knows. It goes on in the background, a part of
   * each endpoint's at a time: nobody else's deliveries wait for it.
   */
  giveUp (outlets: readonly Outlet[]): void {
    this.#burying ??= this.#buryDown(outlets).catch(this.#notNoted).finally(() => { this.#burying = undefined })
  }

  /** Waits for what has been begun. */
  async close (): Promise<void> {
    this.#isClosed = true
    await this.#burying
  }

  async #buryDown (outlets: readonly Outlet[]): Promise<void> {
    const { givenUpAfterMs, now } = this.#options
    for (let down = outlets; down.length > 0;) {
      const more: Outlet[] = []
      for (const outlet of down) {
        const since = now() - givenUpAfterMs
        if (this.#isClosed || outlet.circuit.downMs <= givenUpAfterMs || outlet.failingSince === null || outlet.failingSince >= since) continue
        if (await this.#bury(outlet.id, since, 'Given up: the endpoint has done nothing but fail for as long as the schedule of retries lasts')) more.push(outlet)
      }
      down = more
    }
  }

  async #succeeds (id: string): Promise<void> {
    await this.#options.db.updateTable('webhooks').set({ failing_since: null }).where('id', '=', id).where('failing_since', 'is not', null).execute()
  }

  async #fails (id: string, now: number): Promise<void> {
    const isFirst = sql`failing_since is null or coalesce(failed_at, failing_since) < ${now - this.#quietMs}`
    await this.#options.db.updateTable('webhooks').set({ failing_since: sql`case when ${isFirst} then ${now} else failing_since end`, failed_at: now }).where('id', '=', id).execute()
  }

  get #quietMs (): number { return this.#options.givenUpAfterMs + quietMs }

  async #deactivate (outlet: Outlet, reason: 'gone' | 'failing'): Promise<void> {
    if (!await this.#options.deactivation.deactivate(outlet.applicationId, outlet.id, reason)) return
    outlet.giveBack()
    const why = reason === 'gone' ? 'Given up: the endpoint answered 410' : 'Given up: the endpoint has done nothing but fail for days'
    while (await this.#bury(outlet.id, Number.MAX_SAFE_INTEGER, why));
  }

  /** A part of it; answers whether there was any. */
  async #bury (webhookId: string, dueBy: number, reason: string): Promise<boolean> {
    const { queue, log, metrics, onOver, now } = this.#options
    const events = await queue.bury(webhookId, dueBy, now(), reason)
    if (events.length === 0) return false
    onOver(events)
    metrics.webhookDeliveries.inc({ status: 'dead' }, events.length)
    log.warn({ webhookId, deliveries: events.length, reason }, 'deliveries.dead')
    return true
  }

  #inBackground (work: Promise<void>): void {
    work.catch(this.#notNoted)
  }

  readonly #notNoted = (err: unknown) => this.#options.log.warn({ err }, 'webhooks.health_not_noted')
}
