import type { WebhookSettings } from '../../config/webhook-settings.ts'
import type { Metrics } from '../../foundation/observability/metrics.ts'
import type { Alarm } from './alarm.ts'
import type { Claim, Claimed } from './claim.ts'
import type { EndpointWorker, Leased } from './endpoint-worker.ts'
import type { EndpointWorkers } from './endpoint-workers.ts'
import { fairSlots } from './fair-slots.ts'
import type { Queue } from './queue.ts'
import type { Recorder } from './recorder.ts'

export interface ClaimerOptions {
  queue: Queue
  workers: EndpointWorkers
  /** Ended attempts take slots until their results are recorded. */
  recorder: Recorder
  alarm: Alarm
  settings: WebhookSettings
  metrics: Metrics
  now: () => number
  /** The id of this node, which holds the leases. */
  node: string
}

/** Leases due deliveries for workers, each within its share of the free slots. */
export class Claimer {
  readonly #options: ClaimerOptions
  #rotation = 0

  constructor (options: ClaimerOptions) {
    this.#options = options
  }

  async claim (workers: readonly EndpointWorker[], now: number): Promise<void> {
    const slots = this.#assignSlots(workers, now)
    if (slots.size === 0) return
    const { queue, settings, node, metrics } = this.#options
    const leaseUntil = now + 2 * settings.timeoutMs + settings.leaseMarginMs
    const wanted = [...slots].map(([worker, count]) => ({ webhookId: worker.id, slots: count }))
    const claim = await queue.claim(wanted, { now, leaseUntil, owner: node })
    const interrupted = claim.claimed[0]?.interrupted ?? 0
    if (interrupted > 0) metrics.webhookDeliveries.inc({ status: 'interrupted' }, interrupted)
    this.#handOut(claim, slots, leaseUntil)
    this.#options.workers.measure()
  }

  #assignSlots (workers: readonly EndpointWorker[], now: number): Map<EndpointWorker, number> {
    const { settings, recorder, alarm, workers: all } = this.#options
    const demands = workers.map(of => ({ of, applicationId: of.applicationId, room: of.room(now), held: of.held }))
    const free = settings.concurrencyMax - all.held - recorder.unsettled
    const slots = fairSlots(demands, free, all.heldByApplication(), this.#rotation++)
    // A worker whose slots are all taken, or that got none, has its turn when a result is recorded.
    for (const { of, room } of demands) if (room <= 0 && of.roomAt(now) > now) alarm.wakeAt(of.roomAt(now))
    return slots
  }

  #handOut ({ claimed, hasPassed }: Claim, slots: ReadonlyMap<EndpointWorker, number>, leaseUntil: number): void {
    const byWebhook = leasedByWebhook(claimed, leaseUntil)
    for (const [worker, count] of slots) {
      const own = byWebhook.get(worker.id) ?? []
      worker.isDue = own.length >= count || hasPassed
      worker.take(own)
    }
    if (hasPassed) this.#options.alarm.wake()
  }
}

function leasedByWebhook (claimed: readonly Claimed[], leaseUntil: number): Map<string, Leased[]> {
  const byWebhook = new Map<string, Leased[]>()
  for (const one of claimed) {
    const own = byWebhook.get(one.webhook_id)
    if (own === undefined) byWebhook.set(one.webhook_id, [{ claimed: one, leaseUntil }])
    else own.push({ claimed: one, leaseUntil })
  }
  return byWebhook
}
