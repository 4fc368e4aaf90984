import { setTimeout as delay } from 'node:timers/promises'
import type { WebhookSettings } from '../../config/webhook-settings.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { Deactivation } from './deactivation.ts'
import type { EndpointHealth } from './endpoint-health.ts'
import type { EndpointWorkers } from './endpoint-workers.ts'
import type { DeliveredEvent } from './give-up.ts'
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
  /** Returns the webhooks of which deliveries may have to be given up. */
  failing (): readonly string[]
  settings: WebhookSettings
  metrics: Metrics
  now: () => number
  /** Receives the events whose delivery was given up. Must not throw. */
  onOver (events: readonly DeliveredEvent[]): void
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
        while (!signal.aborted && await this.#giveUp());
        this.#isFailing = false
      } catch (err) {
        if (!this.#isFailing) this.#options.log.warn({ err }, 'webhooks.housekeeping_failed')
        this.#isFailing = true
      }
      await delay(everyMs, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  async #round (): Promise<void> {
    const { workers, deactivation, now } = this.#options
    workers.measure()
    workers.closeIdle(now())
    await deactivation.tellRest()
    if (performance.now() - this.#countedAt >= totalsEveryMs) await this.#count()
  }

  /** Gives up a part of the deliveries of endpoints that are down. Returns whether there was any. */
  async #giveUp (): Promise<boolean> {
    const { queue, failing, endpointHealth: { downSince }, metrics, onOver, log, now } = this.#options
    const givenUp = await queue.giveUp(failing(), { downSince, now: now() })
    for (const { webhookId, reason, events } of givenUp) {
      onOver(events)
      metrics.webhookDeliveries.inc({ status: 'dead' }, events.length)
      log.warn({ webhookId, deliveries: events.length, reason }, 'deliveries.dead')
    }
    return givenUp.length > 0
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
