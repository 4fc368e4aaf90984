import type { WebhookSettings } from '../../config/webhook-settings.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { Deactivation } from './deactivation.ts'
import type { EndpointHealth, SwitchedOff } from './endpoint-health.ts'
import type { EndpointWorkers } from './endpoint-workers.ts'
import type { Queue } from './queue.ts'

/** Interval between checks for idle workers and for expired deliveries of endpoints that are down. */
const checksEveryMs = 1000
/** Interval between counts of the totals. */
const totalsEveryMs = 5000

export interface HousekeepingOptions {
  queue: Queue
  workers: EndpointWorkers
  endpointHealth: EndpointHealth
  deactivation: Deactivation
  settings: WebhookSettings
  metrics: Metrics
}

/** Does the work of the dispatcher that is not urgent, each kind at its own interval. */
export class Housekeeping {
  readonly #options: HousekeepingOptions
  #checkedAt = 0
  #countedAt = 0
  #pending = 0

  constructor (options: HousekeepingOptions) {
    this.#options = options
  }

  /** Number of pending deliveries, as last counted. */
  get pending (): number { return this.#pending }

  /** Does the work that is due. `deactivated` are webhooks with pending deliveries. */
  async run (deactivated: readonly SwitchedOff[], now: number): Promise<void> {
    if (now - this.#checkedAt >= Math.min(checksEveryMs, this.#options.settings.pollMs)) {
      this.#checkedAt = now
      await this.#check(deactivated, now)
    }
    if (now - this.#countedAt >= totalsEveryMs) {
      this.#countedAt = now
      await this.#count()
    }
    this.#options.workers.measure()
  }

  async #check (deactivated: readonly SwitchedOff[], now: number): Promise<void> {
    const { workers, endpointHealth, deactivation } = this.#options
    endpointHealth.giveUp(workers.all(), deactivated)
    workers.closeIdle(now)
    await deactivation.tellRest()
  }

  async #count (): Promise<void> {
    const { queue, metrics } = this.#options
    const { pending, dead } = await queue.totals()
    this.#pending = pending
    metrics.queueDepth.set({ queue: 'webhooks' }, pending)
    metrics.webhookDead.set(dead)
  }
}
