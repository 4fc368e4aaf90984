import { sql, type Kysely } from 'kysely'
import type { Database } from '../../../db/tables.ts'
import type { WebhookSettings } from '../../config/webhook-settings.ts'
import type { Attempt } from '../http/sender.ts'
import { pauseMaxMs } from './circuit.ts'
import type { Deactivation } from './deactivation.ts'
import type { EndpointWorker } from './endpoint-worker.ts'
import type { RetrySchedule } from './retry-schedule.ts'

/**
 * Added to the duration of the schedule. A failure that follows the previous one by more than the sum starts a new
 * series: the state of the endpoint in between is unknown.
 */
const quietMs = 24 * 3_600_000
/** Longest interval between updates of the time of the last failure. */
const notedEveryMaxMs = 10 * 60_000
/**
 * An endpoint whose circuit opened counts as down as long as the failures follow each other within this part of the
 * schedule.
 */
const gapPart = 1 / 10

export interface EndpointHealthOptions {
  db: Kysely<Database>
  deactivation: Deactivation
  settings: WebhookSettings
  schedule: RetrySchedule
  now: () => number
  log: { warn (fields: object, message: string): void }
}

/**
 * Records since when every request to an endpoint has failed, and since when it is known to be down; all nodes share
 * these times. Deactivates the webhook when the endpoint has failed for days or responds with 410.
 */
export class EndpointHealth {
  readonly #options: EndpointHealthOptions
  /** Longest time from the first attempt of a delivery to the last. */
  readonly #givenUpAfterMs: number
  /** Longest time between two failures that show that the endpoint was down in between. */
  readonly #gapMs: number

  constructor (options: EndpointHealthOptions) {
    const { schedule: { totalMs }, settings } = options
    this.#options = options
    this.#givenUpAfterMs = totalMs + settings.timeoutMs
    this.#gapMs = Math.ceil(Math.max(this.#givenUpAfterMs * gapPart, 2 * settings.timeoutMs + pauseMaxMs(settings)))
  }

  /**
   * The deliveries of an endpoint that has been down since this time are given up if they have been due since then: as
   * if each had been tried. Times without a request do not count, because they are no evidence.
   */
  get downSince (): number { return this.#options.now() - this.#givenUpAfterMs }

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
    if (!isFirst && now - since > this.#options.settings.deactivateAfterMs) {
      return this.#inBackground(this.#options.deactivation.deactivate(worker, 'failing'))
    }
    if (!isFirst && now - lastAt < Math.min(notedEveryMaxMs, this.#gapMs / 4)) return
    if (isFirst) worker.failingSince = now
    worker.failedAt = now
    this.#inBackground(this.#fails(worker, now))
  }

  async #succeeds ({ id, url }: EndpointWorker): Promise<void> {
    await this.#options.db.updateTable('webhooks').set({ failing_since: null }).where('id', '=', id).where(
      'url', '=', url
    ).where('failing_since', 'is not', null).execute()
  }

  async #fails ({ id, url, circuit }: EndpointWorker, now: number): Promise<void> {
    const isFirstAfter = (ms: number) =>
      sql`failing_since is null or coalesce(failed_at, failing_since) < ${now - ms}::bigint`
    const downSince = circuit.isOpen ? now : null
    await this.#options.db.updateTable('webhooks').set({
      failing_since: sql`case when ${isFirstAfter(this.#quietMs)} then ${now} else failing_since end`,
      down_since: sql`case when ${
        isFirstAfter(this.#gapMs)
      } or down_since is null then ${downSince}::bigint else down_since end`,
      failed_at: now
    })
      .where('id', '=', id).where('url', '=', url).execute()
  }

  get #quietMs (): number { return this.#givenUpAfterMs + quietMs }

  #inBackground (work: Promise<void>): void {
    work.catch((err: unknown) => this.#options.log.warn({ err }, 'webhooks.health_not_noted'))
  }
}
