import { setTimeout as delay } from 'node:timers/promises'
import type { WebhookSettings } from '../../config/webhook-settings.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { Deactivation } from './deactivation.ts'
import type { EndpointHealth, SwitchedOff } from './endpoint-health.ts'
import type { EndpointWorkers } from './endpoint-workers.ts'
import type { Queue } from './queue.ts'

/** Longest interval between two rounds. */
const roundMs = 1000
/** Interval between counts of the totals. */
const totalsEveryMs = 5000

export interface HousekeepingOptions {
  queue: Queue
  workers: EndpointWorkers
  endpointHealth: EndpointHealth
  deactivation: Deactivation
  /** Returns deactivated webhooks that have pending deliveries. */
  deactivated (): readonly SwitchedOff[]
  settings: WebhookSettings
  metrics: Metrics
  now: () => number
  log: { warn (fields: object, message: string): void }
}

/** Does the work that no delivery waits for: idle workers, expired deliveries of endpoints that are down, totals. */
export class Housekeeping {
  readonly #options: HousekeepingOptions
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #isFailing = false
  #countedAt = -Infinity
  #pending = 0

  constructor (options: HousekeepingOptions) {
    this.#options = options
  }

  /** Number of pending deliveries, as last counted. */
  get pending (): number { return this.#pending }

  start (): void {
    this.#running ??= this.#run(this.#stop.signal)
  }

  async close (): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #run (signal: AbortSignal): Promise<void> {
    const everyMs = Math.min(roundMs, this.#options.settings.pollMs)
    while (!signal.aborted) {
      try {
        await this.#round()
        this.#isFailing = false
      } catch (err) {
        if (!this.#isFailing) this.#options.log.warn({ err }, 'webhooks.housekeeping_failed')
        this.#isFailing = true
      }
      await delay(everyMs, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  async #round (): Promise<void> {
    const { workers, endpointHealth, deactivation, deactivated, now } = this.#options
    workers.measure()
    endpointHealth.giveUp(workers.all(), deactivated())
    workers.closeIdle(now())
    await deactivation.tellRest()
    if (performance.now() - this.#countedAt >= totalsEveryMs) await this.#count()
  }

  async #count (): Promise<void> {
    const { queue, metrics } = this.#options
    this.#countedAt = performance.now()
    const { pending, dead } = await queue.totals()
    this.#pending = pending
    metrics.queueDepth.set({ queue: 'webhooks' }, pending)
    metrics.webhookDead.set(dead)
  }
}
